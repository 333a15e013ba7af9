//! Replays of many deliveries: which ones come next. The store queues them and remembers the place in one act.

use crate::domain::DeliveryId;
use crate::domain::replay::Piece;
use crate::domain::task::{Performed, Task};
use crate::store::{DeliveryFilter, Page, Store, StoreError};

/// At most ten deliveries a second (delivery.md 4.5), so that what comes in meanwhile is not held up.
const PIECE: usize = 10;
const PIECE_EVERY_MS: i64 = 1000;
/// Deliveries counted with one look.
const COUNTED: usize = 200;

/// Finds the next deliveries that a replay is about; before the first ones, counts them all.
///
/// # Errors
/// When the store refuses.
pub async fn replay(store: &dyn Store, task: &Task) -> Result<Performed, StoreError> {
    let Some(wanted) = DeliveryFilter::of_subject(&task.subject) else {
        return Ok(Performed::Failed { error: "which deliveries were meant cannot be read".into() });
    };
    let progress = task.progress.clone().unwrap_or_default();
    // What came in after somebody asked is not meant.
    let until = wanted.until.map_or(task.wished_at, |until| until.min(task.wished_at));
    let filter = DeliveryFilter { until: Some(until), behind: progress.last, ..wanted };
    let matched = match progress.matched {
        Some(matched) => matched,
        None => count(store, &filter).await?,
    };
    let (deliveries, is_last) = next(store, &filter).await?;
    let next = task.started_at.unwrap_or(task.wished_at).plus_ms(PIECE_EVERY_MS);
    Ok(Performed::Piece { piece: Piece { matched, deliveries, is_last }, next })
}

async fn count(store: &dyn Store, filter: &DeliveryFilter) -> Result<u64, StoreError> {
    let (mut count, mut cursor) = (0_u64, None);
    loop {
        let found = store.deliveries(filter, &Page { limit: COUNTED, cursor }).await?;
        count = count.saturating_add(found.items.len() as u64);
        cursor = found.next;
        if cursor.is_none() {
            return Ok(count);
        }
    }
}

/// The next ones, and whether they are the last.
async fn next(store: &dyn Store, filter: &DeliveryFilter) -> Result<(Vec<DeliveryId>, bool), StoreError> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = Page { limit: PIECE.saturating_sub(ids.len()), cursor };
        let found = store.deliveries(filter, &page).await?;
        ids.extend(found.items.iter().map(|record| record.id));
        cursor = found.next;
        if cursor.is_none() || ids.len() >= PIECE {
            return Ok((ids, cursor.is_none()));
        }
    }
}
