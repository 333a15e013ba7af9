//! Counters for the gauges, written with what they count, so that a scrape reads one row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::key;
use super::super::stage::{Rows, Stage};
use crate::domain::delivery::{DeliveryRecord, DeliveryState};
use crate::store::StoreError;

/// How many deliveries there are in each state, and why the dead ones died.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Counts {
    pub(in super::super) by_state: BTreeMap<String, u64>,
    pub(in super::super) dead_by_reason: BTreeMap<String, u64>,
}

pub(in super::super) fn load<R: Rows>(rows: &R) -> Result<Counts, StoreError> {
    Ok(rows.read(&key::meta("counts"))?.unwrap_or_default())
}

fn shift(map: &mut BTreeMap<String, u64>, name: &str, up: bool) {
    let count = map.entry(name.to_owned()).or_default();
    *count = if up { count.saturating_add(1) } else { count.saturating_sub(1) };
    if *count == 0 {
        map.remove(name);
    }
}

fn count(counts: &mut Counts, record: &DeliveryRecord, up: bool) {
    shift(&mut counts.by_state, record.state.as_str(), up);
    if record.state == DeliveryState::Dead {
        shift(&mut counts.dead_by_reason, record.reason.as_deref().unwrap_or("unknown"), up);
    }
}

/// A delivery went from one state to another.
pub(super) fn moved(
    stage: &mut Stage<'_>,
    before: Option<&DeliveryRecord>,
    after: &DeliveryRecord,
) -> Result<(), StoreError> {
    if before.is_some_and(|before| before.state == after.state && before.reason == after.reason) {
        return Ok(());
    }
    let mut counts = load(stage)?;
    if let Some(before) = before {
        count(&mut counts, before, false);
    }
    count(&mut counts, after, true);
    stage.put(key::meta("counts"), &counts)
}

/// A delivery's record was deleted.
pub(super) fn gone(stage: &mut Stage<'_>, record: &DeliveryRecord) -> Result<(), StoreError> {
    let mut counts = load(stage)?;
    count(&mut counts, record, false);
    stage.put(key::meta("counts"), &counts)
}
