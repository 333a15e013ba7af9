//! The loops that work on what was stored, supervised: indexer, inbox and timers.
//!
//! Nothing here holds the only copy of anything: whatever is dropped half-way is found again in the store, by its
//! place in the journal or by a lease that has run out.

mod attempt;
mod bounds;
mod courtesy;
mod inbox;
mod indexer;
mod metric;
mod outbox;
mod patience;
mod replay;
mod schedule;
mod scrub;
mod supervise;
mod timer;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use outbox::Perform;
pub use replay::replay;

use crate::domain::change::Changes;
use crate::domain::delivery::{Delivery, Lane};
use crate::domain::event::Event;
use crate::domain::known::Known;
use crate::domain::organization::Forge;
use crate::domain::{Clock, Timestamp};
use crate::handler;
use crate::provider::{self, Unreadable};
use crate::store::{Retention, Store, StoreError};
use crate::telemetry::{Fault, report};

/// How a loop fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopState {
    /// It works.
    Running,
    /// It failed and begins again by itself.
    Failing,
    /// It ended, because it was told to or because the store has stopped.
    Stopped,
}

/// What the loops tell, and ask of, whoever started them.
pub trait Notice: Send + Sync {
    /// A write was proven to be on stable storage: the daemon can take deliveries.
    fn writable(&self, at: Timestamp);
    /// A write was refused, or did not end in time.
    fn unwritable(&self, why: &str, at: Timestamp);
    /// A loop fares differently now. Called once per change.
    fn changed(&self, name: &'static str, state: LoopState, at: Timestamp);
    /// The store has stopped for good: the process must end with an error within 5 s. Called once.
    fn fatal(&self, why: &str);
    /// What the check of everything that is kept has found in the pass under way, or in the one that just ended: a
    /// sentence each, none when all is well.
    fn checked(&self, damages: &[String]);
    /// When a delivery was last put on stable storage; a recent one makes a probe needless.
    fn last_write(&self) -> Option<Timestamp> {
        None
    }
}

/// Any random number, for the jitter of retries. The caller owns the generator.
pub type Chance = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The pure functions between the store's verbs; tests put worse ones in their place.
#[derive(Clone, Copy)]
struct Rules {
    read: fn(Forge, &Delivery) -> Result<Event, Unreadable>,
    lane: fn(&Event) -> Lane,
    route: Route,
    handle: fn(&Event, &Known) -> Changes,
}

type Route = fn(
    &crate::domain::organization::Source,
    &Event,
    &crate::domain::known::Candidates,
    Timestamp,
) -> handler::Routing;

impl Rules {
    const REAL: Self =
        Self { read: provider::read, lane: handler::lane, route: handler::route, handle: handler::handle };
}

/// What the loops work with.
pub struct Parts {
    store: Arc<dyn Store>,
    clock: Clock,
    retention: Retention,
    notice: Arc<dyn Notice>,
    chance: Chance,
    rules: Rules,
    performer: Option<Arc<dyn Perform>>,
}

impl Parts {
    /// Everything that the loops need.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        retention: Retention,
        notice: Arc<dyn Notice>,
        chance: Chance,
    ) -> Self {
        Self { store, clock, retention, notice, chance, rules: Rules::REAL, performer: None }
    }

    /// With somebody who does what tasks ask for; without, they wait.
    #[must_use]
    pub fn with_performer(self, performer: Arc<dyn Perform>) -> Self {
        Self { performer: Some(performer), ..self }
    }
}

/// What all loops share.
struct Context {
    store: Arc<dyn Store>,
    clock: Clock,
    retention: Retention,
    notice: Arc<dyn Notice>,
    chance: Chance,
    rules: Rules,
    /// Which attempts the store, not the delivery, has left without an end.
    excused: attempt::Excused,
    /// How many attempts run at once.
    gate: inbox::Gate,
    /// How long the intake has gone first.
    courtesy: courtesy::Courtesy,
    /// No new work.
    stopping: CancellationToken,
    /// What is under way is given back.
    giving_back: CancellationToken,
    /// What is under way is dropped; the store finds it again when its lease ends.
    dropping: CancellationToken,
    /// Everything that runs.
    tasks: TaskTracker,
    failed: std::sync::Once,
}

