//! Takes due deliveries and has each attempted, several at once, each lane one at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;

use super::supervise::Pulse;
use super::{Context, attempt};
use crate::store::{Claim, StoreError};

/// A claim is ours for so long, unless it is extended.
pub(super) const LEASE_MS: i64 = 30_000;
/// At most so many attempts at once.
pub(super) const LIMIT_MAX: usize = 32;
const LIMIT_START: usize = 8;
const LIMIT_STEP: usize = 4;
const IDLE_MS: u64 = 1_000;

/// How many attempts may run at once: more while there is more work, fewer while the store struggles.
#[derive(Debug)]
pub(super) struct Gate {
    limit: AtomicUsize,
    inside: AtomicUsize,
    freed: Notify,
}

impl Default for Gate {
    fn default() -> Self {
        Self { limit: AtomicUsize::new(LIMIT_START), inside: AtomicUsize::new(0), freed: Notify::new() }
    }
}

impl Gate {
    /// How many more may come in now.
    pub(super) fn room(&self) -> usize {
        self.limit.load(Ordering::Relaxed).saturating_sub(self.inside.load(Ordering::Acquire))
    }

    /// There is more work than that.
    pub(super) fn grow(&self) {
        let grown = |limit: usize| Some(limit.saturating_add(LIMIT_STEP).min(LIMIT_MAX));
        let _ = self.limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
    }

    /// The store could not do it.
    pub(super) fn shrink(&self) {
        let shrunk = |limit: usize| Some((limit / 2).max(1));
        let _ = self.limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shrunk);
    }

    fn enter(context: &Arc<Context>) -> Pass {
        context.gate.inside.fetch_add(1, Ordering::AcqRel);
        Pass(Arc::clone(context))
    }
}

/// One place behind the gate; free again when it is dropped, also by a panic.
struct Pass(Arc<Context>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.gate.inside.fetch_sub(1, Ordering::AcqRel);
        self.0.gate.freed.notify_one();
    }
}

pub(super) async fn run(context: Arc<Context>, pulse: Pulse) -> Result<(), StoreError> {
    while !context.stopping.is_cancelled() {
        let room = context.gate.room();
        if room == 0 {
            context.stopping.run_until_cancelled(context.gate.freed.notified()).await;
            continue;
        }
        context.step_aside().await;
        // Not to be dropped half-way: what the store has claimed for us must reach an attempt.
        let claimed = context.store.claim_deliveries(context.now(), LEASE_MS, room).await;
        let claims = claimed.inspect_err(|_| context.gate.shrink())?;
        pulse.beat();
        if claims.is_empty() {
            idle(&context).await;
        } else if claims.len() >= room {
            context.gate.grow();
        }
        for claim in claims {
            admit(&context, claim);
        }
    }
    Ok(())
}

/// Until there may be work: something came, or an attempt ended and its lane is free.
async fn idle(context: &Context) {
    tokio::select! {
        () = context.stopping.cancelled() => {}
        () = context.store.wait(IDLE_MS) => {}
        () = context.gate.freed.notified() => {}
    }
}

fn admit(context: &Arc<Context>, claim: Claim) {
    let pass = Gate::enter(context);
    let mine = Arc::clone(context);
    context.spawn(async move {
        attempt::make(&mine, claim).await;
        drop(pass);
    });
}

/// A lock that a panic cannot poison for the others.
pub(super) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_grows_to_32_and_shrinks_to_1() {
        let gate = Gate::default();
        for _ in 0..20 {
            gate.grow();
        }
        assert_eq!(gate.room(), 32);
        for _ in 0..20 {
            gate.shrink();
        }
        assert_eq!(gate.room(), 1);
    }
}
