//! Ids of deliveries: they begin with the time of arrival, so that they sort by it.

use std::sync::Mutex;

use crate::domain::{DeliveryId, Timestamp};

/// Makes ids. Within one process none is smaller than one before it of the same time.
#[derive(Debug)]
pub(in crate::store) struct Ids(Mutex<uuid::ContextV7>);

impl Ids {
    pub(in crate::store) fn new() -> Self {
        Self(Mutex::new(uuid::ContextV7::new()))
    }

    /// The next one.
    pub(in crate::store) fn next(&self, now: Timestamp) -> DeliveryId {
        let ms = now.ms().max(0).unsigned_abs();
        let nanos = u32::try_from(ms % 1000).unwrap_or(0).saturating_mul(1_000_000);
        DeliveryId::new(uuid::Uuid::new_v7(uuid::Timestamp::from_unix(&self.0, ms / 1000, nanos)))
    }
}
