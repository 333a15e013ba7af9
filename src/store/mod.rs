//! What is kept, behind small verbs.
//!
//! Each method is one atomic act named for what the product does; [`Store`] is the sum of the roles. Conflicts are
//! values ([`Settled::LeaseLost`]), not errors; an error is either "try again" or "call somebody". Time is an argument.

#[cfg(test)]
mod contract;
mod credential;
mod figures;
mod frame;
mod ids;
mod job;
pub mod keep;
mod list;
mod mark;
pub mod postgres;
mod roster;
pub mod sled;
mod task;
mod ticket;
mod trail;

use async_trait::async_trait;

pub use credential::{Credential, Credentials};
pub use figures::StoreFigures;
pub use job::Jobs;
pub use keep::{Frozen, Keep};
pub use list::{
    AuditFilter, ConnectionFilter, DeliveryFilter, FindingFilter, MemberFilter, Page, Paged, ProjectFilter,
    TaskFilter,
};
pub use mark::Marks;
pub use roster::Rosters;
pub use task::{TaskClaim, TaskOutcome, TaskSettled, Tasks};
pub use ticket::Tickets;
pub use trail::{Chain, Trail};

use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::change::{AuditEntry, Change, Changes};
use crate::domain::delivery::{Attempt, Delivery, DeliveryRecord, DeliveryState, Lane};
use crate::domain::event::About;
use crate::domain::known::{Candidates, Known, Lookup, RecordKey};
use crate::domain::organization::{Connection, Member, Organization, Source};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::{ConnectionKey, DeliveryId, Host, OrganizationSlug, SourceKey, Timestamp};

/// No wait is as long, so what is due later was put off by a clock that has been set back since: it is due now.
pub const DUE_WITHIN_MS: i64 = 48 * 60 * 60 * 1000;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not now: the queue is full, the disk is full, the database is away. Nothing was changed; try again.
    #[error("the store cannot do this now: {0}")]
    Unavailable(String),
    /// A write or sync failed for good. Nothing more is acknowledged; the process must end and start again.
    #[error("the store has stopped: {0}")]
    Failed(String),
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// Why a store could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process owns it.
    #[error(
        "another scm-connect (process {holder}) holds {}; stop it, or use PostgreSQL (store.url = \"postgres://…\") for several processes",
        lock.display()
    )]
    Locked {
        /// The lock file.
        lock: std::path::PathBuf,
        /// The owner's process id, as far as it is known.
        holder: String,
    },
    /// The master key is missing, wrong, or readable by others.
    #[error("{0}")]
    Keys(String),
    /// What was acknowledged is not all there.
    #[error(
        "{0}; nothing was changed: restore a backup, or let go of what cannot be read with `scm-connect store verify --accept-loss`"
    )]
    Damaged(String),
    /// Written by a later version.
    #[error("{0}; nothing was changed: use the version of scm-connect that wrote it, or a later one")]
    Newer(String),
    /// The file system says no.
    #[error("the store cannot be opened: {0}")]
    Io(String),
}

/// What became of a delivery at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Stored, on stable storage.
    New(DeliveryId),
    /// Known already, and on stable storage.
    Duplicate(DeliveryId),
    /// Known and given up; somebody pressed Redeliver, so it is tried again.
    Woken(DeliveryId),
}

impl Accepted {
    /// The id under which it is kept.
    #[must_use]
    pub const fn id(self) -> DeliveryId {
        match self {
            Self::New(id) | Self::Duplicate(id) | Self::Woken(id) => id,
        }
    }
}

/// A stored delivery that no index knows yet.
#[derive(Debug, Clone)]
pub struct Unindexed {
    /// Its id.
    pub id: DeliveryId,
    /// When it reached us.
    pub received_at: Timestamp,
    /// The delivery.
    pub delivery: Delivery,
    /// How many processes died while they read it, or one beside it ([`Inbox::reading`]).
    pub deaths: u32,
}

/// What the indexer read from a stored delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// Which delivery.
    pub id: DeliveryId,
    /// The forge's event name.
    pub event: String,
    /// The event's action.
    pub action: Option<String>,
    /// `github` or `gitlab`.
    pub provider: String,
    /// What it queues behind.
    pub lane: Lane,
    /// Ends here and now instead of being queued: what is no work (`ping`), or cannot be read.
    pub ended: Option<(DeliveryState, String)>,
}

/// A delivery that a worker holds for a while.
#[derive(Debug)]
pub struct Claim {
    /// What is to be done.
    pub delivery: Delivery,
    /// What is remembered of it; `attempts` counts this try already.
    pub record: DeliveryRecord,
    /// Tries since it was last asked for by a person, this one among them: what the retry schedule counts.
    pub tries: u32,
    /// The store's mark of this very claim; an older one settles nothing.
    pub fence: u64,
}

