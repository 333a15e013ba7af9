//! Connections as people make, test and end them: who is asked, with what, and what comes of it.
//!
//! [`Forges`] makes a ready client out of a connection's credential, wherever that is kept. [`Connections`] asks through
//! it: to add a connection, and to do what tasks about connections want. What an answer means is decided purely, in
//! `handler`; everything that is learnt is written in one act.

mod account;
mod add;
mod check;
mod end;
mod forges;
mod hooks;
mod paused;
mod probe;
mod record;
mod refusal;
mod rotate;
mod sweep;

use std::sync::Arc;

pub use add::{Added, NewApp, NewConnection, NewCredential};
pub use end::Verb;
pub use forges::{Forges, How, Installed, NotReady, Ready, Way, Ways};
pub use refusal::{Refusal, Undone};

use crate::domain::known::Versioned;
use crate::domain::organization::Connection;
use crate::domain::task::Task;
use crate::domain::{Clock, SourceKey, Timestamp};
use crate::store::{Store, StoreError};

/// Any random number, for jitter; the caller owns the generator.
pub type Chance = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Fills a slice with randomness fit for secrets. `false`: there is none.
pub type Random = Arc<dyn Fn(&mut [u8]) -> bool + Send + Sync>;

/// Where the deliveries of a source go, below the address at which forges reach us.
#[must_use]
pub fn door_of(public_url: &url::Url, source: &SourceKey) -> url::Url {
    let mut url = public_url.clone();
    url.set_path(&format!("{}/hooks/{source}", url.path().trim_end_matches('/')));
    url
}

/// What connections are asked about with.
pub struct Connections {
    forges: Arc<Forges>,
    store: Arc<dyn Store>,
    clock: Clock,
    chance: Chance,
    random: Random,
    /// Where forges reach us.
    public_url: url::Url,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Connections {
    /// With a store, the clients of its connections, a clock and chance.
    #[must_use]
    pub fn new(
        forges: Arc<Forges>,
        store: Arc<dyn Store>,
        clock: Clock,
        chance: Chance,
        random: Random,
        public_url: url::Url,
    ) -> Self {
        Self { forges, store, clock, chance, random, public_url }
    }

    /// Makes their clients.
    #[must_use]
    pub fn forges(&self) -> &Arc<Forges> {
        &self.forges
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn random_bytes(&self) -> Result<[u8; 32], NotReady> {
        let mut bytes = [0; 32];
        if (self.random)(&mut bytes) { Ok(bytes) } else { Err(NotReady::Random) }
    }

    /// The connection that a task is about.
    async fn connection(&self, task: &Task) -> Result<Option<Versioned<Connection>>, StoreError> {
        let found = self.store.versioned_connection(&task.connection).await?;
        Ok(found.filter(|found| found.value.organization == task.organization))
    }
}
