//! What an App asks as itself: what it is, where it is installed, how it is told of events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;

use super::carrier::{self, Carrier, Identity};
use super::jwt::AppKey;
use super::token::Tokens;
use super::wire::{AppAbout, Conversion, Installation};
use super::{Github, Session};
use crate::provider::page::{PER_PAGE, Whole, segment};
use crate::provider::{ProviderError, Purpose};

/// An App, with the tokens of its installations. One per App: what it remembers is what keeps its pace.
#[derive(Debug, Clone)]
pub struct App {
    session: Session,
    installations: Arc<Mutex<HashMap<u64, Session>>>,
}

impl App {
    pub(super) fn new(github: Github, key: Arc<AppKey>) -> Self {
        let name = format!("app {}", key.issuer());
        Self { session: github.session(Identity::App(key), name), installations: Arc::default() }
    }

    /// Speaks as the App itself.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Speaks as one of its installations.
    #[must_use]
    pub fn at(&self, installation: u64) -> Session {
        let mut known = self.installations.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let tokens = Arc::new(Tokens::new(self.session.carrier.clone(), installation));
            let carrier = Carrier {
                identity: Identity::Installation(tokens),
                pace: carrier::pace(),
                purpose: Purpose::Sync,
                ..self.session.carrier.clone()
            };
            Session { carrier, reads: self.session.reads.clone() }
        };
        known.entry(installation).or_insert_with(make).clone()
    }

    /// Lets go of an installation's tokens. Who still holds its session can use the one it has.
    pub fn forget(&self, installation: u64) {
        self.installations.lock().unwrap_or_else(PoisonError::into_inner).remove(&installation);
    }

    /// What it is, and what it asks for.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn about(&self) -> Result<AppAbout, ProviderError> {
        self.session.read("app".into()).await
    }

    /// Where it is installed.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn installations(&self) -> Result<Whole<Installation>, ProviderError> {
        self.session.whole::<Vec<_>>(format!("app/installations?per_page={PER_PAGE}"), None).await
    }

    /// One installation. [`ProviderError::Gone`] here means uninstalled: the App sees all of its own.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn installation(&self, id: u64) -> Result<Installation, ProviderError> {
        self.session.read(format!("app/installations/{id}")).await
    }

    /// The installation at an organization.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn installation_at_organization(&self, login: &str) -> Result<Installation, ProviderError> {
        self.session.read(format!("orgs/{}/installation", segment(login))).await
    }

    /// The installation at a person's account.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn installation_at_person(&self, login: &str) -> Result<Installation, ProviderError> {
        self.session.read(format!("users/{}/installation", segment(login))).await
    }

    /// Removes the App from an account.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn uninstall(&self, id: u64) -> Result<(), ProviderError> {
        let path = format!("app/installations/{id}");
        self.session.write(Method::DELETE, path, None::<&()>).await.map(drop)
    }
}

impl Github {
    /// Exchanges the code of a manifest for the new App. Works once, within the hour; the answer is shown once, so it
    /// must be kept before anything else happens.
    ///
    /// # Errors
    /// [`ProviderError::Gone`] for a code that was used, is too old, or never was.
    pub async fn convert(&self, code: &str) -> Result<Conversion, ProviderError> {
        let path = format!("app-manifests/{}/conversions", segment(code));
        let session = self.anonymous().for_person();
        Ok(session.write(Method::POST, path, None::<&()>).await?.json()?)
    }
}
