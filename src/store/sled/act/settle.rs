//! Ending an attempt: the delivery's new state and all that it changes, or nothing.

use super::super::key;
use super::super::stage::Stage;
use super::{Stored, blocked, dequeue, load, record, save, unbound};
use crate::domain::change::{Changes, Verdict};
use crate::domain::delivery::{DeliveryRecord, DeliveryState};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::{Outcome, StoreError};

/// A failing head of a blocking lane is waited for so long; then it steps aside.
const BLOCKED_MS_MAX: i64 = 15 * 60 * 1000;
const ERROR_BYTES_MAX: usize = 1024;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Ended {
    Done,
    LeaseLost,
    Changed,
}

/// Settles a claim.
pub(in super::super) fn settle(
    stage: &mut Stage<'_>,
    id: DeliveryId,
    fence: u64,
    outcome: Outcome,
    now: Timestamp,
) -> Result<Ended, StoreError> {
    let Some(stored) = load(stage, id)? else { return Ok(Ended::LeaseLost) };
    if stored.fence != fence || stored.record.state != DeliveryState::Working {
        return Ok(Ended::LeaseLost);
    }
    match outcome {
        Outcome::Apply(changes) => apply(stage, stored, changes, now),
        Outcome::Retry { at, error } => retry(stage, stored, at, &error, now).map(|()| Ended::Done),
        Outcome::Park { reason, error } => {
            let before = stored.record.clone();
            let end = End { state: DeliveryState::Dead, reason: Some(reason), error: Some(error) };
            finish(stage, &before, stored, end, now).map(|()| Ended::Done)
        }
    }
}

fn apply(
    stage: &mut Stage<'_>,
    mut stored: Stored,
    changes: Changes,
    now: Timestamp,
) -> Result<Ended, StoreError> {
    if !record::hold(stage, &changes.expects)? {
        return Ok(Ended::Changed);
    }
    record::apply(stage, changes.changes)?;
    let before = stored.record.clone();
    stored.record.organization = changes.organization.or(stored.record.organization);
    stored.record.connection = changes.connection.or(stored.record.connection);
    let (state, reason, error) = match changes.verdict {
        Verdict::Done => (DeliveryState::Done, None, None),
        Verdict::Ignored(reason) => (DeliveryState::Ignored, Some(reason.as_str().into()), None),
        Verdict::Superseded(by) => (DeliveryState::Superseded, Some("superseded".into()), Some(by)),
        Verdict::Unbound => {
            wait_unbound(stage, &before, stored, now)?;
            return Ok(Ended::Done);
        }
    };
    finish(stage, &before, stored, End { state, reason, error }, now)?;
    Ok(Ended::Done)
}

/// Leaves the lane, so that it holds nobody back, and waits to be woken.
fn wait_unbound(
    stage: &mut Stage<'_>,
    before: &DeliveryRecord,
    mut stored: Stored,
    now: Timestamp,
) -> Result<(), StoreError> {
    leave_lane(stage, &stored, now)?;
    stage.mark(unbound(stored.record.id), &[]);
    stored.record.state = DeliveryState::Waiting;
    stored.record.reason = Some("unbound".into());
    stored.record.due_at = None;
    // A wait is no failure: it does not bring the delivery nearer to its end.
    stored.attempts_forgiven = stored.record.attempts;
    end_attempt(&mut stored, None, now);
    save(stage, Some(before), &stored)
}

fn leave_lane(stage: &mut Stage<'_>, stored: &Stored, now: Timestamp) -> Result<(), StoreError> {
    dequeue(stage, &stored.lane(), stored.record.id, stored.record.due_at.unwrap_or(now), now)
}

/// How a delivery comes to rest.
pub(super) struct End {
    pub(super) state: DeliveryState,
    pub(super) reason: Option<String>,
    pub(super) error: Option<String>,
}

/// Ends its work for good, and lets the next one of its lane have its turn. `before`: the record as its row has it.
pub(super) fn finish(
    stage: &mut Stage<'_>,
    before: &DeliveryRecord,
    mut stored: Stored,
    end: End,
    now: Timestamp,
) -> Result<(), StoreError> {
    let End { state, reason, error } = end;
    leave_lane(stage, &stored, now)?;
    stored.record.state = state;
    stored.record.reason = reason.map(|text| bounded(&text));
    stored.record.last_error = error.as_deref().map(bounded);
    stored.record.due_at = None;
    stored.record.finished_at = Some(now);
    stored.failing_since = None;
    end_attempt(&mut stored, error.as_deref(), now);
    save(stage, Some(before), &stored)
}

fn retry(
    stage: &mut Stage<'_>,
    mut stored: Stored,
    at: Timestamp,
    error: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let before = stored.record.clone();
    let id = stored.record.id;
    let since = *stored.failing_since.get_or_insert(now);
    let held = before.due_at.unwrap_or(now);
    if stored.blocks && now.since(since) < BLOCKED_MS_MAX {
        stage.delete(key::queue(held, &stored.lane()))?;
        stage.mark(blocked(&stored.lane()), &[]);
    } else {
        dequeue(stage, &stored.lane(), id, held, now)?;
        stored.aside = true;
        stage.mark(key::lane(&stored.lane()).id(id), &[]);
    }
    stage.mark(key::queue(at, &stored.lane()), id.as_bytes());
    stored.record.state = DeliveryState::Waiting;
    stored.record.reason = Some("retry".into());
    stored.record.last_error = Some(bounded(error));
    stored.record.due_at = Some(at);
    end_attempt(&mut stored, Some(error), now);
    save(stage, Some(&before), &stored)
}

fn end_attempt(stored: &mut Stored, error: Option<&str>, now: Timestamp) {
    if let Some(attempt) = &mut stored.attempt {
        attempt.took_ms = Some(now.since(attempt.started_at).max(0).unsigned_abs());
        attempt.led_to = Some(stored.record.state);
        attempt.error = error.map(bounded);
    }
}

/// At most 1 KiB, cut between characters.
pub(super) fn bounded(text: &str) -> String {
    let mut end = text.len().min(ERROR_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}
