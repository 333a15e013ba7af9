//! What the process before was working on when it died. One of these may be what killed it, so each is worked on alone:
//! else those beside it would die with it, again and again, and be given up for its sake (reliability R28).

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::locked;
use crate::domain::{DeliveryId, Timestamp};
use crate::store::DUE_WITHIN_MS;

/// Those that have not come to an end yet.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Whether this process has claimed anything yet.
    asked: AtomicBool,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    known: HashSet<DeliveryId>,
    /// The one that is worked on, and the end of its lease.
    out: Option<(DeliveryId, Timestamp)>,
}

impl Suspects {
    fn open(&self) -> MutexGuard<'_, Open> {
        locked(&self.open)
    }

    /// Whether they are not known yet: this process has claimed nothing.
    pub(super) fn are_unknown(&self) -> bool {
        !self.asked.load(Ordering::SeqCst)
    }

    /// The first caller is to find them.
    pub(super) fn shall_be_found(&self) -> bool {
        !self.asked.swap(true, Ordering::SeqCst)
    }

    /// How many claims may be given now of those that were asked for.
    pub(super) fn room(&self, asked: usize, now: Timestamp) -> usize {
        let open = self.open();
        match open.out {
            _ if open.known.is_empty() => asked,
            // A lease that a clock set back has put off for years has ended.
            Some((_, until)) if now < until && until.since(now) <= DUE_WITHIN_MS => 0,
            _ => asked.min(1),
        }
    }

    /// These were under way when the process before died.
    pub(super) fn add(&self, freed: Vec<DeliveryId>) {
        self.open().known.extend(freed);
    }

    /// This one is worked on until then.
    pub(super) fn given(&self, id: DeliveryId, until: Timestamp) {
        let mut open = self.open();
        if !open.known.is_empty() {
            open.out = Some((id, until));
        }
    }

    /// Its lease ends later.
    pub(super) fn extended(&self, id: DeliveryId, until: Timestamp) {
        let mut open = self.open();
        if open.out.is_some_and(|(out, _)| out == id) {
            open.out = Some((id, until));
        }
    }

    /// It was worked on to an end, whichever.
    pub(super) fn ended(&self, id: DeliveryId) {
        let mut open = self.open();
        open.known.remove(&id);
        if open.out.is_some_and(|(out, _)| out == id) {
            open.out = None;
        }
    }
}
