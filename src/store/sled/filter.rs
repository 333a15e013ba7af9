//! Tells most new deliveries from known ones without a look at the database.
//!
//! A Bloom filter (B. H. Bloom, 1970), cut into blocks of one cache line, over the dedupe keys of all rows. "No" is
//! certain, "maybe" is looked up. The only writer of rows adds each key before its row can be read, so a known
//! delivery never gets a "no". Keys of deleted rows stay in until the next start and cost one look each.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use super::key::{Key, Table};
use super::stage::unreadable;
use crate::store::StoreError;

const BLOCK_WORDS: usize = 8;
/// One "maybe" in about five hundred for what is not there.
const BITS_PER_KEY: usize = 16;
const BITS_SET: u32 = 6;
const FIRST_ROOM: usize = 1 << 16;
/// With more keys than that (16 MiB) everything is "maybe" until the next start.
const KEYS_MAX: usize = 8 << 20;

/// The filter: layers, each twice as large as the one before.
#[derive(Debug)]
pub(super) struct Filter {
    layers: RwLock<Vec<Layer>>,
}

#[derive(Debug)]
struct Layer {
    words: Box<[AtomicU64]>,
    room: usize,
    keys: AtomicUsize,
}

impl Layer {
    fn new(room: usize) -> Self {
        let words = room.saturating_mul(BITS_PER_KEY) / 64;
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect(), room, keys: AtomicUsize::new(0) }
    }

    /// The key's words, each with the bit in it.
    fn bits(&self, key: &[u8; 16]) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let key = u128::from_le_bytes(*key);
        let (place, spread) = ((key >> 64) as u64, key as u64);
        let blocks = (self.words.len() / BLOCK_WORDS).max(1) as u64;
        let first = usize::try_from(place % blocks).unwrap_or(0).saturating_mul(BLOCK_WORDS);
        (0..BITS_SET).filter_map(move |number| {
            let bit = (spread >> (9 * number)) & 511;
            let word = self.words.get(first.saturating_add(usize::try_from(bit / 64).ok()?))?;
            Some((word, 1 << (bit % 64)))
        })
    }
}

impl Filter {
    pub(super) fn new() -> Self {
        Self { layers: RwLock::new(vec![Layer::new(FIRST_ROOM)]) }
    }

    /// A filter over all rows that there are.
    pub(super) fn of(tree: &sled::Tree) -> Result<Self, StoreError> {
        let filter = Self::new();
        for row in tree.scan_prefix(Key::of(Table::External).as_bytes()) {
            filter.note(&row.map_err(|error| unreadable(&error))?.0);
        }
        Ok(filter)
    }

    /// Learns of a row that is about to be written; rows of other tables are none of its business.
    pub(super) fn note(&self, row: &[u8]) {
        let [table, key @ ..] = row else { return };
        if *table == Table::External as u8
            && let Some(whole) = key.get(16..).and_then(|rest| rest.first_chunk::<16>())
        {
            self.add(whole);
        }
    }

    fn add(&self, key: &[u8; 16]) {
        if self.add_to_last(key) {
            return;
        }
        let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
        let room = layers.last().map_or(FIRST_ROOM, |last| last.room.saturating_mul(2));
        if room > KEYS_MAX / 2 {
            layers.clear();
            return;
        }
        layers.push(Layer::new(room));
        drop(layers);
        self.add_to_last(key);
    }

    /// `false`: the last layer is full.
    fn add_to_last(&self, key: &[u8; 16]) -> bool {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = layers.last() else { return true };
        if last.keys.load(Ordering::Relaxed) >= last.room {
            return false;
        }
        for (word, bit) in last.bits(key) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        // Readers that see the row see its bits: the database's own publication lies between.
        last.keys.fetch_add(1, Ordering::Release);
        true
    }

    /// `false`: no row has this key.
    pub(super) fn may_hold(&self, key: &[u8; 16]) -> bool {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        let holds =
            |layer: &Layer| layer.bits(key).all(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0);
        layers.is_empty() || layers.iter().any(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::short_hash;
    use super::*;

    fn key(number: u32) -> [u8; 16] {
        short_hash(&[&number.to_le_bytes()])
    }

    #[test]
    fn the_filter_never_denies_a_key_and_seldom_asks_for_a_needless_look() {
        let filter = Filter::new();
        let count = FIRST_ROOM as u32 * 4;
        (0..count).for_each(|number| filter.add(&key(number)));
        assert!((0..count).all(|number| filter.may_hold(&key(number))));
        let needless = (count..count * 2).filter(|number| filter.may_hold(&key(*number))).count();
        assert!(needless < count as usize / 50, "{needless} of {count}");
    }

    #[test]
    fn an_overfull_filter_asks_for_a_look_at_everything() {
        let filter = Filter { layers: RwLock::new(vec![Layer::new(KEYS_MAX / 2)]) };
        filter.layers.read().unwrap()[0].keys.store(KEYS_MAX, Ordering::Relaxed);
        filter.add(&key(1));
        assert!(filter.may_hold(&key(1)) && filter.may_hold(&key(2)));
    }
}
