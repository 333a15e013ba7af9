//! An App's private key and its client secret, replaced. No forge makes either when asked: an owner of the App adds one
//! there, enters it here, and takes the old one away there. It is kept only if the forge believes us by it.

use secrecy::{ExposeSecret as _, SecretString};

use super::super::{Connections, NotReady, Ready, Refusal, Undone, line};
use crate::domain::change::Change;
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, last4};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{App, Connection, Source};
use crate::provider::ProviderError;
use crate::provider::github::client::{AppAbout, AppSignIn};

/// Others that write the same source are waited for so often.
const TRIES_MAX: usize = 8;

/// What an App is to be believed by from now on; what is not told stays as it is.
#[derive(Debug, Clone, Default)]
pub struct AppSecrets {
    /// Its private key, PEM.
    pub private_key: Option<SecretString>,
    /// Its secret for sign-in.
    pub client_secret: Option<SecretString>,
}

impl AppSecrets {
    fn told(&self) -> impl Iterator<Item = (CredentialKind, &SecretString)> {
        let all = [
            (CredentialKind::AppKey, &self.private_key),
            (CredentialKind::ClientSecret, &self.client_secret),
        ];
        all.into_iter().filter_map(|(kind, secret)| Some((kind, secret.as_ref()?)))
    }

    const fn names(&self) -> &'static str {
        match (&self.private_key, &self.client_secret) {
            (Some(_), Some(_)) => "another private key and another client secret",
            (None, Some(_)) => "another client secret",
            _ => "another private key",
        }
    }
}

impl Connections {
    /// Believes the connection's App by another private key, another client secret or both from now on. Each is tried
    /// first; what the forge refuses is not kept, nor what came with it.
    ///
    /// # Errors
    /// [`Undone`]; what there was before stays in use then.
    pub async fn replace_app_secrets(
        &self,
        connection: &Connection,
        new: &AppSecrets,
        by: &str,
    ) -> Result<(), Undone> {
        for _ in 0..TRIES_MAX {
            let (found, about) = self.app_of(connection).await?;
            let app = self.try_app(connection, &found.value, new).await?;
            let owner = CredentialOwner::Source(found.value.key.clone());
            let endpoint = self.forges.endpoint(connection.kind.forge(), &connection.url);
            let mut changes = Vec::new();
            for (kind, secret) in new.told() {
                let about = CredentialAbout {
                    kind,
                    // The end of a key says nothing: all keys end alike.
                    last4: last4(secret.expose_secret()).filter(|_| kind != CredentialKind::AppKey),
                    binding: Some(hex::encode(endpoint.binding().as_bytes())),
                    created_at: self.now(),
                    ..about.clone()
                };
                let sealed = self.store.seal_credential(about, secret, self.now()).await?;
                changes.push(Change::PutCredential(Box::new(sealed)));
            }
            let detail = format!("the App of {owner} has {}", new.names());
            changes.push(line(connection, by, "secret.replaced", &detail, self.now()));
            let expects = vec![(RecordKey::Source(found.value.key.clone()), found.version)];
            changes.push(Change::PutSource(Source { app: Some(app), ..found.value }));
            if self.store.apply(changes, expects).await? {
                if new.private_key.is_some() {
                    self.forget(connection);
                }
                return Ok(());
            }
        }
        Err(Undone::Busy)
    }

    /// The source with the App's facts, and what is shown of its key.
    async fn app_of(&self, connection: &Connection) -> Result<(Versioned<Source>, CredentialAbout), Undone> {
        if self.forges.is_of_file(connection) {
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

    /// Asks the forge whom it takes us for with this; gives the App's facts as it knows them.
    async fn try_app(
        &self,
        connection: &Connection,
        source: &Source,
        new: &AppSecrets,
    ) -> Result<App, Undone> {
        let mut app = source.app.clone().ok_or_else(no_app)?;
        let needs_name = new.client_secret.is_some() && app.client_id.is_none();
        if new.private_key.is_some() || needs_name {
            let about = self.about_app(connection, &app, new).await?;
            if about.id.get() != app.id {
                return Err(Refusal::new("credential-refused", "the key is another App's").into());
            }
            app.client_id = app.client_id.or(Some(about.client_id).filter(|name| !name.is_empty()));
        }
        if let Some(secret) = &new.client_secret {
            let client_id = app.client_id.clone().ok_or_else(|| {
                Refusal::new("forge-refused", "the forge does not say what the App is called at a sign-in")
            })?;
            let sign_in = AppSignIn { client_id, client_secret: secret.clone() };
            let site = self.forges.site(&connection.url)?;
            site.accepts(&sign_in).await.map_err(of_client_secret)?;
        }
        Ok(app)
    }

    /// What the forge says of the App: asked with the new key, or with the one that is kept.
    async fn about_app(
        &self,
        connection: &Connection,
        app: &App,
        new: &AppSecrets,
    ) -> Result<AppAbout, Undone> {
        let speaks = match &new.private_key {
            Some(key) => {
                let endpoint = self.forges.endpoint(connection.kind.forge(), &connection.url);
                self.forges.app(&endpoint, &app.id.to_string(), key)?
            }
            None => match self.forges.ready_anyway(connection).await? {
                Ready::Installation(it) => it.app,
                Ready::Github(_) | Ready::Gitlab(_) => return Err(no_app().into()),
            },
        };
        Ok(speaks.about().await.map_err(NotReady::Provider)?)
    }
}

fn no_app() -> Refusal {
    Refusal::new("no-app", "the connection is not believed by an App that was made or entered here")
}

fn of_client_secret(error: ProviderError) -> Refusal {
    match error {
        ProviderError::CredentialRefused => {
            let message =
                "the forge does not take it for the App's client secret; the one before stays in use";
            Refusal::new("credential-refused", message)
                .help("make another one in the App's settings at the forge, and enter it whole")
        }
        error => error.into(),
    }
}
