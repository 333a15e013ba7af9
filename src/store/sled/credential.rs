//! [`Credentials`] on the embedded store.

use async_trait::async_trait;
use secrecy::SecretString;

use super::act::record::find;
use super::stage::Rows;
use super::{SledStore, key};
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, SealedCredential};
use crate::domain::known::Versioned;
use crate::domain::organization::Source;
use crate::domain::{SourceKey, Timestamp};
use crate::store::StoreError;
use crate::store::credential::{Credential, Credentials, close, open};

#[async_trait]
impl Credentials for SledStore {
    async fn seal_credential(
        &self,
        about: CredentialAbout,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<SealedCredential, StoreError> {
        let secret = secret.clone();
        // A new organization's key is written to the keyring's file first.
        self.read(move |inner| close(&inner.keyring, about, &secret, now)).await
    }

    async fn credential(
        &self,
        owner: &CredentialOwner,
        kind: CredentialKind,
    ) -> Result<Option<Credential>, StoreError> {
        let key = key::credential(owner, kind);
        self.read(move |inner| {
            let kept: Option<SealedCredential> = inner.tree.read(&key)?;
            kept.map(|kept| open(&inner.keyring, kept)).transpose()
        })
        .await
    }

    async fn versioned_source(&self, key: &SourceKey) -> Result<Option<Versioned<Source>>, StoreError> {
        let key = key::source(key);
        self.read(move |inner| find(&inner.tree, &key)).await
    }

    async fn credentials(&self, owner: &CredentialOwner) -> Result<Vec<CredentialAbout>, StoreError> {
        let keys = CredentialKind::ALL.map(|kind| key::credential(owner, kind));
        self.read(move |inner| {
            let kept = keys.iter().map(|key| inner.tree.read::<SealedCredential>(key));
            kept.filter_map(|kept| kept.map(|kept| kept.map(|kept| kept.about)).transpose()).collect()
        })
        .await
    }
}
