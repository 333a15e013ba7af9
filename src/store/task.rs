//! Work to be done outside.

use async_trait::async_trait;

use super::{Page, Paged, StoreError, TaskFilter};
use crate::domain::Timestamp;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::RecordKey;
use crate::domain::replay::Piece;
use crate::domain::task::Task;

/// A task that a worker holds for a while; its fence is the store's mark of this very claim.
#[derive(Debug)]
pub struct TaskClaim {
    /// What is to be done; `attempts` counts this try already.
    pub task: Task,
}

/// How a worker leaves a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskOutcome {
    /// It was done.
    Done {
        /// What was learnt, to be written in the same act.
        changes: Vec<Change>,
        /// The records that were looked at, with their versions.
        expects: Vec<(RecordKey, u64)>,
        /// What came of it, in a sentence.
        note: String,
    },
    /// Queue these deliveries again and remember the place, in one act; the next piece then, or that was all.
    Piece {
        /// Which ones.
        piece: Piece,
        /// When the next piece may begin.
        next: Timestamp,
    },
    /// Try again then.
    Retry {
        /// Not before.
        at: Timestamp,
        /// What went wrong.
        error: String,
    },
    /// Do it then: nothing is wrong with it, it was only asked to wait. No attempt is used up.
    Wait {
        /// Not before.
        at: Timestamp,
        /// What it waits for.
        error: String,
    },
    /// It cannot be done; somebody has to look.
    Fail {
        /// What went wrong.
        error: String,
    },
}

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskSettled {
    /// Written.
    Done,
    /// Another worker has it by now; nothing was changed.
    LeaseLost,
    /// A record changed since it was looked at; nothing was changed, and the claim still holds.
    Changed,
}

/// Tasks, from the wish to their end. A wish that comes with other records is a [`Change::Wish`].
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Takes up to `limit` due tasks, each for `lease_ms`; the attempt is counted before it starts.
    async fn claim_tasks(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<TaskClaim>, StoreError>;
    /// Keeps a claim alive. `false`: it is lost.
    async fn extend_task(&self, claim: &TaskClaim, until: Timestamp) -> Result<bool, StoreError>;
    /// Ends a try: the task's new state and all that was learnt, in one act.
    async fn settle_task(
        &self,
        claim: &TaskClaim,
        outcome: TaskOutcome,
        now: Timestamp,
    ) -> Result<TaskSettled, StoreError>;
    /// Ends a task of the kind that is done in pieces, whoever has it in hand, and says so in the audit log, in one act.
    /// `None`: there is none, it is of another kind, or it is over.
    async fn cancel_task(&self, id: &str, actor: &str, now: Timestamp) -> Result<Option<Task>, StoreError>;
    /// One task.
    async fn task(&self, id: &str) -> Result<Option<Task>, StoreError>;
    /// A page of tasks, the one that was wished last first.
    async fn tasks(&self, filter: &TaskFilter, page: &Page) -> Result<Paged<Task>, StoreError>;
}

/// The task after this outcome, and what the audit log says of its end.
pub(super) fn settled(task: Task, outcome: TaskEnd, now: Timestamp) -> (Task, Option<AuditEntry>) {
    let (task, why) = match outcome {
        TaskEnd::Done { note } => (task.done(note, now), None),
        TaskEnd::Piece { piece, next, queued } => (task.advanced(&piece, queued, next, now), None),
        TaskEnd::Retry { at, error } => (task.put_off(error, at), None),
        TaskEnd::Wait { at, error } => (task.waits(error, at), None),
        TaskEnd::Fail { error } => (task.failed(error.clone(), now), Some(error)),
    };
    let line = task.line(why, now);
    (task, line)
}

/// The task after somebody has ended it, and what the audit log says of that. `None`: it cannot be ended.
pub(super) fn cancelled(task: Task, actor: &str, now: Timestamp) -> Option<(Task, Option<AuditEntry>)> {
    if !task.kind.is_in_pieces() || task.state.is_final() {
        return None;
    }
    let task = task.cancelled(now);
    let line = task.line(Some(format!("cancelled by {actor}")), now);
    Some((task, line))
}

/// An outcome without its changes.
#[derive(Debug)]
pub(super) enum TaskEnd {
    Done {
        note: String,
    },
    /// `queued`: how many of the piece the store has queued.
    Piece {
        piece: Piece,
        next: Timestamp,
        queued: u64,
    },
    Retry {
        at: Timestamp,
        error: String,
    },
    Wait {
        at: Timestamp,
        error: String,
    },
    Fail {
        error: String,
    },
}

/// An outcome, taken apart.
pub(super) fn apart(outcome: TaskOutcome) -> (Vec<Change>, Vec<(RecordKey, u64)>, TaskEnd) {
    let alone = |end: TaskEnd| (Vec::new(), Vec::new(), end);
    match outcome {
        TaskOutcome::Done { changes, expects, note } => (changes, expects, TaskEnd::Done { note }),
        TaskOutcome::Piece { piece, next } => alone(TaskEnd::Piece { piece, next, queued: 0 }),
        TaskOutcome::Retry { at, error } => alone(TaskEnd::Retry { at, error }),
        TaskOutcome::Wait { at, error } => alone(TaskEnd::Wait { at, error }),
        TaskOutcome::Fail { error } => alone(TaskEnd::Fail { error }),
    }
}
