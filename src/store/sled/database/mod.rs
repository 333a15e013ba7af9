//! All rows: sled, with what was written since the last move laid over it.
//!
//! ```text
//! committer ── write ──▶ fresh ── begin_move ──▶ moving ── mover, a chunk at a time ──▶ sled
//! ```
//!
//! A delivery's rows change several times within a second, and most rows of the queue live no longer than that. What is
//! written again or deleted before its turn never reaches sled, which would write a piece of a page for it each time.
//! Meanwhile the records log has everything.

use std::any::Any;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::hot::Hot;
use super::key::Key;
use super::row;
use super::stage::{Found, Rows, Writes, sled_rows};
use crate::store::StoreError;

/// What a row costs beside its own bytes, about.
const ROW_BYTES: usize = 96;

/// The rows of one store.
#[derive(Clone)]
pub(super) struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    sled: sled::Db,
    layers: RwLock<Layers>,
    hot: Hot,
}

#[derive(Default)]
struct Layers {
    fresh: Layer,
    moving: Arc<Layer>,
    /// Grows whenever a move begins or ends.
    moves: u64,
}

/// What was found below the keys of some writes, and when.
struct Looked {
    is_below: Vec<bool>,
    moves: u64,
}

/// Rows that sled does not have yet.
#[derive(Default)]
pub(super) struct Layer {
    rows: BTreeMap<Vec<u8>, Fresh>,
    bytes: usize,
    /// The last frame of the records log that is in it.
    sequence: u64,
}

/// A key that lies over others, and its row; `None` deletes it.
type Over<'a> = (&'a Vec<u8>, Option<&'a Vec<u8>>);

struct Fresh {
    /// `None`: it is deleted.
    value: Option<Vec<u8>>,
    /// Whether a row lies under it. One that does not can vanish without a trace.
    is_below: bool,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Layer {
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What is to be written to sled, in order.
    pub(super) fn writes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows.iter().map(|(key, fresh)| (key.as_slice(), fresh.value.as_deref()))
    }

    fn within<'a>(
        &'a self,
        range: (Bound<&'a [u8]>, Bound<&'a [u8]>),
    ) -> impl DoubleEndedIterator<Item = Over<'a>> {
        self.rows.range::<[u8], _>(range).map(|(key, fresh)| (key, fresh.value.as_ref()))
    }

    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>, is_below: bool) {
        let weight = |length: usize, value: Option<&Vec<u8>>| {
            ROW_BYTES.saturating_add(length).saturating_add(value.map_or(0, Vec::len))
        };
        let length = key.len();
        let old = if value.is_none() && !is_below {
            self.rows.remove(&key)
        } else {
            self.bytes = self.bytes.saturating_add(weight(length, value.as_ref()));
            self.rows.insert(key, Fresh { value, is_below })
        };
        if let Some(old) = old {
            self.bytes = self.bytes.saturating_sub(weight(length, old.value.as_ref()));
        }
    }
}

impl Layers {
    /// What is said of a key here; `None`: nothing.
    fn get(&self, key: &[u8]) -> Option<&Fresh> {
        self.fresh.rows.get(key).or_else(|| self.moving.rows.get(key))
    }
}

impl Database {
    /// Over what sled holds: everything up to this frame.
    pub(super) fn new(sled: sled::Db, sequence: u64) -> Self {
        let layers = Layers { fresh: Layer { sequence, ..Layer::default() }, ..Layers::default() };
        Self { shared: Arc::new(Shared { sled, layers: RwLock::new(layers), hot: Hot::default() }) }
    }

    /// What lies below.
    pub(super) fn sled(&self) -> &sled::Db {
        &self.shared.sled
    }

    fn layers(&self) -> RwLockReadGuard<'_, Layers> {
        self.shared.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn layers_mut(&self) -> RwLockWriteGuard<'_, Layers> {
        self.shared.layers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays the rows of one frame over the others; gives back the bytes that wait for their move. For the committer's
    /// thread alone.
    pub(super) fn write(&self, writes: Writes, sequence: u64) -> Result<usize, StoreError> {
        let mut writes = writes;
        loop {
            // Looked up before anybody is kept waiting.
            let looked = self.look_below(&writes)?;
            match self.lay(writes, &looked, sequence) {
                Ok(bytes) => return Ok(bytes),
                Err(again) => writes = again,
            }
        }
    }

    fn look_below(&self, writes: &Writes) -> Result<Looked, StoreError> {
        let layers = self.layers();
        let is_below = writes.keys().map(|key| self.is_below(&layers, key)).collect::<Result<_, _>>()?;
        Ok(Looked { is_below, moves: layers.moves })
    }

    /// Gives the writes back when a move has begun or ended since it was looked: a row that lay over nothing may lie
    /// below by now, and to delete it without a trace would let it come back.
    fn lay(&self, writes: Writes, looked: &Looked, sequence: u64) -> Result<usize, Writes> {
        let mut layers = self.layers_mut();
        if layers.moves != looked.moves {
            return Err(writes);
        }
        self.shared.hot.forget(writes.keys());
        for ((key, value), is_below) in writes.into_iter().zip(&looked.is_below) {
            layers.fresh.put(key, value, *is_below);
        }
        layers.fresh.sequence = sequence;
        Ok(layers.fresh.bytes)
    }

