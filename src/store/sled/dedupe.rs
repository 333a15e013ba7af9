//! What makes two deliveries the same one (delivery.md 4.2), and how the rows that say so are found.

use super::key::{self, Key, Table, short_hash};
use super::stage::Rows;
use crate::domain::delivery::Delivery;
use crate::domain::{DeliveryId, SourceKey, Timestamp};
use crate::store::{StoreError, frame};

/// Copies of one forge's id that are looked at for a list; forges give one id to a handful of hooks.
const SIBLINGS_MAX: usize = 5_000;

/// The forge's id, hashed, and the same with source and hook.
///
/// The bare id comes first in a row's key, so one table finds the first copy at the door and all siblings for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Dedupe {
    external: [u8; 16],
    whole: [u8; 16],
}

impl Dedupe {
    pub(super) fn of(delivery: &Delivery) -> Self {
        let external = short_hash(&[delivery.envelope().external_id.as_bytes()]);
        Self { external, whole: frame::key_of(delivery) }
    }

    pub(super) fn new(source: &SourceKey, hook_id: &str, external_id: &str) -> Self {
        Self {
            external: short_hash(&[external_id.as_bytes()]),
            whole: frame::dedupe_key(source, hook_id, external_id),
        }
    }

    /// The forge's id with source and hook.
    pub(super) const fn whole(&self) -> [u8; 16] {
        self.whole
    }

    fn prefix(&self) -> Key {
        Key::of(Table::External).bytes(&self.external).bytes(&self.whole)
    }

    /// The row of one delivery; its value is [`received`].
    pub(super) fn row(&self, id: DeliveryId) -> Key {
        self.prefix().id(id)
    }

    /// The newest delivery that has rows already and is the same one.
    pub(super) fn find<R: Rows>(&self, rows: &R) -> Result<Option<(DeliveryId, Timestamp)>, StoreError> {
        let prefix = self.prefix();
        let end = key::behind(prefix.as_bytes());
        let newest = rows.scan_back(prefix.as_bytes(), end.as_deref(), 1)?;
        Ok(newest.first().and_then(|(row, value)| Some((key::id_at_end(row)?, read_received(value)?))))
    }
}

/// The value of a row: when that delivery came.
pub(super) fn received(at: Timestamp) -> [u8; 8] {
    at.ms().to_be_bytes()
}

fn read_received(value: &[u8]) -> Option<Timestamp> {
    value.try_into().ok().map(|bytes| Timestamp::from_ms(i64::from_be_bytes(bytes)))
}

/// All deliveries with this forge's id, newest first.
pub(super) fn siblings<R: Rows>(rows: &R, external_id: &str) -> Result<Vec<DeliveryId>, StoreError> {
    let prefix = Key::of(Table::External).bytes(&short_hash(&[external_id.as_bytes()]));
    let found = rows.with_prefix(&prefix, SIBLINGS_MAX)?;
    let mut ids: Vec<DeliveryId> = found.iter().filter_map(|(row, _)| key::id_at_end(row)).collect();
    ids.sort_unstable_by(|one, other| other.as_bytes().cmp(one.as_bytes()));
    Ok(ids)
}
