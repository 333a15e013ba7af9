//! Work to be done outside: one row for each wish that differs from the others, and how it moves on.
//!
//! Equal wishes are one task. A wish made while its task runs has it run once more, or what changed meanwhile would be
//! lost. The steps are pure, so that every store takes the same ones.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::{AuditEntry, Change};
use super::known::RecordKey;
use super::replay::{Piece, Progress};
use super::{ConnectionKey, OrganizationSlug, Timestamp, id_of};

/// Letters of a subject that the audit log shows: a filter is shorter, if it is not made to be long.
const SHOWN_MAX: usize = 400;

/// What is to be done. Each has exactly one who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Ask the forge what a connection may still do, and mend what we can.
    CheckConnection,
    /// Read a connection's projects whole.
    SyncConnection,
    /// Read the members of a connection's account whole.
    SyncMembers,
    /// Read one person's membership; the subject is their number.
    SyncPerson,
    /// Look for deliveries that were missed; the subject is the source.
    CatchUp,
    /// Take away at the forge what we made there.
    DisconnectConnection,
    /// Replace the secrets of hooks that we made, and a token by its successor; the subject `leaked`: only the secrets,
    /// and what was replaced ends at once.
    RotateToken,
    /// Handle many deliveries again; the subject says which.
    ReplayDeliveries,
}

impl TaskKind {
    /// The word used in the API; never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CheckConnection => "check_connection",
            Self::SyncConnection => "sync_connection",
            Self::SyncMembers => "sync_members",
            Self::SyncPerson => "sync_person",
            Self::CatchUp => "catch_up",
            Self::DisconnectConnection => "disconnect_connection",
            Self::RotateToken => "rotate_token",
            Self::ReplayDeliveries => "replay_deliveries",
        }
    }

    /// Whether it is done in many pieces: it can be cancelled between them, and wishing for it again while it runs means
    /// the run that is under way.
    #[must_use]
    pub const fn is_in_pieces(self) -> bool {
        matches!(self, Self::ReplayDeliveries)
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Runs when it is due.
    Queued,
    /// Somebody is at it.
    Working,
    /// Did not work; is tried again when it is due.
    Waiting,
    /// Was done.
    Done,
    /// Was given up.
    Failed,
    /// Somebody has ended it before it was done.
    Cancelled,
}

impl TaskState {
    /// The word used in the API; never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens without a new wish.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// That something be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// What.
    pub kind: TaskKind,
    /// For whom; `None`: for the operator, about all organizations.
    pub organization: Option<OrganizationSlug>,
    /// Through which connection; `None`: no forge is asked.
    pub connection: Option<ConnectionKey>,
    /// About what of it; empty: all.
    pub subject: String,
    /// Who wants it: `api_token:…`, `cli`, `webhook`, `system`.
    pub by: String,
    /// When it was wished.
    pub at: Timestamp,
    /// Not before.
    pub due_at: Timestamp,
}

impl Wish {
    /// About a whole connection, at once.
    #[must_use]
    pub fn now(
        kind: TaskKind,
        organization: &OrganizationSlug,
        connection: &ConnectionKey,
        by: &str,
        at: Timestamp,
    ) -> Self {
        Self {
            kind,
            organization: Some(organization.clone()),
            connection: Some(connection.clone()),
            subject: String::new(),
            by: by.to_owned(),
            at,
            due_at: at,
        }
    }

    /// The task's id: the same for the same wish.
    #[must_use]
    pub fn id(&self) -> String {
        let organization = self.organization.as_ref().map_or("", |slug| slug.as_str());
        let connection = self.connection.as_ref().map_or("", |key| key.as_str());
        id_of(&["task", self.kind.as_str(), organization, connection, &self.subject])
    }
}

