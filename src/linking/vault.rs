//! What an App is known by: its names, its key, its secret for sign-in. The secrets are sealed in the same act that
//! records the App, and come out for the length of a call.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::domain::change::Change;
use crate::domain::organization::App;
use crate::domain::{OrganizationSlug, SourceKey, Timestamp};
use crate::provider::github::client::AppSignIn;
use crate::store::StoreError;

/// A new App's secrets, which the forge shows once.
#[derive(Debug)]
pub struct NewApp<'a> {
    /// Whose key seals them.
    pub organization: &'a OrganizationSlug,
    /// Whose they are.
    pub source: &'a SourceKey,
    /// Where they may be sent.
    pub url: &'a url::Url,
    /// Its private key, PEM.
    pub private_key: &'a SecretString,
    /// Its secret for sign-in.
    pub client_secret: &'a SecretString,
    /// What signs its deliveries.
    pub webhook_secret: &'a SecretString,
}

/// An App that is known here.
#[derive(Debug, Clone)]
pub struct AppAccess {
    /// Its names.
    pub names: App,
    /// Its private key, PEM.
    pub private_key: SecretString,
    /// Its secret for sign-in.
    pub client_secret: Option<SecretString>,
}

impl AppAccess {
    /// Its name and secret for sign-in, where both are known.
    #[must_use]
    pub fn sign_in(&self) -> Option<AppSignIn> {
        let (client_id, client_secret) = self.names.client_id.clone().zip(self.client_secret.clone())?;
        Some(AppSignIn { client_id, client_secret })
    }
}

/// Seals what Apps are known by, and opens it.
#[async_trait]
pub trait Vault: Send + Sync {
    /// What is to be written, in one act with the App's records, so that its secrets are kept.
    ///
    /// # Errors
    /// When they cannot be sealed.
    async fn seal(&self, app: &NewApp<'_>, now: Timestamp) -> Result<Vec<Change>, StoreError>;

    /// The App of a source, declared or made here.
    ///
    /// # Errors
    /// When the store cannot be asked, or what it holds does not open.
    async fn app(&self, source: &SourceKey) -> Result<Option<AppAccess>, StoreError>;

    /// From now on the source's deliveries are proven by this.
    fn opened(&self, source: &SourceKey, webhook_secret: &SecretString);
}
