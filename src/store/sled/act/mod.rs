//! What the committer's thread does for each verb: read rows, decide, write rows. No I/O but through the stage.

pub(super) mod access;
pub(super) mod claim;
pub(super) mod counts;
pub(super) mod import;
pub(super) mod index;
pub(super) mod loss;
pub(super) mod purge;
pub(super) mod record;
pub(super) mod replay;
pub(super) mod roster;
pub(super) mod scan;
pub(super) mod settle;
pub(super) mod task;
pub(super) mod ticket;
pub(super) mod trail;

use serde::{Deserialize, Serialize};

use super::journal::Position;
use super::key::{self, Key, Table};
use super::stage::{Rows, Stage};
use crate::domain::delivery::{Attempt, DeliveryRecord, DeliveryState};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::StoreError;

/// A delivery's row: what people see, and what the queue needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) record: DeliveryRecord,
    /// Where its bytes are; the file may be gone. Frame 0: nowhere.
    pub(super) position: Position,
    /// Rises with each claim.
    pub(super) fence: u64,
    /// It stands in a lane of its own: it stepped aside, or was asked for by hand.
    #[serde(default)]
    pub(super) aside: bool,
    /// Its lane's key, in rows that were written before keys were made from the lane's name.
    #[serde(rename = "lane", default, skip_serializing_if = "Option::is_none")]
    pub(super) lane_before: Option<[u8; 16]>,
    /// A failing head holds the lane.
    pub(super) blocks: bool,
    /// When it first failed as the head of its lane.
    pub(super) failing_since: Option<Timestamp>,
    /// The newest attempt; the earlier ones have rows of their own.
    pub(super) attempt: Option<Attempt>,
    /// Attempts before the last replay; they do not count against the schedule.
    pub(super) attempts_forgiven: u32,
}

/// The place of bytes that are not kept.
pub(super) const NOWHERE: Position = Position { seq: 0, file: 0, offset: 0, len: 0 };

impl Stored {
    /// Its lane's key in the queue.
    pub(super) fn lane(&self) -> [u8; 16] {
        match self.lane_before {
            _ if self.aside => own_lane(self.record.id),
            Some(lane) => lane,
            None => lane_key(self.record.source.as_str(), &self.record.lane),
        }
    }

    /// Whether it stands in a lane of its own.
    pub(super) fn is_aside(&self) -> bool {
        self.aside || self.lane_before == Some(own_lane(self.record.id))
    }
}

pub(super) fn load<R: Rows>(rows: &R, id: DeliveryId) -> Result<Option<Stored>, StoreError> {
    rows.read(&key::delivery(id))
}

/// Writes a delivery's row and moves it between the lists that name its state.
pub(super) fn save(
    stage: &mut Stage<'_>,
    before: Option<&DeliveryRecord>,
    stored: &Stored,
) -> Result<(), StoreError> {
    let id = stored.record.id;
    counts::moved(stage, before, &stored.record)?;
    if before.map(|record| record.state) != Some(stored.record.state) {
        if let Some(before) = before {
            stage.delete(key::by_state(before.state).id(id))?;
        }
        stage.mark(key::by_state(stored.record.state).id(id), &[]);
    }
    let organization = before.and_then(|record| record.organization.as_ref());
    if organization != stored.record.organization.as_ref() {
        if let Some(organization) = organization {
            stage.delete(key::by_organization(organization).id(id))?;
        }
        if let Some(organization) = &stored.record.organization {
            stage.mark(key::by_organization(organization).id(id), &[]);
        }
    }
    stage.put(key::delivery(id), stored)
}

/// Puts a delivery at the end of its lane; when the lane was empty, it becomes due.
pub(super) fn enqueue(
    stage: &mut Stage<'_>,
    lane: &[u8; 16],
    id: DeliveryId,
    due: Timestamp,
) -> Result<(), StoreError> {
    let was_empty = stage.with_prefix(&key::lane(lane), 1)?.is_empty();
    stage.mark(key::lane(lane).id(id), &[]);
    if was_empty {
        stage.mark(key::queue(due, lane), id.as_bytes());
    }
    Ok(())
}

/// Takes a delivery out of its lane; when the lane's turn was its, the next one becomes due.
///
/// `due` is where its own entry in the queue lies, if it has one: always its record's `due_at`. The entry decides, not
/// the order of ids: of two that arrive at once, the smaller id may be indexed when the other one is already at work.
pub(super) fn dequeue(
    stage: &mut Stage<'_>,
    lane: &[u8; 16],
    id: DeliveryId,
    due: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let entry = key::queue(due, lane);
    let had_turn = stage.raw(entry.as_bytes())?.is_some_and(|holder| holder == id.as_bytes());
    stage.delete(key::lane(lane).id(id))?;
    if !had_turn {
        return Ok(());
    }
    stage.delete(entry)?;
    stage.delete(blocked(lane))?;
    let Some(next) = first_of(stage, lane)? else { return Ok(()) };
    let lost = || StoreError::Corrupt("a lane names a delivery that is not there".into());
    let mut stored = load(stage, next)?.ok_or_else(lost)?;
    stored.record.due_at = Some(now);
    stage.put(key::delivery(next), &stored)?;
    stage.mark(key::queue(now, lane), next.as_bytes());
    Ok(())
}

fn first_of(stage: &Stage<'_>, lane: &[u8; 16]) -> Result<Option<DeliveryId>, StoreError> {
    Ok(stage.with_prefix(&key::lane(lane), 1)?.first().and_then(|(key, _)| key::id_at_end(key)))
}

/// The key of a lane in the queue.
pub(super) fn lane_key(source: &str, lane: &str) -> [u8; 16] {
    key::short_hash(&[source.as_bytes(), lane.as_bytes()])
}

/// The lane of a delivery that stepped aside: its own.
fn own_lane(id: DeliveryId) -> [u8; 16] {
    key::short_hash(&[b"own", id.as_bytes()])
}

/// Whether a delivery stands in a lane at all.
pub(super) fn in_lane(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Queued | DeliveryState::Working | DeliveryState::Waiting)
}

/// The mark of a lane whose failing head holds others back.
pub(super) fn blocked(lane: &[u8; 16]) -> Key {
    Key::of(Table::Blocked).bytes(lane)
}

/// The mark by which [`crate::store::Inbox::wake_unbound`] finds a delivery.
pub(super) fn unbound(id: DeliveryId) -> Key {
    Key::of(Table::Unbound).id(id)
}
