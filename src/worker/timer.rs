//! What is done by the clock: forgetting what is old, proving that the store can write, and numbers for gauges.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::bounds::{self, ERROR_BYTES_MAX};
use super::supervise::Pulse;
use super::{Context, metric};
use crate::domain::delivery::DeliveryState;
use crate::store::{StoreError, StoreFigures};

const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// So many pieces in one round; the next round goes on.
const PIECES_MAX: u32 = 1_000;
/// The intake goes first for so long at most between two pieces.
const ASIDE_MAX: Duration = Duration::from_secs(1);
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// A write that takes longer is as good as none.
const PROBE_MAX: Duration = Duration::from_secs(5);
const FIGURES_EVERY: Duration = Duration::from_secs(5);

/// Waits, but not beyond the end.
async fn pause(context: &Context, wait: Duration) {
    context.stopping.run_until_cancelled(tokio::time::sleep(wait)).await;
}

pub(super) async fn retention(context: Arc<Context>, pulse: Pulse) -> Result<(), StoreError> {
    while !context.stopping.is_cancelled() {
        purge(&context).await?;
        pulse.beat();
        pause(&context, RETENTION_EVERY).await;
    }
    Ok(())
}

/// Forgets piece by piece, and lets the intake in between.
async fn purge(context: &Context) -> Result<(), StoreError> {
    let (mut records, mut bytes) = (0_u64, 0_u64);
    for _ in 0..PIECES_MAX {
        context.step_aside(ASIDE_MAX).await;
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
        metric::depth(state.as_str(), count);
    }
    metric::depth("unindexed", figures.unindexed);
    metric::oldest_due(figures.oldest_due_at.map_or(0, |at| now_ms.saturating_sub(at.ms())));
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
