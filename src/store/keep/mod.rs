//! Everything that is kept, as it moves from one store to another: typed, in order, piece by piece.
//!
//! A [`Frozen`] view shows one instant while work goes on beside it. What can be derived (indexes, counters) does not
//! move but is made anew, and leases do not move at all: nobody holds work across a move.

pub mod archive;
mod tally;
mod transfer;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use tally::Tally;
pub use transfer::{MoveError, Progress, compare, transfer};

use super::StoreError;
use crate::domain::access::TokenRecord;
use crate::domain::change::AuditEntry;
use crate::domain::ci::CheckIn;
use crate::domain::credential::CredentialAbout;
use crate::domain::delivery::{Attempt, Delivery, DeliveryRecord, DeliveryState};
use crate::domain::known::Versioned;
use crate::domain::organization::{Connection, Member, Organization, Source};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::scan::{Finding, Scan};
use crate::domain::task::Task;
use crate::domain::{DeliveryId, Timestamp};
pub use crate::seal::Keyring;
use crate::seal::SealError;

/// Items that one piece holds at most.
pub const PIECE_ITEMS_MAX: usize = 256;
/// Bytes of deliveries after which a piece ends (but it always holds one item).
pub const PIECE_BYTES_MAX: usize = 4 << 20;

/// Why a store does not change its keys.
pub(super) fn cannot_rotate(error: &SealError) -> StoreError {
    StoreError::Unavailable(format!("keys cannot be rotated: {error}"))
}

/// Why a store does not begin to change its keys.
pub(super) fn rotates_already() -> StoreError {
    StoreError::Unavailable("keys are being rotated already".into())
}

/// One thing that is kept.
#[derive(Debug, Clone)]
pub struct Item {
    /// What is known of it.
    pub fact: Fact,
    /// The bytes of a delivery, as long as they are kept. Always there for [`Fact::Unindexed`], never for what is no
    /// delivery.
    pub content: Option<Delivery>,
    /// The credential itself, with [`Fact::Credential`] only. Never written down unsealed.
    pub secret: Option<SecretString>,
}

impl From<Fact> for Item {
    fn from(fact: Fact) -> Self {
        Self { fact, content: None, secret: None }
    }
}

/// What is known of one thing. The order of the variants is the order in which they move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// An organization.
    Organization(Versioned<Organization>),
    /// A source.
    Source(Versioned<Source>),
    /// A connection.
    Connection(Box<Versioned<Connection>>),
    /// A project.
    Project(Box<Versioned<Project>>),
    /// A member.
    Member(Box<Versioned<Member>>),
    /// A run.
    Pipeline(Box<Versioned<Pipeline>>),
    /// What a CI job's check-in came to.
    CheckIn(Box<Versioned<CheckIn>>),
    /// A scanner's run.
    Scan(Box<Versioned<Scan>>),
    /// What scanners found.
    Finding(Box<Versioned<Finding>>),
    /// A token, by its hash.
    Token(TokenRecord),
    /// A credential; itself is the item's secret.
    Credential(CredentialAbout),
    /// Work to be done outside. Never in state `working`.
    Task(Box<Task>),
    /// The one-time code of the first start, by its hash.
    SetupCode(SetupCode),
    /// A line of the audit log; they move oldest first, lines of one moment in the order in which they were written.
    Audit(AuditEntry),
    /// A body that was seen: an equal one under another id is suspected to be a replay.
    Body(BodySeen),
    /// A delivery that an index knows.
    Delivery(Box<KeptDelivery>),
    /// A delivery that no index knows yet; they move in the order in which they were taken.
    Unindexed(KeptUnindexed),
}

impl Fact {
    /// The kinds, in the order in which they move.
    pub const KINDS: [&str; 17] = [
        "organization",
        "source",
        "connection",
        "project",
        "member",
        "pipeline",
        "check_in",
        "scan",
        "finding",
        "token",
        "credential",
        "task",
        "setup_code",
        "audit",
        "body",
        "delivery",
        "unindexed",
    ];

    /// Its kind's name, as files have it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Organization(_) => "organization",
            Self::Source(_) => "source",
            Self::Connection(_) => "connection",
            Self::Project(_) => "project",
            Self::Member(_) => "member",
            Self::Pipeline(_) => "pipeline",
            Self::CheckIn(_) => "check_in",
            Self::Scan(_) => "scan",
            Self::Finding(_) => "finding",
            Self::Token(_) => "token",
            Self::Credential(_) => "credential",
            Self::Task(_) => "task",
            Self::SetupCode(_) => "setup_code",
            Self::Audit(_) => "audit",
            Self::Body(_) => "body",
            Self::Delivery(_) => "delivery",
            Self::Unindexed(_) => "unindexed",
        }
    }
}

