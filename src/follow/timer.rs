//! When things are looked at without anybody asking: lists of members hourly, and soon after something has said that
//! they are out of date; what forges sent in vain every five minutes.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::Reach;
use super::task::{missed, whole};
use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::organization::{Connection, ConnectionState, Organization};
use crate::domain::task::{Task, Wish};
use crate::store::{ConnectionFilter, Page, Store, StoreError};

/// Taken off each wait, by a part that is each connection's own, so that they do not all come at once: a sixth.
const JITTER_ONE_IN: i64 = 6;
/// So long after something was said, the forge's own list may be trusted to know of it.
const SETTLED_MS: i64 = 10_000;
const ORGANIZATIONS: usize = 200;

impl Reach {
    /// Between two readings of the members.
    const fn members_ms(self) -> i64 {
        match self {
            Self::Reached => 60 * 60 * 1000,
            Self::Polling => 10 * 60 * 1000,
        }
    }

    /// Between two looks for deliveries that were missed.
    const fn missed_ms(self) -> i64 {
        match self {
            Self::Reached => 5 * 60 * 1000,
            Self::Polling => 60 * 1000,
        }
    }
}

/// Wishes for the readings that are due now.
///
/// # Errors
/// When the store refuses.
pub async fn look(store: &dyn Store, reach: Reach, now: Timestamp) -> Result<(), StoreError> {
    let mut page = Page { limit: ORGANIZATIONS, cursor: None };
    loop {
        let found = store.organizations(&page).await?;
        for organization in &found.items {
            let Some(key) = &organization.authority else { continue };
            let Some(connection) = store.connection(key).await? else { continue };
            if let Some(wish) = due(store, organization, &connection, reach, now).await? {
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
    reach: Reach,
    now: Timestamp,
) -> Result<Option<Wish>, StoreError> {
    if connection.is_off() || connection.credential == "none" {
        return Ok(None);
    }
    let wish = whole(organization, connection, "timer", now);
    let task = store.task(&wish.id()).await?;
    Ok(is_due(connection, task.as_ref(), reach, now).then_some(wish))
}

/// A task that has not ended is left to its own schedule: it may be waiting because the forge has asked for it.
pub(super) fn is_due(connection: &Connection, task: Option<&Task>, reach: Reach, now: Timestamp) -> bool {
    let Some(task) = task else { return true };
    let Some(ended) = task.finished_at.filter(|_| task.state.is_final()) else { return false };
    let is_old = has_passed(ended, wait_ms(connection, reach.of(connection).members_ms()), now);
    let is_stale = connection
        .roster_stale_since
        .is_some_and(|since| since > ended.plus_ms(-SETTLED_MS) && has_passed(since, SETTLED_MS, now));
    is_old || is_stale
}

/// Whether so much time has passed since. A moment that lies ahead was written by a clock that has been set back: it is
/// not waited for.
const fn has_passed(since: Timestamp, ms: i64, now: Timestamp) -> bool {
    let passed = now.since(since);
    passed < 0 || passed >= ms
}

/// The wait without the connection's own part of it.
fn wait_ms(connection: &Connection, every_ms: i64) -> i64 {
    let mut hasher = DefaultHasher::new();
    connection.key.as_str().hash(&mut hasher);
    let span = every_ms.checked_div(JITTER_ONE_IN).unwrap_or(0).unsigned_abs().max(1);
    let part = i64::try_from(hasher.finish() % span).unwrap_or(0);
    every_ms.saturating_sub(part)
}

/// Wishes for a look at what was missed where it is due: each source, through the first of its connections that can ask.
///
/// # Errors
/// When the store refuses.
pub async fn look_for_missed(store: &dyn Store, reach: Reach, now: Timestamp) -> Result<(), StoreError> {
    let (mut seen, mut page) = (BTreeSet::new(), Page { limit: ORGANIZATIONS, cursor: None });
    loop {
        let found = store.connections(&ConnectionFilter::default(), &page).await?;
        for connection in &found.items {
            let is_off =
                connection.is_off() || connection.paused_at.is_some() || connection.rejected_at.is_some();
            // Checks find out when it is accepted again.
            let is_refused = connection.reasons.contains(&ConnectionState::TokenInvalid);
            let asks = !is_off && !is_refused && connection.credential != "none";
            if !asks || !seen.insert(connection.source.clone()) {
                continue;
            }
            let wish = missed(connection, "timer", now);
            if is_time(connection, store.task(&wish.id()).await?.as_ref(), reach, now) {
                store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await?;
            }
        }
        page.cursor = found.next;
        if page.cursor.is_none() {
            return Ok(());
        }
    }
}

pub(super) fn is_time(connection: &Connection, task: Option<&Task>, reach: Reach, now: Timestamp) -> bool {
    let Some(task) = task else { return true };
    let ended = task.finished_at.filter(|_| task.state.is_final());
    ended.is_some_and(|ended| has_passed(ended, wait_ms(connection, reach.of(connection).missed_ms()), now))
}