impl Context {
    fn new(parts: Parts, stopping: CancellationToken) -> Self {
        Self {
            store: parts.store,
            clock: parts.clock,
            retention: parts.retention,
            notice: parts.notice,
            chance: parts.chance,
            rules: parts.rules,
            excused: attempt::Excused::default(),
            gate: inbox::Gate::default(),
            courtesy: courtesy::Courtesy::default(),
            stopping,
            giving_back: CancellationToken::new(),
            dropping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            failed: std::sync::Once::new(),
        }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The store has stopped: nothing more is begun, and the process is told to end.
    fn fail(&self, why: &str) {
        self.stopping.cancel();
        self.failed.call_once(|| {
            report!(
                Fault::ProcessEnds,
                reason = why,
                "the store has stopped; the process ends, nothing stored is lost"
            );
            self.notice.fatal(why);
        });
    }

    /// Lets the intake go first while deliveries wait for their sync, but never for ever.
    async fn step_aside(&self) {
        let began = Instant::now();
        while !self.stopping.is_cancelled() {
            let (load, now) = (self.store.load(), Instant::now());
            let waits = load.waiting > 0 && now.saturating_duration_since(began) < courtesy::ROUND_MAX;
            if !waits && (load.crowded || !self.courtesy.is_burst(load, now)) {
                break;
            }
            tokio::time::sleep(courtesy::STEP).await;
        }
    }

    /// Runs something that is dropped at the very end of a stop.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let dropping = self.dropping.clone();
        self.tasks.spawn(async move {
            dropping.run_until_cancelled(work).await;
        });
    }
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Everything ended or was given back.
    InTime,
    /// So many tasks were dropped; what they had claimed is free again when its lease ends.
    Dropped(usize),
}

/// The running loops.
pub struct Workers {
    context: Arc<Context>,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Workers")
    }
}

/// Starts the loops. They end when `cancel` does, or with [`Workers::stop`].
#[must_use]
pub fn start(mut parts: Parts, cancel: &CancellationToken) -> Workers {
    let performer = parts.performer.take();
    let context = Arc::new(Context::new(parts, cancel.child_token()));
    begin(&context, "indexer", indexer::run);
    begin(&context, "inbox", inbox::run);
    begin(&context, "probe", timer::probe);
    begin(&context, "figures", timer::figures);
    begin(&context, "retention", timer::retention);
    begin(&context, "scrub", scrub::run);
    if let Some(performer) = performer {
        begin(&context, "outbox", move |context, pulse| outbox::run(context, Arc::clone(&performer), pulse));
    }
    Workers { context }
}

fn begin<Fut>(
    context: &Arc<Context>,
    name: &'static str,
    body: impl Fn(Arc<Context>, supervise::Pulse) -> Fut + Send + Sync + 'static,
) where
    Fut: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    context.spawn(supervise::supervise(Arc::clone(context), name, body));
}

impl Workers {
    /// Takes no new work, lets attempts end for half of the time, gives the rest back, and drops what is left.
    pub async fn stop(&self, within: Duration) -> Stopped {
        let context = &self.context;
        context.stopping.cancel();
        context.tasks.close();
        let half = within.checked_div(2).unwrap_or(within);
        if tokio::time::timeout(half, context.tasks.wait()).await.is_ok() {
            return Stopped::InTime;
        }
        context.giving_back.cancel();
        if tokio::time::timeout(half, context.tasks.wait()).await.is_ok() {
            return Stopped::InTime;
        }
        let left = context.tasks.len();
        context.dropping.cancel();
        Stopped::Dropped(left)
    }
}