/// The one-time code of the first start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupCode {
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The first delivery with a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodySeen {
    /// Of source and body, made in the same way by every store.
    pub hash: [u8; 16],
    /// Which delivery had it first.
    pub first: DeliveryId,
    /// When that was received.
    pub at: Timestamp,
}

/// A delivery with its place in the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDelivery {
    /// What people see of it. Never in state `working`.
    pub record: DeliveryRecord,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// As the head of its lane it holds the others back when it fails.
    pub blocks: bool,
    /// It stands in a lane of its own: it stepped aside, or was asked for by hand.
    pub aside: bool,
    /// It is the one of its lane that may be claimed when it is due. In each lane with somebody in it, exactly one is.
    pub turn: bool,
    /// When it first failed as the head of its lane.
    pub failing_since: Option<Timestamp>,
    /// Attempts that do not count against the schedule.
    pub attempts_forgiven: u32,
    /// Rises with each claim.
    pub fence: u64,
    /// Copies are recognised by it: no later delivery has taken over its source, hook and id.
    pub holds_key: bool,
}

impl KeptDelivery {
    /// Takes it out of a worker's hands: a lease does not move, so it is due again since its last attempt began.
    #[must_use]
    pub fn freed(mut self) -> Self {
        if self.record.state == DeliveryState::Working {
            let began = self.attempts.last().map_or(self.record.received_at, |attempt| attempt.started_at);
            self.record.state = DeliveryState::Queued;
            self.record.due_at = Some(began);
        }
        self
    }

    /// Whether it stands in a lane.
    #[must_use]
    pub fn is_in_line(&self) -> bool {
        !self.record.state.is_final() && self.record.due_at.is_some()
    }
}

/// A delivery that was taken and that no index knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptUnindexed {
    /// Its id.
    pub id: DeliveryId,
    /// When it reached us.
    pub received_at: Timestamp,
}

/// Some items, and where the next ones begin.
#[derive(Debug)]
pub struct Piece {
    /// In the order of [`Fact::KINDS`]. Empty only at the end.
    pub items: Vec<Item>,
    /// Opaque; `None` at the end.
    pub next: Option<String>,
}

/// Everything that a store holds, as it was at one instant: every delivery that was acknowledged before it was asked
/// for is in it. Nothing that it shows is deleted as long as it lives.
#[async_trait]
pub trait Frozen: Send + Sync {
    /// About how many items there are, for progress.
    fn items_about(&self) -> u64;
    /// The items after this cursor, at most [`PIECE_ITEMS_MAX`] of them. The same cursor gives the same items.
    async fn piece(&self, after: Option<&str>) -> Result<Piece, StoreError>;
}

/// How far an unfinished import has come; kept in the store that takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportMark {
    /// Names what is imported: another one cannot go on here.
    pub from: String,
    /// Items that are in.
    pub items: u64,
    /// [`Tally::sum`] of them.
    pub sum: String,
}

/// Hears how far something long has come: how much is done, and how much there is.
pub type Tell = dyn Fn(u64, u64) + Send + Sync;

/// What a change of keys has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The new master key is in its file, and not in use yet.
    Prepared,
    /// New keys are in force, and nothing that is kept needs an older one.
    Done {
        /// Values that were sealed anew.
        sealed: u64,
    },
}

/// Moving everything out of a store and into another.
#[async_trait]
pub trait Keep: Send + Sync {
    /// The keys with which this store seals.
    fn keyring(&self) -> &Keyring;
    /// Everything as it is now. Taking, handling and reading go on; what is past its time is deleted later.
    async fn freeze(&self) -> Result<Box<dyn Frozen>, StoreError>;
    /// Whether nothing is kept: no record, no delivery, no unfinished import. A setup code does not count.
    async fn is_empty(&self) -> Result<bool, StoreError>;
    /// The import that has not ended, if there is one. Such a store is not to be served.
    async fn import_mark(&self) -> Result<Option<ImportMark>, StoreError>;
    /// Writes the items as they were elsewhere and remembers the mark, in one act. The store was empty, or `mark` goes
    /// on from the one before; else nothing is changed.
    async fn import(&self, items: Vec<Item>, mark: ImportMark) -> Result<(), StoreError>;
    /// Everything is in: forgets the mark.
    async fn end_import(&self) -> Result<(), StoreError>;
    /// Puts a new master key and new data keys in force and seals everything anew, while work goes on; or only puts the
    /// new master key into its file. Goes on where it was interrupted. At the end nothing needs an older key.
    async fn rotate_keys(
        &self,
        prepare_only: bool,
        now: Timestamp,
        tell: &Tell,
    ) -> Result<Rotated, StoreError>;
}
