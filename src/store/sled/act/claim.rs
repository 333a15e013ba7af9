//! Taking work.

use super::super::key::{self, Key, Table, behind};
use super::super::stage::{Found, Rows, Stage};
use super::{Stored, load, save};
use crate::domain::delivery::{Attempt, DeliveryState};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::{DUE_WITHIN_MS, StoreError};

/// Leases ended by one act; no process holds as many.
const FREED_MAX: usize = 1024;

/// The entries of the queue that are due, at most so many.
pub(in super::super) fn due<R: Rows>(
    rows: &R,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Found>, StoreError> {
    let from = Key::of(Table::Queue);
    let to = Key::of(Table::Queue).time(now.plus_ms(1));
    let mut due = rows.scan(from.as_bytes(), Some(to.as_bytes()), limit)?;
    let absurd = Key::of(Table::Queue).time(now.plus_ms(DUE_WITHIN_MS));
    let room = limit.saturating_sub(due.len());
    if room > 0 {
        due.extend(rows.scan(absurd.as_bytes(), behind(from.as_bytes()).as_deref(), room)?);
    }
    Ok(due)
}

/// Due heads of lanes: each is leased, its attempt counted before it starts.
pub(in super::super) fn claim(
    stage: &mut Stage<'_>,
    now: Timestamp,
    lease_ms: i64,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let due = due(stage, now, limit)?;
    let mut claimed = Vec::new();
    for (queue_key, value) in due {
        let id = <[u8; 16]>::try_from(value.as_slice()).ok().map(DeliveryId::from_bytes);
        let lost = || StoreError::Corrupt("an entry of the queue names no delivery".into());
        let id = id.ok_or_else(lost)?;
        let stored = load(stage, id)?.ok_or_else(lost)?;
        stage.delete(Key::raw(queue_key))?;
        claimed.push(take(stage, stored, now, lease_ms)?);
    }
    Ok(claimed)
}

fn take(
    stage: &mut Stage<'_>,
    mut stored: Stored,
    now: Timestamp,
    lease_ms: i64,
) -> Result<Stored, StoreError> {
    let before = stored.record.clone();
    let lease_end = now.plus_ms(lease_ms);
    stored.fence = stored.fence.saturating_add(1);
    stored.record.state = DeliveryState::Working;
    stored.record.attempts = stored.record.attempts.saturating_add(1);
    stored.record.due_at = Some(lease_end);
    stage.mark(key::queue(lease_end, &stored.lane()), stored.record.id.as_bytes());
    let number = stored.record.attempts;
    let attempt = Attempt { number, started_at: now, took_ms: None, led_to: None, error: None };
    if let Some(earlier) = stored.attempt.replace(attempt) {
        stage.put(key::attempt(stored.record.id, earlier.number), &earlier)?;
    }
    save(stage, Some(&before), &stored)?;
    Ok(stored)
}

/// Moves the end of a lease. `false`: the claim is no longer this one.
pub(in super::super) fn extend(
    stage: &mut Stage<'_>,
    id: DeliveryId,
    fence: u64,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let Some(mut stored) = load(stage, id)? else { return Ok(false) };
    if stored.fence != fence || stored.record.state != DeliveryState::Working {
        return Ok(false);
    }
    let before = stored.record.clone();
    stage.delete(key::queue(before.due_at.unwrap_or(until), &stored.lane()))?;
    stored.record.due_at = Some(until);
    stage.mark(key::queue(until, &stored.lane()), id.as_bytes());
    save(stage, Some(&before), &stored)?;
    Ok(true)
}

/// Ends every lease now: at a start, nobody is left who holds one. The attempts stay counted, as they never ended. They
/// come before what has waited since. Returns whose leases they were.
pub(in super::super) fn free_all(
    stage: &mut Stage<'_>,
    now: Timestamp,
) -> Result<Vec<DeliveryId>, StoreError> {
    let mut freed = Vec::new();
    for (key, _) in stage.with_prefix(&key::by_state(DeliveryState::Working), FREED_MAX)? {
        let Some(id) = key::id_at_end(&key) else { continue };
        let Some(mut stored) = load(stage, id)? else { continue };
        let before = stored.record.clone();
        stage.delete(key::queue(before.due_at.unwrap_or(now), &stored.lane()))?;
        let due = now.min(stored.record.received_at).plus_ms(-1);
        stage.mark(key::queue(due, &stored.lane()), id.as_bytes());
        stored.record.due_at = Some(due);
        save(stage, Some(&before), &stored)?;
        freed.push(id);
    }
    Ok(freed)
}