/// How a worker leaves a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Apply what the handler decided.
    Apply(Changes),
    /// Try again then.
    Retry {
        /// Not before.
        at: Timestamp,
        /// What went wrong.
        error: String,
    },
    /// Give up; kept until somebody looks.
    Park {
        /// A stable word: `unreadable`, `crash_loop`, `exhausted`.
        reason: String,
        /// What went wrong.
        error: String,
    },
}

/// What became of an outcome.
#[derive(Debug)]
pub enum Settled {
    /// Written.
    Done,
    /// Another worker has it by now; nothing was changed.
    LeaseLost,
    /// A record changed since it was read; nothing was changed, handle the event again.
    Changed(Box<Claim>),
}

/// How long things are kept, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Bodies.
    pub payload_ms: i64,
    /// Delivery records and their attempts.
    pub metadata_ms: i64,
}

/// What one round of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Records deleted.
    pub records: u64,
    /// Bytes given back to the file system.
    pub bytes: u64,
}

/// What one piece of a scrub has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrubbed {
    /// How much of this pass is done, in bytes or what is as good.
    pub done: u64,
    /// How much there is.
    pub all: u64,
    /// What is wrong in this piece, a sentence each.
    pub found: Vec<String>,
    /// The pass ends with this piece.
    pub is_last: bool,
}

/// Deliveries, from the door to their end.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Keeps a delivery. Returns only after it is on stable storage; a duplicate waits for its first copy's sync.
    async fn accept(&self, delivery: Delivery, now: Timestamp) -> Result<Accepted, StoreError>;
    /// The oldest deliveries that no index knows yet.
    async fn unindexed(&self, limit: usize) -> Result<Vec<Unindexed>, StoreError>;
    /// Notes, before it happens, that these are read for their index now; with none, that the reading has ended. So a
    /// body that kills the process is known after the next start. The note outlives the process; it need not outlive a
    /// power cut, which no body can cause.
    async fn reading(&self, ids: &[DeliveryId]) -> Result<(), StoreError>;
    /// Writes delivery, lane and queue rows for them, in one act.
    async fn index(&self, rows: Vec<Indexed>, now: Timestamp) -> Result<(), StoreError>;
    /// Takes up to `limit` due deliveries, one per lane, each for `lease_ms`; the attempt is counted before it starts.
    async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError>;
    /// Keeps a claim alive. `false`: it is lost.
    async fn extend_claim(&self, claim: &Claim, until: Timestamp) -> Result<bool, StoreError>;
    /// Ends an attempt: the delivery's new state and all that it changes, in one act.
    async fn settle_delivery(
        &self,
        claim: Claim,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Settled, StoreError>;
    /// Queues a delivery again, whatever its state; its history stays. `false`: there is none, or its body is gone.
    async fn replay(&self, id: DeliveryId, actor: &str, now: Timestamp) -> Result<bool, StoreError>;
    /// Somebody looked at a dead letter and lets it go: state `ignored`, reason `discarded`. `false`: it is not dead.
    async fn discard(&self, id: DeliveryId, actor: &str, now: Timestamp) -> Result<bool, StoreError>;
    /// Queues everything again that waits for its account to be bound. Returns how many.
    async fn wake_unbound(&self, now: Timestamp) -> Result<u64, StoreError>;
    /// Deletes what is past its time, a bounded piece at a time; never what is unfinished or dead.
    async fn purge(&self, keep: Retention, now: Timestamp) -> Result<Purged, StoreError>;
    /// One delivery.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError>;
    /// Its bytes; `None` when their time is over.
    async fn delivery_body(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;
    /// Its attempts, oldest first.
    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError>;
    /// A page of deliveries, newest first.
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &Page,
    ) -> Result<Paged<DeliveryRecord>, StoreError>;
    /// Returns when there may be work, or after `at_most_ms`.
    async fn wait(&self, at_most_ms: u64);
}

