//! Bringing a delivery back: by a person, by a redelivery of a dead one, or because its account was bound.

use super::super::key::{Key, Table, id_at_end};
use super::super::stage::{Rows, Stage};
use super::{Stored, dequeue, enqueue, in_lane, load, record, save, unbound};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::delivery::DeliveryState;
use crate::domain::{DeliveryId, Timestamp};
use crate::store::{Accepted, StoreError};

/// Queues it anew, in a lane of its own, its history kept. `false`: there is none.
pub(in super::super) fn replay(
    stage: &mut Stage<'_>,
    id: DeliveryId,
    actor: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(stored) = load(stage, id)? else { return Ok(false) };
    if stored.record.state == DeliveryState::Working {
        // A worker has it this moment: that is what was asked for.
        return Ok(true);
    }
    audit(stage, &stored, actor, "delivery.replayed", now)?;
    wake(stage, stored, now)?;
    Ok(true)
}

/// Queues these anew whose bytes are kept, which those behind the floor of the log are. Returns how many. The audit log
/// has one line for all of them, once the task that wants them has ended.
pub(super) fn replay_all(
    stage: &mut Stage<'_>,
    ids: &[DeliveryId],
    floor: u64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut queued: u64 = 0;
    for id in ids {
        let Some(stored) = load(stage, *id)?.filter(|stored| stored.position.seq >= floor) else { continue };
        if stored.record.state != DeliveryState::Working {
            wake(stage, stored, now)?;
        }
        queued = queued.saturating_add(1);
    }
    Ok(queued)
}

fn audit(
    stage: &mut Stage<'_>,
    stored: &Stored,
    actor: &str,
    action: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let entry = AuditEntry {
        at,
        organization: stored.record.organization.clone(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: stored.record.id.to_string(),
        detail: format!("was {}", stored.record.state.as_str()),
        ..AuditEntry::default()
    };
    record::apply(stage, vec![Change::Audit(entry)])
}

fn wake(stage: &mut Stage<'_>, mut stored: Stored, now: Timestamp) -> Result<(), StoreError> {
    let before = stored.record.clone();
    let id = stored.record.id;
    if in_lane(before.state)
        && let Some(due) = before.due_at
    {
        dequeue(stage, &stored.lane(), id, due, now)?;
    }
    stage.delete(unbound(id))?;
    stored.aside = true;
    stored.failing_since = None;
    stored.attempts_forgiven = before.attempts;
    stored.record.state = DeliveryState::Queued;
    stored.record.reason = None;
    stored.record.finished_at = None;
    stored.record.due_at = Some(now);
    enqueue(stage, &stored.lane(), id, now)?;
    save(stage, Some(&before), &stored)
}

/// Counts a copy; a copy of a dead one wakes it.
pub(in super::super) fn note_copy(
    stage: &mut Stage<'_>,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    let Some(mut stored) = load(stage, id)? else { return Ok(Accepted::Duplicate(id)) };
    let before = stored.record.clone();
    stored.record.duplicates = stored.record.duplicates.saturating_add(1);
    save(stage, Some(&before), &stored)?;
    if before.state != DeliveryState::Dead {
        return Ok(Accepted::Duplicate(id));
    }
    audit(stage, &stored, "webhook", "delivery.redelivered", now)?;
    wake(stage, stored, now)?;
    Ok(Accepted::Woken(id))
}

/// Lets a dead letter go. `false`: it is not dead.
pub(in super::super) fn discard(
    stage: &mut Stage<'_>,
    id: DeliveryId,
    actor: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(mut stored) = load(stage, id)? else { return Ok(false) };
    if stored.record.state != DeliveryState::Dead {
        return Ok(false);
    }
    audit(stage, &stored, actor, "delivery.discarded", now)?;
    let before = stored.record.clone();
    stored.record.state = DeliveryState::Ignored;
    stored.record.reason = Some("discarded".into());
    save(stage, Some(&before), &stored)?;
    Ok(true)
}

/// Wakes up to `limit` deliveries whose account nobody had bound.
pub(in super::super) fn wake_unbound(
    stage: &mut Stage<'_>,
    limit: usize,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut woken: u64 = 0;
    for (key, _) in stage.with_prefix(&Key::of(Table::Unbound), limit)? {
        if let Some(stored) = id_at_end(&key).map(|id| load(stage, id)).transpose()?.flatten() {
            wake(stage, stored, now)?;
            woken = woken.saturating_add(1);
        }
    }
    Ok(woken)
}