/// One piece of work outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// [`Wish::id`].
    pub id: String,
    /// What.
    pub kind: TaskKind,
    /// For whom; `None`: for the operator, about all organizations.
    pub organization: Option<OrganizationSlug>,
    /// Through which connection; `None`: no forge is asked.
    pub connection: Option<ConnectionKey>,
    /// About what of it; empty: all.
    pub subject: String,
    /// Where it stands.
    pub state: TaskState,
    /// Who wished it last.
    pub wished_by: String,
    /// When.
    pub wished_at: Timestamp,
    /// When it may be taken; of one that is at work, when its lease ends. `None`: it has ended.
    pub due_at: Option<Timestamp>,
    /// It was wished again while it ran, for then.
    pub again_at: Option<Timestamp>,
    /// Tries since it last ended.
    pub attempts: u32,
    /// How often it ended, well or badly.
    pub runs: u64,
    /// When the last try began.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// What went wrong the last time; never a secret, never a forge's own words.
    pub last_error: Option<String>,
    /// What came of it the last time, in a sentence.
    pub note: Option<String>,
    /// Rises with each claim: an older one settles nothing.
    pub fence: u64,
    /// Of what is done in pieces: how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl Task {
    /// After a wish.
    #[must_use]
    pub fn wished(before: Option<Self>, wish: &Wish) -> Self {
        let Some(mut task) = before else { return Self::new(wish) };
        if task.kind.is_in_pieces() && !task.state.is_final() {
            return task;
        }
        task.wished_by.clone_from(&wish.by);
        task.wished_at = wish.at;
        let earlier = |known: Option<Timestamp>| Some(known.map_or(wish.due_at, |at| at.min(wish.due_at)));
        match task.state {
            TaskState::Working => task.again_at = earlier(task.again_at),
            TaskState::Queued | TaskState::Waiting => task.due_at = earlier(task.due_at),
            TaskState::Done | TaskState::Failed | TaskState::Cancelled => {
                task.state = TaskState::Queued;
                task.due_at = Some(wish.due_at);
                task.progress = Self::beginning(task.kind);
            }
        }
        task
    }

    fn new(wish: &Wish) -> Self {
        Self {
            id: wish.id(),
            kind: wish.kind,
            organization: wish.organization.clone(),
            connection: wish.connection.clone(),
            subject: wish.subject.clone(),
            state: TaskState::Queued,
            wished_by: wish.by.clone(),
            wished_at: wish.at,
            due_at: Some(wish.due_at),
            again_at: None,
            attempts: 0,
            runs: 0,
            started_at: None,
            finished_at: None,
            last_error: None,
            note: None,
            fence: 0,
            progress: Self::beginning(wish.kind),
        }
    }

    fn beginning(kind: TaskKind) -> Option<Progress> {
        kind.is_in_pieces().then(Progress::default)
    }

    /// Taken until the lease ends.
    #[must_use]
    pub fn claimed(mut self, now: Timestamp, lease_end: Timestamp) -> Self {
        self.state = TaskState::Working;
        self.fence = self.fence.saturating_add(1);
        self.attempts = self.attempts.saturating_add(1);
        self.started_at = Some(now);
        self.due_at = Some(lease_end);
        self
    }

    /// Done, with what came of it; queued again when it was wished meanwhile.
    #[must_use]
    pub fn done(mut self, note: String, now: Timestamp) -> Self {
        self.last_error = None;
        self.note = Some(note);
        self.ended(TaskState::Done, now)
    }

    /// A piece was done of which so many could be queued; the next one then, unless it was the last. The claim ends with
    /// the piece, and tries are counted for each piece by itself.
    #[must_use]
    pub fn advanced(mut self, piece: &Piece, queued: u64, next: Timestamp, now: Timestamp) -> Self {
        let progress = self.progress.take().unwrap_or_default().after(piece, queued);
        let note = progress.sentence();
        self.progress = Some(progress);
        if piece.is_last {
            return self.done(note, now);
        }
        self.last_error = None;
        self.note = Some(note);
        self.attempts = 0;
        self.fence = self.fence.saturating_add(1);
        self.due_at = Some(next);
        self
    }

    /// Ended before it was done. Whoever has it in hand settles nothing any more.
    #[must_use]
    pub fn cancelled(mut self, now: Timestamp) -> Self {
        self.last_error = None;
        self.note = self.progress.as_ref().map(|progress| format!("cancelled: {}", progress.sentence()));
        self.again_at = None;
        self.fence = self.fence.saturating_add(1);
        self.ended(TaskState::Cancelled, now)
    }

    /// What the audit log says of the end of what was done in pieces: who wanted which, and what has come of it.
    #[must_use]
    pub fn line(&self, why: Option<String>, at: Timestamp) -> Option<AuditEntry> {
        let progress = self.progress.as_ref().filter(|_| self.state.is_final())?;
        let shown: String = self.subject.chars().take(SHOWN_MAX).collect();
        Some(AuditEntry {
            at,
            organization: self.organization.clone(),
            actor: self.wished_by.clone(),
            action: "deliveries.replayed".into(),
            subject: self.id.clone(),
            detail: format!("{}, of those with {shown}", progress.sentence()),
            why,
            ..AuditEntry::default()
        })
    }

    /// Given up; queued again when it was wished meanwhile.
    #[must_use]
    pub fn failed(mut self, error: String, now: Timestamp) -> Self {
        self.last_error = Some(error);
        self.ended(TaskState::Failed, now)
    }

    fn ended(mut self, state: TaskState, now: Timestamp) -> Self {
        self.runs = self.runs.saturating_add(1);
        self.attempts = 0;
        self.finished_at = Some(now);
        self.due_at = self.again_at.take();
        self.state = if self.due_at.is_some() { TaskState::Queued } else { state };
        self
    }

    /// To be tried again then. That is the run that was wished meanwhile, too.
    #[must_use]
    pub fn put_off(mut self, error: String, at: Timestamp) -> Self {
        self.last_error = Some(error);
        self.again_at = None;
        self.due_at = Some(at);
        self.state = TaskState::Waiting;
        self
    }

    /// To be done then, because the forge or a stop asks for it: that is no attempt.
    #[must_use]
    pub fn waits(mut self, error: String, at: Timestamp) -> Self {
        self.attempts = self.attempts.saturating_sub(1);
        self.put_off(error, at)
    }

    /// Takes it out of a worker's hands: a lease does not move, so it is due again since it began.
    #[must_use]
    pub fn freed(mut self) -> Self {
        if self.state == TaskState::Working {
            self.state = TaskState::Queued;
            self.due_at = self.started_at;
            self.again_at = None;
        }
        self
    }
}

/// How performing a task went.
#[derive(Debug)]
pub enum Performed {
    /// It was done.
    Done {
        /// What was learnt, to be written with the task's end.
        changes: Vec<Change>,
        /// The records that were looked at, with their versions: when one has changed since, the task is done anew.
        expects: Vec<(RecordKey, u64)>,
        /// What came of it, in a sentence.
        note: String,
    },
    /// A piece was found that is to be done now, with how far it is.
    Piece {
        /// Which deliveries.
        piece: Piece,
        /// When the next one may begin.
        next: Timestamp,
    },
    /// It may work later.
    Later {
        /// Not before, where the forge says so; else as the schedule says.
        at: Option<Timestamp>,
        /// What went wrong; nobody's secrets, no forge's own words.
        error: String,
    },
    /// It cannot be done; somebody has to look.
    Failed {
        /// What went wrong.
        error: String,
    },
}

impl Performed {
    /// Done, and nothing learnt that has to be written down.
    #[must_use]
    pub fn noted(note: String) -> Self {
        Self::Done { changes: Vec::new(), expects: Vec::new(), note }
    }
}
