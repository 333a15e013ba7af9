//! Deleting what is past its time, a bounded piece at a time.

use super::super::dedupe::Dedupe;
use super::super::journal::Position;
use super::super::key::{self, Key, Table};
use super::super::stage::{Rows, Stage};
use super::{Stored, access, counts, load, scan, task};
use crate::domain::delivery::DeliveryState;
use crate::domain::{DeliveryId, Timestamp};
use crate::store::StoreError;

/// Rows deleted by one act at most.
const RECORDS_MAX: usize = 256;

/// Deletes records of deliveries that ended before `before`. Never what is unfinished or dead. Returns how many.
///
/// Ids sort by time of receipt, so the oldest lie in front; the walk stops at the first that is young enough.
pub(in super::super) fn records(
    stage: &mut Stage<'_>,
    before: Timestamp,
    from: &mut Key,
) -> Result<u64, StoreError> {
    let table = Key::of(Table::Delivery);
    let end = key::behind(table.as_bytes());
    let rows = stage.scan(from.as_bytes(), end.as_deref(), RECORDS_MAX)?;
    let mut deleted: u64 = 0;
    let mut next = table;
    for (row, value) in rows {
        let stored: Stored = stage.decode(&row, value)?;
        if stored.record.received_at >= before {
            break;
        }
        if stored.record.state.is_final() && stored.record.state != DeliveryState::Dead {
            delete(stage, &stored)?;
            deleted = deleted.saturating_add(1);
        }
        let mut behind = row;
        behind.push(0);
        next = Key::raw(behind);
    }
    *from = next;
    Ok(deleted)
}

fn delete(stage: &mut Stage<'_>, stored: &Stored) -> Result<(), StoreError> {
    let record = &stored.record;
    counts::gone(stage, record)?;
    stage.delete(key::by_state(record.state).id(record.id))?;
    stage.delete(key::by_source(&record.source).id(record.id))?;
    stage.delete(Dedupe::new(&record.source, &record.hook_id, &record.external_id).row(record.id))?;
    if let Some(organization) = &record.organization {
        stage.delete(key::by_organization(organization).id(record.id))?;
    }
    for (attempt, _) in stage.with_prefix(&Key::of(Table::Attempt).id(record.id), 1024)? {
        stage.delete(Key::raw(attempt))?;
    }
    stage.delete(key::delivery(record.id))
}

/// Deletes remembered bodies older than `before`; returns how many of the `RECORDS_MAX` looked at.
pub(in super::super) fn bodies(
    stage: &mut Stage<'_>,
    before: Timestamp,
    from: &mut Key,
) -> Result<u64, StoreError> {
    let table = Key::of(Table::Body);
    let end = key::behind(table.as_bytes());
    let mut deleted: u64 = 0;
    let mut next = table;
    for (row, value) in stage.scan(from.as_bytes(), end.as_deref(), RECORDS_MAX)? {
        let old = super::index::parse_first(&value).is_none_or(|(_, at)| at < before);
        let mut behind = row.clone();
        behind.push(0);
        next = Key::raw(behind);
        if old {
            stage.delete(Key::raw(row))?;
            deleted = deleted.saturating_add(1);
        }
    }
    *from = next;
    Ok(deleted)
}

/// A job's token may finish what it began for six hours (ruling 22); then nobody asks for it any more.
const TOKEN_ENDED_MS: i64 = 8 * 60 * 60 * 1000;

/// Deletes check-ins and ended tasks older than `before`, and jobs' tokens that have long ended. Returns how many.
pub(in super::super) fn jobs(
    stage: &mut Stage<'_>,
    before: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let (from, to) = (Key::of(Table::CheckInByTime), Key::of(Table::CheckInByTime).time(before));
    let mut deleted = access::forget_ended(stage, now.plus_ms(-TOKEN_ENDED_MS), RECORDS_MAX)?;
    for (row, id) in stage.scan(from.as_bytes(), Some(to.as_bytes()), RECORDS_MAX)? {
        stage.delete(key::check_in(&String::from_utf8_lossy(&id)))?;
        stage.delete(Key::raw(row))?;
        deleted = deleted.saturating_add(1);
    }
    deleted = deleted.saturating_add(task::forget(stage, before)?);
    Ok(deleted.saturating_add(scan::forget(stage, before)?))
}

/// Log files whose newest delivery is older than `before`, oldest first.
pub(in super::super) fn old_files<R: Rows>(rows: &R, before: Timestamp) -> Result<Vec<u64>, StoreError> {
    let mut files = Vec::new();
    for (row, value) in rows.with_prefix(&Key::of(Table::Carried), 4096)? {
        let newest: Timestamp = rows.decode(&row, value)?;
        if newest >= before {
            break;
        }
        files.extend(row.get(1..).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes));
    }
    Ok(files)
}

/// Deliveries whose bytes lie in files up to this one and are still needed.
pub(in super::super) fn still_needed<R: Rows>(
    rows: &R,
    file: u64,
) -> Result<Vec<(DeliveryId, Position)>, StoreError> {
    let mut needed = Vec::new();
    for state in [DeliveryState::Queued, DeliveryState::Working, DeliveryState::Waiting, DeliveryState::Dead]
    {
        for (row, _) in rows.with_prefix(&key::by_state(state), usize::MAX)? {
            let Some(id) = key::id_at_end(&row) else { continue };
            if let Some(stored) = load(rows, id)?
                && stored.position.file <= file
                && stored.position.seq > 0
            {
                needed.push((id, stored.position));
            }
        }
    }
    Ok(needed)
}

/// Points a delivery to the copy of its bytes; keeps the copy's file as old as what it holds is needed.
pub(in super::super) fn moved(
    stage: &mut Stage<'_>,
    id: DeliveryId,
    to: Position,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(mut stored) = load(stage, id)? {
        stored.position = to;
        stage.put(key::delivery(id), &stored)?;
        stage.put(super::index::file_key(to.file), &now)?;
    }
    Ok(())
}

/// Points a delivery to the copy of its bytes that was sealed anew, unless another was made meanwhile; the copy's file is
/// needed as long as the bytes are.
pub(in super::super) fn renewed(
    stage: &mut Stage<'_>,
    id: DeliveryId,
    from: Position,
    to: Position,
) -> Result<(), StoreError> {
    let Some(mut stored) = load(stage, id)?.filter(|stored| stored.position == from) else { return Ok(()) };
    let file = super::index::file_key(to.file);
    let received_at = stored.record.received_at;
    let newest = stage.read::<Timestamp>(&file)?.map_or(received_at, |before| before.max(received_at));
    stored.position = to;
    stage.put(key::delivery(id), &stored)?;
    stage.put(file, &newest)
}

/// Forgets the times of files that are gone.
pub(in super::super) fn forget_files(stage: &mut Stage<'_>, up_to: u64) -> Result<(), StoreError> {
    let end = super::index::file_key(up_to.saturating_add(1));
    for (row, _) in stage.scan(Key::of(Table::Carried).as_bytes(), Some(end.as_bytes()), 4096)? {
        stage.delete(Key::raw(row))?;
    }
    Ok(())
}