    fn is_below(&self, layers: &Layers, key: &[u8]) -> Result<bool, StoreError> {
        if let Some(fresh) = layers.fresh.rows.get(key) {
            return Ok(fresh.is_below);
        }
        match layers.moving.rows.get(key) {
            Some(moving) => Ok(moving.value.is_some()),
            None => Ok(self.shared.sled.raw(key)?.is_some()),
        }
    }

    fn raw_in(&self, layers: &Layers, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match layers.get(key) {
            Some(fresh) => Ok(fresh.value.clone()),
            None => self.shared.sled.raw(key),
        }
    }

    /// The record under a key if it is decoded already: nothing is read for it.
    pub(super) fn decoded<T: Any + Send + Sync>(&self, key: &Key) -> Option<Arc<T>> {
        self.shared.hot.find(key.as_bytes())
    }

    /// What `decode` makes of the row under a key, made once for as long as nobody writes it. For rows of which everybody
    /// asks for the same `T`.
    pub(super) fn hot<T: Any + Send + Sync>(
        &self,
        key: &Key,
        decode: impl FnOnce(&[u8]) -> Result<T, StoreError>,
    ) -> Result<Option<Arc<T>>, StoreError> {
        if let Some(found) = self.decoded(key) {
            return Ok(Some(found));
        }
        // Held until the record is in, so that nobody writes the row in between.
        let layers = self.layers();
        let Some(value) = self.raw_in(&layers, key.as_bytes())? else { return Ok(None) };
        if row::parts_of(&value).is_none() {
            let made = Arc::new(decode(&value)?);
            self.shared.hot.put(key.as_bytes(), Arc::clone(&made));
            return Ok(Some(made));
        }
        drop(layers);
        let Some(value) = self.whole(key)? else { return Ok(None) };
        Ok(Some(Arc::new(decode(&value)?)))
    }

    /// What is to be moved now. It stays readable until [`Self::end_move`]. For the mover alone.
    pub(super) fn begin_move(&self) -> Arc<Layer> {
        let mut layers = self.layers_mut();
        // One that was cut short is begun again: a row says what it is, not how it has changed.
        if layers.moving.rows.is_empty() {
            let sequence = layers.fresh.sequence;
            let fresh = std::mem::replace(&mut layers.fresh, Layer { sequence, ..Layer::default() });
            layers.moving = Arc::new(fresh);
            layers.moves = layers.moves.wrapping_add(1);
        }
        Arc::clone(&layers.moving)
    }

    /// sled has all of it.
    pub(super) fn end_move(&self) {
        let mut layers = self.layers_mut();
        let moved = std::mem::take(&mut layers.moving);
        layers.moves = layers.moves.wrapping_add(1);
        drop(layers);
        // Thousands of rows are let go while nobody waits for the lock.
        drop(moved);
    }

    /// Up to `limit` rows with `from <= key < to`, in order or last one first, with what is about to be written laid
    /// over them.
    pub(super) fn scan_under(
        &self,
        over: &Writes,
        (from, to): (&[u8], Option<&[u8]>),
        limit: usize,
        is_back: bool,
    ) -> Result<Vec<Found>, StoreError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let layers = self.layers();
        let over = over.range::<[u8], _>(range).map(|(key, value)| (key, value.as_ref()));
        let fresh = layers.fresh.within(range);
        let moving = layers.moving.within(range);
        let sled = self.shared.sled.range::<&[u8], _>(range);
        if is_back {
            let below = lay(moving.rev(), sled_rows(sled.rev()), Ordering::reverse);
            let below = lay(fresh.rev(), below, Ordering::reverse);
            lay(over.rev(), below, Ordering::reverse).take(limit).collect()
        } else {
            let below = lay(moving, sled_rows(sled), |order| order);
            let below = lay(fresh, below, |order| order);
            lay(over, below, |order| order).take(limit).collect()
        }
    }
}

/// Both in one order, where what lies over hides what lies below.
fn lay<'a>(
    over: impl Iterator<Item = Over<'a>>,
    below: impl Iterator<Item = Result<Found, StoreError>>,
    direction: fn(Ordering) -> Ordering,
) -> impl Iterator<Item = Result<Found, StoreError>> {
    let (mut over, mut below) = (over.peekable(), below.peekable());
    std::iter::from_fn(move || {
        loop {
            let order = match (over.peek(), below.peek()) {
                (None, _) | (_, Some(Err(_))) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some((key, _)), Some(Ok((other, _)))) => direction((*key).cmp(other)),
            };
            if order == Ordering::Greater {
                return below.next();
            }
            if order == Ordering::Equal {
                below.next();
            }
            if let Some((key, Some(value))) = over.next() {
                return Some(Ok((key.clone(), value.clone())));
            }
        }
    })
}

impl Rows for Database {
    fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        // Held until sled has answered, so that no row is looked for below while it is still above.
        self.raw_in(&self.layers(), key)
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Found>, StoreError> {
        self.scan_under(&Writes::new(), (from, to), limit, false)
    }

    fn scan_back(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Found>, StoreError> {
        self.scan_under(&Writes::new(), (from, to), limit, true)
    }
}

#[cfg(test)]
mod tests;
