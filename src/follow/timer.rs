//! When lists are read without anybody asking: hourly, and soon after something has said that they are out of date.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::task::whole;
use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::organization::{Connection, Organization};
use crate::domain::task::{Task, Wish};
use crate::store::{Page, Store, StoreError};

/// Between two readings of the members.
const EVERY_MS: i64 = 60 * 60 * 1000;
/// Taken off that, by a part that is each connection's own, so that they do not all come at once.
const JITTER_MS: i64 = 10 * 60 * 1000;
/// So long after something was said, the forge's own list may be trusted to know of it.
const SETTLED_MS: i64 = 10_000;
const ORGANIZATIONS: usize = 200;

/// Wishes for the readings that are due now.
///
/// # Errors
/// When the store refuses.
pub async fn look(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let mut page = Page { limit: ORGANIZATIONS, cursor: None };
    loop {
        let found = store.organizations(&page).await?;
        for organization in &found.items {
            let Some(key) = &organization.authority else { continue };
            let Some(connection) = store.connection(key).await? else { continue };
            if let Some(wish) = due(store, organization, &connection, now).await? {
                store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await?;
            }
        }
        page.cursor = found.next;
        if page.cursor.is_none() {
            return Ok(());
        }
    }
}

async fn due(
    store: &dyn Store,
    organization: &Organization,
    connection: &Connection,
    now: Timestamp,
) -> Result<Option<Wish>, StoreError> {
    if connection.is_off() || connection.credential == "none" {
        return Ok(None);
    }
    let wish = whole(organization, connection, "timer", now);
    let task = store.task(&wish.id()).await?;
    Ok(is_due(connection, task.as_ref(), now).then_some(wish))
}

/// A task that has not ended is left to its own schedule: it may be waiting because the forge has asked for it.
fn is_due(connection: &Connection, task: Option<&Task>, now: Timestamp) -> bool {
    let Some(task) = task else { return true };
    let Some(ended) = task.finished_at.filter(|_| task.state.is_final()) else { return false };
    let is_old = now.since(ended) >= EVERY_MS.saturating_sub(jitter_ms(connection));
    let is_stale = connection
        .roster_stale_since
        .is_some_and(|since| since > ended.plus_ms(-SETTLED_MS) && now.since(since) >= SETTLED_MS);
    is_old || is_stale
}

fn jitter_ms(connection: &Connection) -> i64 {
    let mut hasher = DefaultHasher::new();
    connection.key.as_str().hash(&mut hasher);
    let part = hasher.finish() % JITTER_MS.unsigned_abs();
    i64::try_from(part).unwrap_or(0)
}
