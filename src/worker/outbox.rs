//! Takes due tasks and has each performed, several at once.
//!
//! A task may be performed twice, when a process dies in it: whoever performs must bear that. What was learnt is written
//! with the task's end, in one act.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::bounds::{self, ERROR_BYTES_MAX};
use super::schedule::{STOPPED, Series};
use super::supervise::Pulse;
use super::{Context, metric};
use crate::domain::Timestamp;
use crate::domain::task::{Performed, Task};
use crate::store::{StoreError, TaskClaim, TaskOutcome, TaskSettled};
use crate::telemetry::{Fault, report};

const LEASE_MS: i64 = 30_000;
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Tasks at once. They mostly wait for a forge.
const AT_ONCE: usize = 16;
/// Between two looks when nothing is due.
const IDLE: Duration = Duration::from_millis(500);
/// No task takes longer; a sync of the largest organization is far below.
const TIME_MAX: Duration = Duration::from_secs(60 * 60);
/// When the records change under a task so often, it is better done later.
const DONE_AGAIN_MAX: u32 = 4;

/// Does what tasks ask for.
#[async_trait]
pub trait Perform: Send + Sync {
    /// Does it. Dropped when the lease is lost or the process stops.
    async fn perform(&self, task: &Task) -> Result<Performed, StoreError>;
}

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

pub(super) async fn run(
    context: Arc<Context>,
    performer: Arc<dyn Perform>,
    pulse: Pulse,
) -> Result<(), StoreError> {
    let inside = Arc::new(AtomicUsize::new(0));
    while !context.stopping.is_cancelled() {
        let room = AT_ONCE.saturating_sub(inside.load(Ordering::Acquire));
        let claims = match room {
            0 => Vec::new(),
            // Not to be dropped half-way: what the store has claimed for us must reach a performer.
            _ => context.store.claim_tasks(context.now(), LEASE_MS, room).await?,
        };
        pulse.beat();
        if claims.is_empty() {
            context.stopping.run_until_cancelled(tokio::time::sleep(IDLE)).await;
        }
        for claim in claims {
            inside.fetch_add(1, Ordering::AcqRel);
            let place = Place(Arc::clone(&inside));
            let (mine, performer) = (Arc::clone(&context), Arc::clone(&performer));
            context.spawn(async move {
                attempt(&mine, performer.as_ref(), &claim).await;
                drop(place);
            });
        }
    }
    Ok(())
}

/// Performs and settles. Whatever happens, the task is settled, or its lease runs out and it is taken again.
async fn attempt(context: &Context, performer: &dyn Perform, claim: &TaskClaim) {
    let began = Instant::now();
    match work(context, performer, claim).await {
        Ok(word) => metric::task(word, began.elapsed().as_secs_f64()),
        Err(StoreError::Failed(why)) => context.fail(&why),
        Err(error) => {
            let error = bounds::cut(&error.to_string(), ERROR_BYTES_MAX);
            let (id, kind) = (&claim.task.id, claim.task.kind.as_str());
            report!(Fault::TaskLeft, id = %id, kind, error, "a task is left to its lease's end");
        }
    }
}

async fn work(
    context: &Context,
    performer: &dyn Perform,
    claim: &TaskClaim,
) -> Result<&'static str, StoreError> {
    for _ in 0..DONE_AGAIN_MAX {
        let performed = tokio::select! {
            biased;
            performed = guarded(performer, &claim.task) => performed?,
            () = context.giving_back.cancelled() => {
                Performed::Later { at: Some(context.now()), error: STOPPED.into() }
            }
            () = lost(context, claim) => return Ok("lease_lost"),
        };
        let (outcome, word) = outcome(context, &claim.task, performed);
        match context.store.settle_task(claim, outcome, context.now()).await? {
            TaskSettled::Done => return Ok(word),
            TaskSettled::LeaseLost => return Ok("lease_lost"),
            TaskSettled::Changed => {}
        }
    }
    let error = "what it is about changed again and again while it ran".to_owned();
    let (outcome, word) = outcome(context, &claim.task, Performed::Later { at: None, error });
    context.store.settle_task(claim, outcome, context.now()).await?;
    Ok(word)
}

/// Performs within bounds of time; a panic is a failure like any other.
async fn guarded(performer: &dyn Perform, task: &Task) -> Result<Performed, StoreError> {
    let later = |error: String| Ok(Performed::Later { at: None, error });
    let performing = AssertUnwindSafe(performer.perform(task)).catch_unwind();
    match tokio::time::timeout(TIME_MAX, performing).await {
        // The store would say the same after each lease, for ever; a task has only so many tries.
        Ok(Ok(Err(StoreError::Corrupt(why)))) => later(StoreError::Corrupt(why).to_string()),
        Ok(Ok(performed)) => performed,
        Ok(Err(payload)) => later(format!("it panicked: {}", bounds::panic_text(payload.as_ref()))),
        Err(_) => later("it took longer than an hour".into()),
    }
}

/// Keeps the lease; returns when it is lost.
async fn lost(context: &Context, claim: &TaskClaim) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let until = context.now().plus_ms(LEASE_MS);
        // A store that is away may be back before the lease ends; the settlement finds out.
        if let Ok(false) = context.store.extend_task(claim, until).await {
            return;
        }
    }
}

fn outcome(context: &Context, task: &Task, performed: Performed) -> (TaskOutcome, &'static str) {
    let cut = |error: &str| bounds::cut(error, ERROR_BYTES_MAX);
    match performed {
        Performed::Done { changes, expects, note } => {
            (TaskOutcome::Done { changes, expects, note: cut(&note) }, "done")
        }
        Performed::Piece { piece, next } => (TaskOutcome::Piece { piece, next }, "piece"),
        Performed::Failed { error } => {
            report!(Fault::TaskFailed, id = %task.id, kind = task.kind.as_str(), error, "a task was given up");
            (TaskOutcome::Fail { error: cut(&error) }, "failed")
        }
        Performed::Later { at: Some(at), error } => (TaskOutcome::Wait { at, error: cut(&error) }, "waiting"),
        Performed::Later { at: None, error } => match next(context, task) {
            Some(at) => (TaskOutcome::Retry { at, error: cut(&error) }, "retried"),
            None => outcome(context, task, Performed::Failed { error }),
        },
    }
}

/// As for deliveries; `None`: it was tried often enough.
fn next(context: &Context, task: &Task) -> Option<Timestamp> {
    let now = context.now();
    Series { tries: task.attempts, began_at: now, crashes: 0 }.next(now, (context.chance)())
}
