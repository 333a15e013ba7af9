//! What is done by the clock: forgetting what is old, proving that the store can write, and numbers for gauges.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::bounds::{self, ERROR_BYTES_MAX};
use super::supervise::Pulse;
use super::{Context, metric};
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::store::{StoreError, StoreFigures};

const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// A jump of the clock that is not believed at once, and for how long.
const DOUBT: Duration = Duration::from_secs(60 * 60);
/// So many pieces in one round; the next round goes on.
const PIECES_MAX: u32 = 1_000;
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// A write that takes longer is as good as none.
const PROBE_MAX: Duration = Duration::from_secs(5);
const FIGURES_EVERY: Duration = Duration::from_secs(5);

/// Waits, but not beyond the end.
async fn pause(context: &Context, wait: Duration) {
    context.stopping.run_until_cancelled(tokio::time::sleep(wait)).await;
}

pub(super) async fn retention(context: Arc<Context>, pulse: Pulse) -> Result<(), StoreError> {
    let mut trust = Trust::new(context.now());
    while !context.stopping.is_cancelled() {
        if trust.may_delete(context.now()) {
            purge(&context).await?;
        }
        pulse.beat();
        pause(&context, RETENTION_EVERY).await;
    }
    Ok(())
}

/// Whether the clock can be believed: by a wrong one, everything is past its time.
struct Trust {
    at: (Timestamp, Instant),
    doubted_until: Option<Instant>,
}

impl Trust {
    fn new(now: Timestamp) -> Self {
        Self { at: (now, Instant::now()), doubted_until: None }
    }

    /// Nothing is deleted for an hour after the clock has jumped by more than an hour.
    fn may_delete(&mut self, now: Timestamp) -> bool {
        let (before, since) = std::mem::replace(&mut self.at, (now, Instant::now()));
        let passed = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
        let jump = now.since(before).saturating_sub(passed).unsigned_abs();
        if u128::from(jump) > DOUBT.as_millis() {
            self.doubted_until = Instant::now().checked_add(DOUBT);
        }
        self.doubted_until.is_none_or(|until| Instant::now() >= until)
    }
}

/// Forgets piece by piece, and lets the intake in between.
async fn purge(context: &Context) -> Result<(), StoreError> {
    let (mut records, mut bytes) = (0_u64, 0_u64);
    for _ in 0..PIECES_MAX {
        context.step_aside().await;
        if context.stopping.is_cancelled() {
            break;
        }
        let purged = context.store.purge(context.retention, context.now()).await?;
        if purged.records == 0 && purged.bytes == 0 {
            break;
        }
        records = records.saturating_add(purged.records);
        bytes = bytes.saturating_add(purged.bytes);
        tokio::task::yield_now().await;
    }
    if records > 0 || bytes > 0 {
        tracing::info!(records, bytes, "what is past its time was deleted");
    }
    Ok(())
}

pub(super) async fn probe(context: Arc<Context>, pulse: Pulse) -> Result<(), StoreError> {
    while !context.stopping.is_cancelled() {
        prove(&context).await?;
        pulse.beat();
        pause(&context, PROBE_EVERY).await;
    }
    Ok(())
}

/// A delivery that was just stored is proof enough; else a mark is written.
async fn prove(context: &Context) -> Result<(), StoreError> {
    let every_ms = i64::try_from(PROBE_EVERY.as_millis()).unwrap_or(i64::MAX);
    if let Some(at) = context.notice.last_write().filter(|at| context.now().since(*at) < every_ms) {
        context.notice.writable(at);
        return Ok(());
    }
    match tokio::time::timeout(PROBE_MAX, context.store.probe(context.now())).await {
        Ok(Ok(())) => context.notice.writable(context.now()),
        Ok(Err(StoreError::Failed(why))) => return Err(StoreError::Failed(why)),
        Ok(Err(error)) => {
            context.notice.unwritable(&bounds::cut(&error.to_string(), ERROR_BYTES_MAX), context.now());
        }
        Err(_) => context.notice.unwritable("the store did not write within 5 s", context.now()),
    }
    Ok(())
}

pub(super) async fn figures(context: Arc<Context>, pulse: Pulse) -> Result<(), StoreError> {
    let mut shown = BTreeSet::new();
    while !context.stopping.is_cancelled() {
        let figures = context.store.figures().await?;
        show(&figures, &mut shown, context.now().ms());
        pulse.beat();
        pause(&context, FIGURES_EVERY).await;
    }
    Ok(())
}

/// `shown`: reasons that have a gauge already; without dead letters it goes back to 0 instead of standing still.
pub(super) fn show(figures: &StoreFigures, shown: &mut BTreeSet<String>, now_ms: i64) {
    let unfinished = [DeliveryState::Queued, DeliveryState::Working, DeliveryState::Waiting];
    for state in unfinished.into_iter().chain([DeliveryState::Dead]) {
        let count = figures.by_state.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
        metric::depth(metric::KIND, state.as_str(), count);
    }
    metric::depth(metric::KIND, "unindexed", figures.unindexed);
    metric::depth(metric::TASK, "queued", figures.tasks);
    let age = |due: Option<Timestamp>| due.map_or(0, |at| now_ms.saturating_sub(at.ms()));
    metric::oldest_due(metric::KIND, age(figures.oldest_due_at));
    metric::oldest_due(metric::TASK, age(figures.task_due_at));
    shown.extend(figures.dead_by_reason.iter().map(|(reason, _)| reason.clone()));
    for reason in &*shown {
        let found = figures.dead_by_reason.iter().find(|(of, _)| of == reason);
        metric::dead_letters(reason, found.map_or(0, |(_, count)| *count));
    }
    metric::set(metric::LANES_BLOCKED, figures.lanes_blocked);
    metric::set(metric::STORE_SIZE_BYTES, figures.size_bytes);
    if let Some(free) = figures.free_bytes {
        metric::set(metric::STORE_FREE_BYTES, free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn r41_nothing_is_deleted_for_an_hour_after_the_clock_has_jumped() {
        const YEARS_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;
        let minute = Duration::from_secs(60);
        let mut trust = Trust::new(Timestamp::from_ms(0));
        tokio::time::advance(minute).await;
        assert!(trust.may_delete(Timestamp::from_ms(60_000)));
        tokio::time::advance(minute).await;
        assert!(
            trust.may_delete(Timestamp::from_ms(3_700_000)),
            "an hour and no more is what summer time does"
        );
        let mut wall = 3_700_000 + YEARS_MS;
        for _ in 0..60 {
            tokio::time::advance(minute).await;
            wall += 60_000;
            assert!(!trust.may_delete(Timestamp::from_ms(wall)));
        }
        tokio::time::advance(minute).await;
        assert!(trust.may_delete(Timestamp::from_ms(wall + 60_000)));
        tokio::time::advance(minute).await;
        assert!(!trust.may_delete(Timestamp::from_ms(0)), "back again");
    }
}
