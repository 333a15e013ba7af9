//! GitLab's API, for GitLab.com and GitLab Self-Managed alike: a thin client over the guarded one.
//!
//! Everything is asked by number, because paths change and are handed on. A token is a person's, a group's or a
//! project's; which one it is makes no difference to the calls, only to what they are allowed.

mod error;
mod group;
mod hook;
mod session;
mod token;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use secrecy::SecretString;

pub use hook::{Events, HookPlace, HookProof, NewHook, Trigger};
pub use session::Session;
pub use token::{Rotated, TokenOwner};
pub use wire::{
    AccessLevel, Group, Hook, HookEvent, Member, Namespace, Person, Project, TokenAbout, Version,
};

use super::super::ProviderError;
use super::super::pace::Pace;
use crate::outbound::{Carried, Client, Credential, Endpoint, Outbound};

/// Credentials whose pace is remembered, and for how long after their last use.
const PACES_MAX: u64 = 10_000;
const PACE_IDLE: Duration = Duration::from_secs(7200);

/// One GitLab: GitLab.com, or one instance.
#[derive(Debug, Clone)]
pub struct Gitlab {
    client: Client,
    paces: Cache<String, Arc<Pace>>,
}

impl Gitlab {
    /// The GitLab whose API is at this endpoint.
    ///
    /// # Errors
    /// When the address is one that is never called.
    pub fn open(outbound: &Outbound, api: Endpoint) -> Result<Self, ProviderError> {
        let client = outbound.open(api, "gitlab")?;
        let paces = Cache::builder().max_capacity(PACES_MAX).time_to_idle(PACE_IDLE).build();
        Ok(Self { client, paces })
    }

    /// Speaks with an access token: a person's, a group's, a project's.
    #[must_use]
    pub fn token(&self, token: SecretString) -> Session {
        self.credential(Credential::new(token, Carried::PrivateToken, self.client.endpoint()))
    }

    /// Speaks for somebody who signed in.
    #[must_use]
    pub fn signed_in(&self, token: SecretString) -> Session {
        self.credential(Credential::new(token, Carried::Bearer, self.client.endpoint()))
    }

    /// Speaks with a credential that was stored with its binding; it is sent nowhere else.
    #[must_use]
    pub fn credential(&self, credential: Credential) -> Session {
        let make = || Arc::new(Pace::new(&error::GITLAB));
        let pace = self.paces.get_with(credential.fingerprint(), make);
        Session::new(self.client.clone(), credential, pace)
    }
}
