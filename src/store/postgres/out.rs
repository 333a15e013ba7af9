//! What this process has claimed and not settled. A delivery whose lease ran out may have killed the process that held
//! it, so it is worked on alone: else those beside it would die with it, and be given up for its sake (reliability R28).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{DeliveryId, Timestamp};
use crate::store::DUE_WITHIN_MS;

/// How busy this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hands {
    /// Nothing is out.
    Free,
    /// Something is out.
    Busy,
    /// Something is out that nothing may be beside.
    Alone,
}

/// The claims that are out, with the end of their leases.
#[derive(Debug, Default)]
pub(super) struct Out(Mutex<HashMap<DeliveryId, Held>>);

#[derive(Debug, Clone, Copy)]
struct Held {
    until: Timestamp,
    alone: bool,
}

impl Out {
    fn open(&self) -> MutexGuard<'_, HashMap<DeliveryId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hands(&self, now: Timestamp) -> Hands {
        let mut open = self.open();
        // A lease that a clock set back has put off for years has ended too.
        open.retain(|_, held| now < held.until && held.until.since(now) <= DUE_WITHIN_MS);
        if open.values().any(|held| held.alone) {
            Hands::Alone
        } else if open.is_empty() {
            Hands::Free
        } else {
            Hands::Busy
        }
    }

    pub(super) fn given(&self, id: DeliveryId, until: Timestamp, alone: bool) {
        self.open().insert(id, Held { until, alone });
    }

    pub(super) fn extended(&self, id: DeliveryId, until: Timestamp) {
        if let Some(held) = self.open().get_mut(&id) {
            held.until = until;
        }
    }

    pub(super) fn ended(&self, id: DeliveryId) {
        self.open().remove(&id);
    }
}
