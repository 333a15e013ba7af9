//! Connections as people make, test and end them: who is asked, with what, and what comes of it.
//!
//! [`Forges`] makes a ready client out of a connection's credential, wherever that is kept. [`Connections`] asks through
//! it: to add a connection, and to do what tasks about connections want. What an answer means is decided purely, in
//! `handler`; everything that is learnt is written in one act.

mod account;
mod add;
mod check;
mod declared;
mod end;
mod forges;
mod hook_secret;
mod hooks;
mod new;
mod organization_hook;
mod paused;
mod probe;
mod record;
mod refusal;
mod rest;
mod rotate;
mod silence;
mod sweep;

use std::sync::Arc;

pub use declared::Name;
pub use end::Verb;
pub use forges::{Forges, How, Installed, NotReady, Ready, Way, Ways};
pub use new::{Added, NewApp, NewConnection, NewCredential};
pub use refusal::{Refusal, Undone};
pub use rotate::AppSecrets;

use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::Versioned;
use crate::domain::organization::Connection;
use crate::domain::task::{Performed, Task, TaskKind, Wish};
use crate::domain::{Clock, ConnectionKey, SourceKey, Timestamp};
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
        let Some(key) = &task.connection else { return Ok(None) };
        let found = self.store.versioned_connection(key).await?;
        Ok(found.filter(|found| Some(&found.value.organization) == task.organization.as_ref()))
    }

    /// Has everything read of these connections, which are believed by something else from now on (e-46).
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn read_anew(&self, keys: &[ConnectionKey], by: &str) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for key in keys {
            let found = self.store.connection(key).await?;
            changes.extend(found.iter().flat_map(|it| wishes(it.read_anew(by, self.now()))));
        }
        self.store.apply(changes, Vec::new()).await.map(drop)
    }

    /// A task that has failed at the forge has its connection looked at at once: why it failed may concern all of it
    /// (e-55).
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn look_after(&self, task: &Task, performed: &Performed) -> Result<(), StoreError> {
        let looks_itself = matches!(task.kind, TaskKind::CheckConnection | TaskKind::DisconnectConnection);
        if looks_itself || !matches!(performed, Performed::Failed { .. }) {
            return Ok(());
        }
        let (Some(organization), Some(connection)) = (&task.organization, &task.connection) else {
            return Ok(());
        };
        let wish = Wish::now(TaskKind::CheckConnection, organization, connection, "system", self.now());
        self.store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await.map(drop)
    }
}

/// Wishes, to be written with what led to them.
fn wishes(all: impl IntoIterator<Item = Wish>) -> impl Iterator<Item = Change> {
    all.into_iter().map(|wish| Change::Wish(Box::new(wish)))
}

/// A line about a connection for its organization's audit log.
fn line(connection: &Connection, actor: &str, action: &str, detail: &str, now: Timestamp) -> Change {
    Change::Audit(AuditEntry {
        at: now,
        organization: Some(connection.organization.clone()),
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: connection.key.to_string(),
        detail: detail.to_owned(),
        ..AuditEntry::default()
    })
}

/// The connection is no longer there.
fn gone() -> Performed {
    Performed::noted("the connection is no longer there".into())
}
