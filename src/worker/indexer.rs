//! Gives each stored delivery its place: reads its event, action and lane, and writes the rows by which it is found.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::StreamExt;

use super::bounds::{self, NAME_BYTES_MAX, Stuck};
use super::supervise::Pulse;
use super::{Context, Rules, metric};
use crate::domain::change::Reason;
use crate::domain::delivery::{DeliveryState, Lane};
use crate::domain::event::{Event, Fact};
use crate::domain::organization::Source;
use crate::domain::{DeliveryId, SourceKey};
use crate::fault;
use crate::store::{Indexed, StoreError, Unindexed};
use crate::telemetry::{Fault, report};

/// So many deliveries share one write.
const BATCH: usize = 256;
const IDLE_MS: u64 = 1_000;
/// A delivery over whose reading so many processes have died is not read again.
const DEATHS_MAX: u32 = 3;
/// So many deliveries of a bad batch are read at once.
const SINGLY: usize = 4;

type Sources = HashMap<SourceKey, Option<Source>>;

pub(super) async fn run(context: Arc<Context>, pulse: Pulse) -> Result<(), StoreError> {
    while !context.stopping.is_cancelled() {
        let found = round(&context).await?;
        pulse.beat();
        if found == 0 {
            context.stopping.run_until_cancelled(context.store.wait(IDLE_MS)).await;
        }
    }
    Ok(())
}

/// Indexes one batch. Returns how many deliveries it held.
pub(super) async fn round(context: &Context) -> Result<usize, StoreError> {
    context.step_aside().await;
    let mut found = context.store.unindexed(BATCH).await?;
    if found.is_empty() {
        return Ok(0);
    }
    let sources = Arc::new(sources(context, &found).await?);
    let count = found.len();
    // A process has died over one of them: each is read alone, so that the next death would say over which.
    let suspects = found.iter().take_while(|one| one.deaths > 0).count();
    let rest = found.split_off(suspects);
    for suspect in found {
        index(context, vec![suspect], &sources).await?;
    }
    if !rest.is_empty() {
        index(context, rest, &sources).await?;
    }
    Ok(count)
}

/// Reads them, and writes their rows.
async fn index(context: &Context, found: Vec<Unindexed>, sources: &Arc<Sources>) -> Result<(), StoreError> {
    let rows = match found.as_slice() {
        [one] if one.deaths >= DEATHS_MAX => vec![given_up(one, source_of(one, sources))],
        _ => {
            let ids: Vec<DeliveryId> = found.iter().map(|one| one.id).collect();
            context.store.reading(&ids).await?;
            let rows = rows(context.rules, found, Arc::clone(sources)).await;
            context.store.reading(&[]).await?;
            rows
        }
    };
    let dead: Vec<(DeliveryId, String)> = rows.iter().filter_map(dead).collect();
    context.store.index(rows, context.now()).await?;
    for (id, reason) in dead {
        report!(Fault::DeliveryDead, %id, reason, "a delivery is given up and kept");
        metric::dead(&reason);
    }
    Ok(())
}

fn dead(row: &Indexed) -> Option<(DeliveryId, String)> {
    let (state, reason) = row.ended.as_ref()?;
    (*state == DeliveryState::Dead).then(|| (row.id, reason.clone()))
}

async fn sources(context: &Context, found: &[Unindexed]) -> Result<Sources, StoreError> {
    let mut sources = Sources::new();
    for one in found {
        let key = one.delivery.source();
        if !sources.contains_key(key) {
            sources.insert(key.clone(), context.store.source(key).await?);
        }
    }
    Ok(sources)
}

/// Reads the batch on one thread; when that does not come back, each delivery on a thread of its own, so that only
/// the one that is to blame is called unreadable.
async fn rows(rules: Rules, found: Vec<Unindexed>, sources: Arc<Sources>) -> Vec<Indexed> {
    let found = Arc::new(found);
    let batch = (Arc::clone(&found), Arc::clone(&sources));
    let together = move || batch.0.iter().map(|one| row(rules, one, &batch.1)).collect();
    match bounds::run(together).await {
        Ok(rows) => rows,
        Err(stuck) => one_by_one(rules, &found, &sources, stuck).await,
    }
}

async fn one_by_one(rules: Rules, found: &[Unindexed], sources: &Arc<Sources>, stuck: Stuck) -> Vec<Indexed> {
    report!(Fault::BatchUnread, ?stuck, count = found.len(), "a batch could not be read");
    let readings = found.iter().cloned().map(|one| {
        let (mine, all, sources) = (one.clone(), Arc::clone(sources), Arc::clone(sources));
        async move {
            let read = bounds::run(move || row(rules, &mine, &all)).await;
            read.unwrap_or_else(|_| unreadable(&one, source_of(&one, &sources)))
        }
    });
    futures_util::stream::iter(readings).buffered(SINGLY).collect().await
}

fn source_of<'a>(one: &Unindexed, sources: &'a Sources) -> Option<&'a Source> {
    sources.get(one.delivery.source()).and_then(Option::as_ref)
}

/// What is written of one delivery. Never panics, whatever the reader does.
fn row(rules: Rules, one: &Unindexed, sources: &Sources) -> Indexed {
    let Some(source) = source_of(one, sources) else {
        return removed(unreadable(one, None));
    };
    let read = || {
        let _ = fault::point_for("indexer.before-read", &one.delivery.envelope().external_id);
        let event = (rules.read)(source.forge, &one.delivery).ok()?;
        let lane = (rules.lane)(&event);
        Some((event, lane))
    };
    let row = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Some((event, lane))) => readable(one, source, &event, lane),
        Ok(None) | Err(_) => unreadable(one, Some(source)),
    };
    if source.removed { removed(row) } else { row }
}

fn readable(one: &Unindexed, source: &Source, event: &Event, lane: Lane) -> Indexed {
    let ended = match event.fact {
        Fact::Ping => Some((DeliveryState::Done, "ping".to_owned())),
        Fact::Unwanted => Some((DeliveryState::Ignored, Reason::Unwanted.as_str().to_owned())),
        _ => None,
    };
    Indexed {
        id: one.id,
        event: bounds::cut(&event.name, NAME_BYTES_MAX),
        action: event.action.as_deref().map(|action| bounds::cut(action, NAME_BYTES_MAX)),
        provider: source.forge.as_str().to_owned(),
        lane,
        ended,
    }
}

/// It gets a lane of its own, so that it holds nobody back when somebody asks for it again.
fn unreadable(one: &Unindexed, source: Option<&Source>) -> Indexed {
    Indexed {
        id: one.id,
        event: bounds::cut(&one.delivery.envelope().event, NAME_BYTES_MAX),
        action: None,
        provider: source.map_or("unknown", |source| source.forge.as_str()).to_owned(),
        lane: Lane { key: format!("unreadable:{}", one.id), blocks: false },
        ended: Some((DeliveryState::Dead, "unreadable".to_owned())),
    }
}

/// Every process that has begun to read it has died.
fn given_up(one: &Unindexed, source: Option<&Source>) -> Indexed {
    Indexed { ended: Some((DeliveryState::Dead, "crash_loop".to_owned())), ..unreadable(one, source) }
}

fn removed(row: Indexed) -> Indexed {
    let why = Reason::SourceRemoved.as_str().to_owned();
    Indexed { ended: Some((DeliveryState::Ignored, why)), ..row }
}
