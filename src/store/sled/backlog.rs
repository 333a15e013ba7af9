//! Deliveries that are in the log and in no index, in the order of the log, with their dedupe keys.
//!
//! The intake's thread adds them, the indexer takes them away, and replay at a start brings them back. A burst makes
//! many of them before the first is indexed, so each is kept small.

use std::collections::{HashMap, VecDeque};

use super::journal::Position;
use crate::domain::{DeliveryId, Timestamp};

/// So many at most; past it 503 (ruling 2).
pub(super) const UNINDEXED_MAX: usize = 262_144;
/// Room for fewer is kept even when it is empty.
const KEPT_MIN: usize = 4_096;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) id: DeliveryId,
    pub(super) dedupe: [u8; 16],
    pub(super) received_at: Timestamp,
    pub(super) position: Position,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    order: VecDeque<Pending>,
    /// The newest frame with each dedupe key.
    by_dedupe: HashMap<[u8; 16], u64>,
    /// Copies that came before their first one was indexed.
    copies: HashMap<DeliveryId, u32>,
}

impl Backlog {
    pub(super) fn push(&mut self, pending: Pending) {
        self.by_dedupe.insert(pending.dedupe, pending.position.seq);
        self.order.push_back(pending);
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn oldest(&self) -> Option<Pending> {
        self.order.front().copied()
    }

    pub(super) fn first(&self, limit: usize) -> Vec<Pending> {
        self.order.iter().take(limit).copied().collect()
    }

    /// The delivery with this dedupe key, and when it came.
    pub(super) fn same_as(&self, dedupe: &[u8; 16]) -> Option<(DeliveryId, Timestamp)> {
        let sequence = self.by_dedupe.get(dedupe)?;
        let place = self.order.binary_search_by_key(sequence, |pending| pending.position.seq).ok()?;
        self.order.get(place).map(|pending| (pending.id, pending.received_at))
    }

    /// Counts a copy of a delivery that is not indexed yet; `false` when it is indexed.
    pub(super) fn count_copy(&mut self, dedupe: &[u8; 16], id: DeliveryId) -> bool {
        let waiting = self.same_as(dedupe).is_some_and(|(known, _)| known == id);
        if waiting {
            let copies = self.copies.entry(id).or_default();
            *copies = copies.saturating_add(1);
        }
        waiting
    }

    pub(super) fn copies(&self, id: DeliveryId) -> u32 {
        self.copies.get(&id).copied().unwrap_or(0)
    }

    /// They are indexed now.
    pub(super) fn forget(&mut self, ids: &[DeliveryId]) {
        for id in ids {
            if self.order.front().is_some_and(|pending| pending.id == *id)
                && let Some(pending) = self.order.pop_front()
            {
                if self.by_dedupe.get(&pending.dedupe) == Some(&pending.position.seq) {
                    self.by_dedupe.remove(&pending.dedupe);
                }
                self.copies.remove(id);
            }
        }
        // What a burst has taken is given back.
        if self.order.len() < self.order.capacity() / 4 {
            self.order.shrink_to(KEPT_MIN.max(self.order.len().saturating_mul(2)));
            self.by_dedupe.shrink_to(KEPT_MIN.max(self.by_dedupe.len().saturating_mul(2)));
        }
    }
}
