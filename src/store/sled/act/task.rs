//! Tasks: wished, taken, settled, forgotten.

use super::super::key::{self, Key, Table, behind};
use super::super::stage::{Found, Rows, Stage};
use super::{record, replay};
use crate::domain::Timestamp;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::task::{Task, TaskState, Wish};
use crate::store::task::{TaskEnd, TaskOutcome, TaskSettled, apart, cancelled, settled};
use crate::store::{DUE_WITHIN_MS, StoreError};

/// Tasks looked at by one act at most, when old ones are forgotten.
const FORGOTTEN_MAX: usize = 256;

fn due_entry(task: &Task) -> Option<Key> {
    Some(Key::of(Table::TaskByDue).time(task.due_at?).text(&task.id))
}

fn time_entry(task: &Task) -> Key {
    Key::of(Table::TaskByTime).time(task.wished_at).text(&task.id)
}

/// Writes a task in place of what it was.
pub(super) fn save(stage: &mut Stage<'_>, before: Option<&Task>, task: &Task) -> Result<(), StoreError> {
    if let Some(before) = before {
        due_entry(before).map(|entry| stage.delete(entry)).transpose()?;
        stage.delete(time_entry(before))?;
    }
    if let Some(entry) = due_entry(task) {
        stage.mark(entry, task.id.as_bytes());
    }
    stage.mark(time_entry(task), task.id.as_bytes());
    stage.put(key::task(&task.id), task)
}

pub(super) fn wish(stage: &mut Stage<'_>, wish: &Wish) -> Result<(), StoreError> {
    let before: Option<Task> = stage.read(&key::task(&wish.id()))?;
    let task = Task::wished(before.clone(), wish);
    save(stage, before.as_ref(), &task)
}

/// The entries of tasks that are due, at most so many.
pub(in super::super) fn due<R: Rows>(
    rows: &R,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Found>, StoreError> {
    let from = Key::of(Table::TaskByDue);
    let to = Key::of(Table::TaskByDue).time(now.plus_ms(1));
    let mut due = rows.scan(from.as_bytes(), Some(to.as_bytes()), limit)?;
    let absurd = Key::of(Table::TaskByDue).time(now.plus_ms(DUE_WITHIN_MS));
    let room = limit.saturating_sub(due.len());
    if room > 0 {
        due.extend(rows.scan(absurd.as_bytes(), behind(from.as_bytes()).as_deref(), room)?);
    }
    Ok(due)
}

/// The task that an index row names.
pub(in super::super) fn named<R: Rows>(rows: &R, id: &[u8]) -> Result<Task, StoreError> {
    let lost = || StoreError::Corrupt("an index of tasks names none".into());
    rows.read(&key::task(&String::from_utf8_lossy(id)))?.ok_or_else(lost)
}

/// Due tasks, each leased, its try counted before it starts.
pub(in super::super) fn claim(
    stage: &mut Stage<'_>,
    now: Timestamp,
    lease_ms: i64,
    limit: usize,
) -> Result<Vec<Task>, StoreError> {
    let mut claimed = Vec::new();
    for (_, id) in due(stage, now, limit)? {
        let before = named(stage, &id)?;
        let task = before.clone().claimed(now, now.plus_ms(lease_ms));
        save(stage, Some(&before), &task)?;
        claimed.push(task);
    }
    Ok(claimed)
}

/// The task, as long as this claim of it holds.
fn held(stage: &Stage<'_>, id: &str, fence: u64) -> Result<Option<Task>, StoreError> {
    let found: Option<Task> = stage.read(&key::task(id))?;
    Ok(found.filter(|task| task.fence == fence && task.state == TaskState::Working))
}

/// Moves the end of a lease. `false`: the claim is no longer this one.
pub(in super::super) fn extend(
    stage: &mut Stage<'_>,
    id: &str,
    fence: u64,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let Some(before) = held(stage, id, fence)? else { return Ok(false) };
    save(stage, Some(&before), &Task { due_at: Some(until), ..before.clone() })?;
    Ok(true)
}

/// Ends a try. Deliveries whose bytes lie before `floor` cannot be queued again.
pub(in super::super) fn settle(
    stage: &mut Stage<'_>,
    id: &str,
    fence: u64,
    outcome: TaskOutcome,
    floor: u64,
    now: Timestamp,
) -> Result<TaskSettled, StoreError> {
    let (changes, expects, mut end) = apart(outcome);
    if held(stage, id, fence)?.is_none() {
        return Ok(TaskSettled::LeaseLost);
    }
    if !record::hold(stage, &expects)? {
        return Ok(TaskSettled::Changed);
    }
    record::apply(stage, changes)?;
    if let TaskEnd::Piece { piece, queued, .. } = &mut end {
        *queued = replay::replay_all(stage, &piece.deliveries, floor, now)?;
    }
    // Read again: one of the changes may be a wish for this very task.
    let before = named(stage, id.as_bytes())?;
    end_with(stage, &before.clone(), settled(before, end, now))?;
    Ok(TaskSettled::Done)
}

fn end_with(
    stage: &mut Stage<'_>,
    before: &Task,
    (after, line): (Task, Option<AuditEntry>),
) -> Result<(), StoreError> {
    save(stage, Some(before), &after)?;
    record::apply(stage, line.into_iter().map(Change::Audit).collect())
}

/// Ends a task that is done in pieces. `None`: it cannot be ended.
pub(in super::super) fn cancel(
    stage: &mut Stage<'_>,
    id: &str,
    actor: &str,
    now: Timestamp,
) -> Result<Option<Task>, StoreError> {
    let Some(before) = stage.read::<Task>(&key::task(id))? else { return Ok(None) };
    let Some(ended) = cancelled(before.clone(), actor, now) else { return Ok(None) };
    let after = ended.0.clone();
    end_with(stage, &before, ended)?;
    Ok(Some(after))
}

/// Deletes tasks that ended before `before`. Returns how many.
pub(super) fn forget(stage: &mut Stage<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let (from, to) = (Key::of(Table::TaskByTime), Key::of(Table::TaskByTime).time(before));
    let mut gone: u64 = 0;
    for (_, id) in stage.scan(from.as_bytes(), Some(to.as_bytes()), FORGOTTEN_MAX)? {
        let task = named(stage, &id)?;
        if task.state.is_final() && task.finished_at.is_some_and(|at| at < before) {
            stage.delete(time_entry(&task))?;
            stage.delete(key::task(&task.id))?;
            gone = gone.saturating_add(1);
        }
    }
    Ok(gone)
}
