//! Letting go of deliveries whose bytes are lost to damage, by the operator's word.

use std::ops::RangeInclusive;

use super::super::key::{self, Key, Table};
use super::super::stage::{Rows, Stage};
use super::settle::{End, finish};
use super::{Stored, record, unbound};
use crate::domain::Timestamp;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::delivery::DeliveryState;
use crate::store::StoreError;

/// Rows looked at by one act.
const ROWS_MAX: usize = 256;
/// The reason of a delivery that can no longer be handled.
const REASON: &str = "lost";
const WHY: &str = "its bytes were lost to damage of the store, and the operator has accepted that";

/// What one act has let go.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct LetGo {
    /// Deliveries without bytes.
    pub(in super::super) bytes: u64,
    /// Those of them that were not finished, and are dead now.
    pub(in super::super) unfinished: u64,
    /// Whether every row was looked at.
    pub(in super::super) is_last: bool,
}

/// Looks at the next rows behind `from`.
pub(in super::super) fn let_go(
    stage: &mut Stage<'_>,
    lost: &[RangeInclusive<u64>],
    from: &mut Key,
    now: Timestamp,
) -> Result<LetGo, StoreError> {
    let end = key::behind(Key::of(Table::Delivery).as_bytes());
    let rows = stage.scan(from.as_bytes(), end.as_deref(), ROWS_MAX)?;
    let mut done = LetGo { is_last: rows.len() < ROWS_MAX, ..LetGo::default() };
    for (row, value) in rows {
        let stored: Stored = stage.decode(&row, value)?;
        if lost.iter().any(|range| range.contains(&stored.position.seq)) {
            done.bytes = done.bytes.saturating_add(1);
            done.unfinished = done.unfinished.saturating_add(u64::from(one(stage, stored, now)?));
        }
        *from = Key::raw([row.as_slice(), &[0]].concat());
    }
    Ok(done)
}

/// `true`: it was not finished.
fn one(stage: &mut Stage<'_>, mut stored: Stored, now: Timestamp) -> Result<bool, StoreError> {
    let state = stored.record.state;
    stored.position = super::NOWHERE;
    let entry = AuditEntry {
        at: now,
        organization: stored.record.organization.clone(),
        actor: "cli".into(),
        action: "delivery.lost".into(),
        subject: stored.record.id.to_string(),
        detail: format!("its bytes are gone; it was {}", state.as_str()),
        ..AuditEntry::default()
    };
    record::apply(stage, vec![Change::Audit(entry)])?;
    if state.is_final() {
        stage.put(key::delivery(stored.record.id), &stored)?;
        return Ok(false);
    }
    stage.delete(unbound(stored.record.id))?;
    let before = stored.record.clone();
    let end = End { state: DeliveryState::Dead, reason: Some(REASON.into()), error: Some(WHY.into()) };
    finish(stage, &before, stored, end, now)?;
    Ok(true)
}

/// The line that says what was let go as a whole.
pub(in super::super) fn note(
    stage: &mut Stage<'_>,
    sentence: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let entry = AuditEntry {
        at: now,
        organization: None,
        actor: "cli".into(),
        action: "store.loss-accepted".into(),
        subject: "store".into(),
        detail: sentence.chars().take(500).collect(),
        ..AuditEntry::default()
    };
    record::apply(stage, vec![Change::Audit(entry)])
}
