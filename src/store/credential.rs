//! What forges believe us by, sealed.

use async_trait::async_trait;
use secrecy::SecretString;

use super::{Keep, StoreError};
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, SealedCredential};
use crate::domain::known::Versioned;
use crate::domain::organization::Source;
use crate::domain::{SourceKey, Timestamp};
use crate::seal::{Place, Purpose};

/// A credential that was opened. It is never written anywhere: there is no way to.
#[derive(Debug, Clone)]
pub struct Credential {
    /// What is shown of it.
    pub about: CredentialAbout,
    /// Itself.
    pub secret: SecretString,
}

/// Sealed credentials. They are written and destroyed like all records, with [`super::Records::apply`], so that a
/// connection and its credential come and go in one act.
#[async_trait]
pub trait Credentials: Keep {
    /// Seals one with its organization's key, for its place alone. Nothing is kept yet.
    async fn seal_credential(
        &self,
        about: CredentialAbout,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<SealedCredential, StoreError>;
    /// Opens one.
    async fn credential(
        &self,
        owner: &CredentialOwner,
        kind: CredentialKind,
    ) -> Result<Option<Credential>, StoreError>;
    /// A source with its version: whoever writes its credentials writes it, too, in one act.
    async fn versioned_source(&self, key: &SourceKey) -> Result<Option<Versioned<Source>>, StoreError>;
    /// What is shown of an owner's credentials, by kind.
    async fn credentials(&self, owner: &CredentialOwner) -> Result<Vec<CredentialAbout>, StoreError>;
}

/// Calls `with` the place where a credential's sealed form opens.
pub(super) fn at<T>(about: &CredentialAbout, with: impl FnOnce(&Place<'_>) -> T) -> T {
    let (scope, row, field) = about.place();
    with(&Place { purpose: Purpose::Credential, scope: &scope, row: row.as_bytes(), field })
}

fn damaged() -> StoreError {
    StoreError::Corrupt("a credential does not open in its place; enter it anew".into())
}

/// Opens a sealed form.
pub(super) fn open(ring: &crate::seal::Keyring, kept: SealedCredential) -> Result<Credential, StoreError> {
    let sealed = hex::decode(&kept.sealed).map_err(|_| damaged())?;
    let plain = at(&kept.about, |place| ring.open_sealed(place, &sealed)).map_err(|_| damaged())?;
    let text = std::str::from_utf8(&plain).map_err(|_| damaged())?;
    Ok(Credential { about: kept.about, secret: SecretString::from(text) })
}

/// Seals a form anew that was sealed with a key which has been replaced; `None` when it was not.
pub(super) fn renewed(
    ring: &crate::seal::Keyring,
    kept: &SealedCredential,
) -> Result<Option<SealedCredential>, StoreError> {
    let sealed = hex::decode(&kept.sealed).map_err(|_| damaged())?;
    let anew = at(&kept.about, |place| ring.reseal(place, &sealed)).map_err(|_| damaged())?;
    Ok(anew.map(|sealed| SealedCredential { about: kept.about.clone(), sealed: hex::encode(sealed) }))
}

/// Seals, when the key is there already.
pub(super) fn close(
    ring: &crate::seal::Keyring,
    about: CredentialAbout,
    secret: &SecretString,
    now: Timestamp,
) -> Result<SealedCredential, StoreError> {
    use secrecy::ExposeSecret as _;
    let unsealed = |error| StoreError::Unavailable(format!("a credential cannot be sealed: {error}"));
    let (scope, ..) = about.place();
    let cipher = ring.cipher(&scope, now.ms()).map_err(unsealed)?;
    let sealed = at(&about, |place| cipher.seal(place, secret.expose_secret().as_bytes()));
    Ok(SealedCredential { about, sealed: hex::encode(sealed) })
}
