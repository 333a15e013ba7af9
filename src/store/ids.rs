//! New delivery ids: UUIDs of version 7 (RFC 9562), each greater than the one before it from this process.

use std::sync::{Mutex, PoisonError};

use crate::domain::{DeliveryId, Timestamp};

/// The bits behind the time: 12 and 62, version and variant left out.
const TAIL_BITS: u32 = 74;
/// Two ids of one millisecond differ by up to this much, so that one does not tell the next.
const STEP_BITS: u32 = 32;
const POOL_BYTES: usize = 1024;

/// Makes ids. Randomness is fetched for many at once: a system call for each id costs as much as the rest of it.
#[derive(Debug)]
pub(in crate::store) struct Ids(Mutex<State>);

#[derive(Debug)]
struct State {
    ms: u64,
    tail: u128,
    pool: [u8; POOL_BYTES],
    used: usize,
}

impl Ids {
    pub(in crate::store) const fn new() -> Self {
        Self(Mutex::new(State { ms: 0, tail: 0, pool: [0; POOL_BYTES], used: POOL_BYTES }))
    }

    /// The next id. A clock that goes back does not take the ids back.
    pub(in crate::store) fn next(&self, now: Timestamp) -> DeliveryId {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = now.ms().max(0).unsigned_abs();
        let random = state.random();
        if ms > state.ms {
            state.ms = ms;
            // The highest bit is left clear, so that a whole millisecond's steps find room.
            state.tail = random & (mask(TAIL_BITS) >> 1);
        } else {
            state.tail = state.tail.saturating_add(1).saturating_add(random & mask(STEP_BITS));
            if state.tail > mask(TAIL_BITS) {
                state.ms = state.ms.saturating_add(1);
                state.tail &= mask(TAIL_BITS) >> 1;
            }
        }
        DeliveryId::new(uuid::Builder::from_unix_timestamp_millis(state.ms, &state.tail_bytes()).into_uuid())
    }
}

const fn mask(bits: u32) -> u128 {
    (1 << bits) - 1
}

impl State {
    /// The ten bytes in which version and variant are then written over six bits.
    fn tail_bytes(&self) -> [u8; 10] {
        let (high, low) = ((self.tail >> 62) & mask(12), self.tail & mask(62));
        let spread = (high << 64) | low;
        let mut bytes = [0; 10];
        bytes.iter_mut().zip(spread.to_be_bytes().into_iter().skip(6)).for_each(|(to, from)| *to = from);
        bytes
    }

    fn random(&mut self) -> u128 {
        if self.used >= POOL_BYTES {
            // Without randomness ids are still unique: the time and the steps make them so.
            let _ = getrandom::fill(&mut self.pool);
            self.used = 0;
        }
        let bytes = self.pool.get(self.used..).and_then(|rest| rest.first_chunk::<16>());
        self.used = self.used.saturating_add(16);
        bytes.map_or(0, |bytes| u128::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_rise_within_a_millisecond_and_when_the_clock_goes_back() {
        let ids = Ids::new();
        let times =
            (0..5_000).map(|n| Timestamp::from_ms(1_700_000_000_000 + n / 100 - i64::from(n % 7 == 0) * 50));
        let made: Vec<DeliveryId> = times.map(|now| ids.next(now)).collect();
        assert!(made.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes()));
        let tails: BTreeSet<&[u8]> = made.iter().map(|id| &id.as_bytes()[8..]).collect();
        assert_eq!(tails.len(), made.len());
    }

    #[test]
    fn an_id_is_a_uuid_of_version_7_that_tells_its_time() {
        let id = Ids::new().next(Timestamp::from_ms(1_700_000_000_123));
        let id = uuid::Uuid::from_bytes(*id.as_bytes());
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_700_000_000, 123_000_000));
    }
}
