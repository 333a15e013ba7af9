//! Rows for deliveries that the log holds and no index knew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use super::super::backlog::Pending;
use super::super::dedupe::{self, Dedupe};
use super::super::key::{self, Key, Table};
use super::super::locked;
use super::super::stage::{Rows, Stage};
use super::{Stored, enqueue, save};
use crate::domain::delivery::{Delivery, DeliveryRecord, DeliveryState};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::{Indexed, StoreError, frame};

/// One delivery with all that its rows need.
#[derive(Debug)]
pub(in super::super) struct ToIndex {
    pub(in super::super) row: Indexed,
    pub(in super::super) pending: Pending,
    pub(in super::super) facts: Facts,
    pub(in super::super) copies: u32,
}

/// What of the frame goes into the rows.
#[derive(Debug, Clone)]
pub(in super::super) struct Facts {
    source: crate::domain::SourceKey,
    external_id: String,
    hook_id: String,
    secret_slot: u8,
    body_bytes: u64,
    body_hash: [u8; 16],
}

impl Facts {
    /// The body is hashed here and not at the door: nobody there asks for it (rulings 1 and 4).
    pub(in super::super) fn of(delivery: &Delivery) -> Self {
        let (source, envelope) = (delivery.source(), delivery.envelope());
        Self {
            source: source.clone(),
            external_id: envelope.external_id.clone(),
            hook_id: envelope.hook_id.clone(),
            secret_slot: envelope.secret_slot,
            body_bytes: delivery.body().len() as u64,
            body_hash: frame::body_hash(delivery),
        }
    }
}

/// What the indexer's last look at the log has found, so that its write need not open every frame again.
#[derive(Debug, Default)]
pub(in super::super) struct ReadAhead(Mutex<HashMap<DeliveryId, Facts>>);

impl ReadAhead {
    fn lock(&self) -> MutexGuard<'_, HashMap<DeliveryId, Facts>> {
        locked(&self.0)
    }

    /// Keeps these, in place of any before.
    pub(in super::super) fn keep(&self, facts: Vec<(DeliveryId, Facts)>) {
        *self.lock() = facts.into_iter().collect();
    }

    /// Gives away what is known of this one.
    pub(in super::super) fn take(&self, id: DeliveryId) -> Option<Facts> {
        self.lock().remove(&id)
    }
}

/// The last frame of the inbox log that has its rows.
pub(in super::super) fn watermark() -> Key {
    key::meta("inbox-watermark")
}

/// Writes the rows of all of them, in the order of the log.
pub(in super::super) fn index(
    stage: &mut Stage<'_>,
    all: Vec<ToIndex>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for one in all {
        let sequence = one.pending.position.seq;
        index_one(stage, one, now)?;
        stage.put(watermark(), &sequence)?;
    }
    Ok(())
}

fn index_one(stage: &mut Stage<'_>, one: ToIndex, now: Timestamp) -> Result<(), StoreError> {
    let ToIndex { row, pending, facts, copies } = one;
    let id = pending.id;
    let replay_suspected = note_body(stage, &facts.body_hash, id, pending.received_at)?;
    let (state, reason) = match row.ended {
        Some((state, reason)) => (state, Some(reason)),
        None => (DeliveryState::Queued, None),
    };
    stage.mark(key::by_source(&facts.source).id(id), &[]);
    let dedupe = Dedupe::new(&facts.source, &facts.hook_id, &facts.external_id);
    stage.mark(dedupe.row(id), &dedupe::received(pending.received_at));
    note_file(stage, &pending)?;
    let record = DeliveryRecord {
        id,
        source: facts.source,
        provider: row.provider,
        organization: None,
        connection: None,
        event: row.event,
        action: row.action,
        external_id: facts.external_id,
        hook_id: facts.hook_id,
        received_at: pending.received_at,
        state,
        attempts: 0,
        duplicates: copies,
        last_error: None,
        reason,
        replay_suspected,
        body_bytes: facts.body_bytes,
        secret_slot: facts.secret_slot,
        finished_at: state.is_final().then_some(now),
        due_at: (!state.is_final()).then_some(now),
        lane: row.lane.key,
    };
    let queued = state == DeliveryState::Queued;
    let stored = Stored {
        record,
        position: pending.position,
        fence: 0,
        aside: false,
        lane_before: None,
        blocks: row.lane.blocks,
        failing_since: None,
        attempt: None,
        attempts_forgiven: 0,
    };
    save(stage, None, &stored)?;
    if queued { enqueue(stage, &stored.lane(), id, now) } else { Ok(()) }
}

/// The value of a body's row: the first delivery that brought it, and when.
pub(in super::super) fn first_with(id: DeliveryId, at: Timestamp) -> Vec<u8> {
    let mut value = id.as_bytes().to_vec();
    value.extend_from_slice(&at.ms().to_be_bytes());
    value
}

/// Reads [`first_with`] back.
pub(in super::super) fn parse_first(value: &[u8]) -> Option<(DeliveryId, Timestamp)> {
    let (id, at) = value.split_first_chunk::<16>()?;
    let at = i64::from_be_bytes(at.try_into().ok()?);
    Some((DeliveryId::from_bytes(*id), Timestamp::from_ms(at)))
}

/// Remembers the body; `true` when the same one came before under another id (ruling 4).
fn note_body(
    stage: &mut Stage<'_>,
    hash: &[u8; 16],
    id: DeliveryId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let key = Key::of(Table::Body).bytes(hash);
    if let Some((first, _)) = stage.raw(key.as_bytes())?.as_deref().and_then(parse_first) {
        return Ok(first != id);
    }
    stage.mark(key, &first_with(id, at));
    Ok(false)
}

/// Remembers when the newest delivery of a log file came, so that retention knows when the file's time is over.
fn note_file(stage: &mut Stage<'_>, pending: &Pending) -> Result<(), StoreError> {
    stage.put(file_key(pending.position.file), &pending.received_at)
}

/// The row that holds the newest time of a log file.
pub(in super::super) fn file_key(file: u64) -> Key {
    Key::of(Table::Carried).number(file)
}
