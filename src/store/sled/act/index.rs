//! Rows for deliveries that the log holds and no index knew.

use super::super::intake::{Pending, first_copy, parse_first};
use super::super::key::{self, Key, Table};
use super::super::stage::{Rows, Stage};
use super::{Stored, enqueue, save};
use crate::domain::delivery::{Delivery, DeliveryRecord, DeliveryState};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::frame::Head;
use crate::store::{Indexed, StoreError};

/// One delivery with all that its rows need.
#[derive(Debug)]
pub(in super::super) struct ToIndex {
    pub(in super::super) row: Indexed,
    pub(in super::super) pending: Pending,
    pub(in super::super) head: HeadFacts,
    pub(in super::super) copies: u32,
}

/// What of the frame goes into the record.
#[derive(Debug, Clone)]
pub(in super::super) struct HeadFacts {
    source: crate::domain::SourceKey,
    external_id: String,
    hook_id: String,
    secret_slot: u8,
    body_bytes: u64,
    body_hash: [u8; 16],
}

impl HeadFacts {
    pub(in super::super) fn of(head: &Head, delivery: &Delivery) -> Self {
        Self {
            source: delivery.source().clone(),
            external_id: head.envelope.external_id.clone(),
            hook_id: head.envelope.hook_id.clone(),
            secret_slot: head.envelope.secret_slot,
            body_bytes: delivery.body().len() as u64,
            body_hash: head.body_hash,
        }
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

/// The key of a lane in the queue.
pub(super) fn lane_key(source: &str, lane: &str) -> [u8; 16] {
    key::short_hash(&[source.as_bytes(), lane.as_bytes()])
}

fn index_one(stage: &mut Stage<'_>, one: ToIndex, now: Timestamp) -> Result<(), StoreError> {
    let ToIndex { row, pending, head, copies } = one;
    let id = pending.id;
    let replay_suspected = note_body(stage, &head.body_hash, id, pending.received_at)?;
    let (state, reason) = match row.ended {
        Some((state, reason)) => (state, Some(reason)),
        None => (DeliveryState::Queued, None),
    };
    let lane = lane_key(head.source.as_str(), &row.lane.key);
    stage.mark(key::external(&head.external_id).id(id), &[]);
    stage.mark(key::by_source(&head.source).id(id), &[]);
    stage.mark(Key::of(Table::Dedupe).bytes(&pending.dedupe), &first_copy(id, pending.received_at));
    note_file(stage, &pending)?;
    let record = DeliveryRecord {
        id,
        source: head.source,
        provider: row.provider,
        organization: None,
        connection: None,
        event: row.event,
        action: row.action,
        external_id: head.external_id,
        hook_id: head.hook_id,
        received_at: pending.received_at,
        state,
        attempts: 0,
        duplicates: copies,
        last_error: None,
        reason,
        replay_suspected,
        body_bytes: head.body_bytes,
        secret_slot: head.secret_slot,
        finished_at: state.is_final().then_some(now),
        due_at: (!state.is_final()).then_some(now),
        lane: row.lane.key,
    };
    let queued = state == DeliveryState::Queued;
    let stored = Stored {
        record,
        position: pending.position,
        fence: 0,
        lane,
        blocks: row.lane.blocks,
        failing_since: None,
        dedupe: pending.dedupe,
        attempts_forgiven: 0,
    };
    save(stage, None, &stored)?;
    if queued { enqueue(stage, &lane, id, now) } else { Ok(()) }
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
    stage.mark(key, &first_copy(id, at));
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