/// Organizations, connections, projects, members, runs and the audit log.
#[async_trait]
pub trait Records: Send + Sync {
    /// The connections that may hold the event's account.
    async fn candidates(
        &self,
        source: &SourceKey,
        host: &Host,
        about: &About,
    ) -> Result<Candidates, StoreError>;
    /// Reads what a handler needs. `connection` may be one that is not recorded yet.
    async fn known(
        &self,
        source: &Source,
        connection: &Connection,
        lookup: &Lookup,
    ) -> Result<Option<Known>, StoreError>;
    /// Writes records outside of a delivery (config, setup, CLI), in one act. `false`: an expectation did not hold.
    async fn apply(&self, changes: Vec<Change>, expects: Vec<(RecordKey, u64)>) -> Result<bool, StoreError>;
    /// One source.
    async fn source(&self, key: &SourceKey) -> Result<Option<Source>, StoreError>;
    /// All sources.
    async fn sources(&self) -> Result<Vec<Source>, StoreError>;
    /// One organization.
    async fn organization(&self, slug: &OrganizationSlug) -> Result<Option<Organization>, StoreError>;
    /// A page of organizations, by slug.
    async fn organizations(&self, page: &Page) -> Result<Paged<Organization>, StoreError>;
    /// One connection.
    async fn connection(&self, key: &ConnectionKey) -> Result<Option<Connection>, StoreError>;
    /// A page of connections, by key.
    async fn connections(
        &self,
        filter: &ConnectionFilter,
        page: &Page,
    ) -> Result<Paged<Connection>, StoreError>;
    /// One project by its id ([`Project::id`]).
    async fn project(&self, id: &str) -> Result<Option<Project>, StoreError>;
    /// A page of projects, by path.
    async fn projects(&self, filter: &ProjectFilter, page: &Page) -> Result<Paged<Project>, StoreError>;
    /// One member by its id ([`Member::id`]).
    async fn member(&self, id: &str) -> Result<Option<Member>, StoreError>;
    /// A page of members, by login.
    async fn members(&self, filter: &MemberFilter, page: &Page) -> Result<Paged<Member>, StoreError>;
    /// A page of a project's runs, newest first.
    async fn pipelines(&self, project: &Project, page: &Page) -> Result<Paged<Pipeline>, StoreError>;
    /// One line of the audit log by its id ([`AuditEntry::id`]).
    async fn audit_entry(&self, id: &str) -> Result<Option<AuditEntry>, StoreError>;
    /// A page of the audit log, newest first.
    async fn audit(&self, filter: &AuditFilter, page: &Page) -> Result<Paged<AuditEntry>, StoreError>;
}

/// Tokens and the one-time code of the first start, beside the tickets of browsers.
#[async_trait]
pub trait Access: Tickets {
    /// Keeps a new token's record.
    async fn put_token(&self, token: TokenRecord) -> Result<(), StoreError>;
    /// Finds a token by the SHA-256 of its text.
    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError>;
    /// A page of tokens, by id.
    async fn tokens(
        &self,
        organization: Option<&OrganizationSlug>,
        kind: Option<TokenKind>,
        page: &Page,
    ) -> Result<Paged<TokenRecord>, StoreError>;
    /// Ends a token. `false`: there is none with this id.
    async fn revoke_token(&self, id: &str, now: Timestamp) -> Result<bool, StoreError>;
    /// Remembers the setup code's hash, in place of any before.
    async fn put_setup_code(&self, hash: &[u8; 32], expires_at: Timestamp) -> Result<(), StoreError>;
    /// Uses the setup code up and makes the first organization with its token, in one act. `false`: wrong, old or used.
    async fn redeem_setup_code(
        &self,
        hash: &[u8; 32],
        organization: Organization,
        token: TokenRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// What the intake is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// How many deliveries wait to be put on stable storage this moment.
    pub waiting: u64,
    /// How many were put there since the store was opened.
    pub taken: u64,
    /// So many have no index yet that nothing may hold the indexer up.
    pub crowded: bool,
}

/// What operators ask.
#[async_trait]
pub trait Health: Send + Sync {
    /// What the intake is doing this moment: while deliveries are taken, other work steps aside. Costs next to nothing.
    fn load(&self) -> Load {
        Load::default()
    }
    /// Writes and syncs a small mark: can a delivery be kept now?
    async fn probe(&self, now: Timestamp) -> Result<(), StoreError>;
    /// The gauges' numbers.
    async fn figures(&self) -> Result<StoreFigures, StoreError>;
    /// Reads everything and compares it with its checksums, in small steps; names what is wrong.
    async fn verify(&self, progress: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Vec<String>, StoreError>;
    /// Checks the next piece of everything that is kept, about a megabyte of it, and begins anew after the last one.
    /// Finds what [`Self::verify`] finds.
    async fn scrub(&self) -> Result<Scrubbed, StoreError> {
        Ok(Scrubbed { done: 1, all: 1, found: self.verify(&|_, _| {}).await?, is_last: true })
    }
    /// Finishes what is under way and lets go of the files. Nothing works afterwards.
    async fn close(&self) -> Result<(), StoreError>;
}

impl std::fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// Everything that is kept.
pub trait Store:
    Inbox + Records + Jobs + Access + Credentials + Tasks + Rosters + Trail + Health + Keep
{
}
impl<T: Inbox + Records + Jobs + Access + Credentials + Tasks + Rosters + Trail + Health + Keep> Store for T {}
