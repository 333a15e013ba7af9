//! GitHub's API, for github.com and GitHub Enterprise Server alike.
//!
//! Everything goes through one carrier per identity: its rate rules, its tokens, the guarded HTTP client below it. What
//! is asked with octocrab ([`Session::octocrab`]) goes the same way; octocrab's own retries are never built in. Lists
//! and single reads use our own few fields, because servers of different versions leave out different ones.

mod app;
mod carrier;
mod error;
mod hook;
mod jwt;
mod octo;
mod organization;
mod person;
mod scope;
mod session;
mod sign_in;
mod token;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use secrecy::SecretString;

pub use app::App;
pub use hook::{HookPlace, NewHook};
pub use jwt::AppKey;
pub use organization::OrganizationRole;
pub use person::Who;
pub use scope::{Level, Permissions, Scopes, TokenKind};
pub use session::Session;
pub use sign_in::{AppSignIn, Exchange, Site, authorize_url, install_url, manifest_url};
pub use wire::{
    Account, AppAbout, Attempt, AttemptSent, Conversion, Email, Hook, HookConfig, Installation, Invitation,
    Membership, Meta, Moment, Organization, Person, Repository, RoleAt, StateAt,
};

use super::super::pace::Pace;
use super::super::{ProviderError, Purpose, Reads};
use crate::outbound::{Carried, Client, Credential, Endpoint, Outbound};
use carrier::{Carrier, Identity};

/// Credentials whose pace is remembered, and for how long after their last use: longer than any limit's window.
const PACES_MAX: u64 = 10_000;
const PACE_IDLE: Duration = Duration::from_secs(7200);

/// One GitHub: github.com, or one server.
#[derive(Debug, Clone)]
pub struct Github {
    client: Client,
    reads: Reads,
    paces: Cache<String, Arc<Pace>>,
    skew: Arc<error::Skew>,
}

impl Github {
    /// The GitHub whose API is at this endpoint.
    ///
    /// # Errors
    /// When the address is one that is never called.
    pub fn open(outbound: &Outbound, api: Endpoint, reads: Reads) -> Result<Self, ProviderError> {
        let client = outbound.open(api, "github")?;
        let paces = Cache::builder().max_capacity(PACES_MAX).time_to_idle(PACE_IDLE).build();
        Ok(Self { client, reads, paces, skew: Arc::default() })
    }

    /// Speaks as nobody.
    #[must_use]
    pub fn anonymous(&self) -> Session {
        self.session(Identity::Nobody, "nobody".into())
    }

    /// Speaks as an App.
    #[must_use]
    pub fn app(&self, key: AppKey) -> App {
        App::new(self.clone(), Arc::new(key))
    }

    /// Speaks with a personal token or a user's, bound to this API's endpoint.
    #[must_use]
    pub fn token(&self, token: SecretString) -> Session {
        self.credential(Credential::new(token, Carried::Bearer, self.client.endpoint()))
    }

    /// Speaks with a token that was stored with its binding; it is sent nowhere else.
    #[must_use]
    pub fn credential(&self, credential: Credential) -> Session {
        let name = credential.fingerprint();
        self.session(Identity::Token(credential), name)
    }

    fn session(&self, identity: Identity, name: String) -> Session {
        let pace = self.paces.get_with(name, carrier::pace);
        let (client, skew) = (self.client.clone(), Arc::clone(&self.skew));
        let carrier = Carrier { client, identity, pace, purpose: Purpose::Sync, skew };
        Session { carrier, reads: self.reads.clone() }
    }
}
