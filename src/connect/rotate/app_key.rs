//! An App's private key, replaced. No forge makes one when asked: an owner of the App adds one there, enters it here, and
//! takes the old one away there. It is kept only if the forge believes us by it.

use secrecy::SecretString;

use super::super::{Connections, NotReady, Refusal, Undone, line};
use crate::domain::change::Change;
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, Source};

/// Others that write the same source are waited for so often.
const TRIES_MAX: usize = 8;

impl Connections {
    /// Believes the connection's App by another private key from now on, which is tried first.
    ///
    /// # Errors
    /// [`Undone`]; the key before stays in use then.
    pub async fn replace_app_key(
        &self,
        connection: &Connection,
        key: &SecretString,
        by: &str,
    ) -> Result<(), Undone> {
        for _ in 0..TRIES_MAX {
            let (found, about) = self.app_of(connection).await?;
            let binding = self.try_app_key(connection, &found.value, key).await?;
            let owner = CredentialOwner::Source(found.value.key.clone());
            let about = CredentialAbout { created_at: self.now(), binding: Some(binding), ..about };
            let sealed = self.store.seal_credential(about, key, self.now()).await?;
            let detail = format!("the App of {owner} has another private key");
            let expects = vec![(RecordKey::Source(found.value.key.clone()), found.version)];
            let changes = vec![
                Change::PutCredential(Box::new(sealed)),
                Change::PutSource(found.value),
                line(connection, by, "secret.replaced", &detail, self.now()),
            ];
            if self.store.apply(changes, expects).await? {
                self.forget(connection);
                return Ok(());
            }
        }
        Err(Undone::Busy)
    }

    /// The source with the App's facts, and what is shown of its key.
    async fn app_of(&self, connection: &Connection) -> Result<(Versioned<Source>, CredentialAbout), Undone> {
        let no_app = || {
            Refusal::new("no-app", "the connection is not believed by an App that was made or entered here")
        };
        if self.forges.is_declared(&connection.key) || connection.created_by == "config" {
            return Err(Refusal::declared().into());
        }
        let found = self.store.versioned_source(&connection.source).await?;
        let found = found.filter(|found| !found.value.removed && found.value.app.is_some());
        let found = found.ok_or_else(no_app)?;
        let kept = self.store.credentials(&CredentialOwner::Source(found.value.key.clone())).await?;
        let key = kept.into_iter().find(|about| about.kind == CredentialKind::AppKey);
        // Another organization's App is not this one's to change.
        let key = key.filter(|about| about.organization == connection.organization);
        Ok((found, key.ok_or_else(no_app)?))
    }

    /// Asks the forge whom it takes us for with this key; gives the only place to which that may be sent.
    async fn try_app_key(
        &self,
        connection: &Connection,
        source: &Source,
        key: &SecretString,
    ) -> Result<String, Undone> {
        let number = source.app.as_ref().map(|app| app.id).unwrap_or_default();
        let endpoint = self.forges.endpoint(connection.kind.forge(), &connection.url);
        let app = self.forges.app(&endpoint, &number.to_string(), key)?;
        let about = app.about().await.map_err(NotReady::Provider)?;
        if about.id.get() == number {
            return Ok(hex::encode(endpoint.binding().as_bytes()));
        }
        Err(Refusal::new("credential-refused", "the key is another App's").into())
    }
}
