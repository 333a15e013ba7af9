//! Slows down those who fail to prove themselves. Asked only after a failure, so nobody who is proven is ever slowed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::peer::neighbourhood;
use crate::domain::Timestamp;

/// Peers remembered at most; past it, those who were quiet the longest are forgotten.
const PEERS_MAX: usize = 10_000;

/// Thousandths of one permitted failure, so that whole numbers are enough.
const ONE: i64 = 1000;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: i64,
    at: Timestamp,
}

/// A bucket of permitted failures per peer.
#[derive(Debug)]
pub struct Throttle {
    burst: i64,
    per_minute: i64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

/// Whether a failure may still be explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Counted,
    TooMany,
}

impl Throttle {
    /// `burst` at once, then `per_minute`.
    #[must_use]
    pub fn new(burst: u32, per_minute: u32) -> Self {
        Self {
            burst: i64::from(burst).saturating_mul(ONE),
            per_minute: i64::from(per_minute),
            buckets: Mutex::default(),
        }
    }

    pub(crate) fn fail(&self, peer: IpAddr, now: Timestamp) -> Failure {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= PEERS_MAX {
            self.forget(&mut buckets, now);
        }
        let full = Bucket { left: self.burst, at: now };
        let bucket = buckets.entry(neighbourhood(peer)).or_insert(full);
        bucket.left = self.refilled(*bucket, now);
        bucket.at = now;
        if bucket.left < ONE {
            return Failure::TooMany;
        }
        bucket.left = bucket.left.saturating_sub(ONE);
        Failure::Counted
    }

    fn refilled(&self, bucket: Bucket, now: Timestamp) -> i64 {
        // One thousandth per (60 / per_minute) milliseconds: milliseconds × per_minute / 60 gives thousandths.
        let more = now.since(bucket.at).max(0).saturating_mul(self.per_minute) / 60;
        bucket.left.saturating_add(more).min(self.burst)
    }

    /// Drops the buckets that are full again, and if that is not enough the older half.
    fn forget(&self, buckets: &mut HashMap<IpAddr, Bucket>, now: Timestamp) {
        buckets.retain(|_, bucket| self.refilled(*bucket, now) < self.burst);
        if buckets.len() < PEERS_MAX {
            return;
        }
        let mut times: Vec<Timestamp> = buckets.values().map(|bucket| bucket.at).collect();
        times.sort_unstable();
        let middle = times.get(times.len() / 2).copied().unwrap_or(now);
        buckets.retain(|_, bucket| bucket.at > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn a_peer_gets_its_burst_and_then_its_rate() {
        let throttle = Throttle::new(3, 60);
        let at = Timestamp::from_ms(1_000_000);
        for _ in 0..3 {
            assert_eq!(throttle.fail(peer(1), at), Failure::Counted);
        }
        assert_eq!(throttle.fail(peer(1), at), Failure::TooMany);
        assert_eq!(throttle.fail(peer(2), at), Failure::Counted, "another peer is not touched");
        assert_eq!(throttle.fail(peer(1), at.plus_ms(1000)), Failure::Counted);
        assert_eq!(throttle.fail(peer(1), at.plus_ms(1000)), Failure::TooMany);
    }

    #[test]
    fn the_table_stays_bounded() {
        let throttle = Throttle::new(3, 60);
        for n in 0..50_000 {
            let _ = throttle.fail(peer(n), Timestamp::from_ms(1_000_000));
        }
        assert!(throttle.buckets.lock().unwrap().len() <= PEERS_MAX);
    }
}
