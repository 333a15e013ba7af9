//! The one writer of sled: it moves what was written lately, keeps the digest of sled's rows, and counts them when asked.

use std::collections::BTreeMap;

use super::database::Database;
use super::digest::{Digest, Sweep};
use crate::fault;
use crate::store::StoreError;

/// Rows moved at once: sled lets nobody read while it applies a batch.
const CHUNK_ROWS: usize = 512;
/// Rows counted by one step of a sweep: a few milliseconds.
const SWEPT_MAX: usize = 2048;

/// Who counts; each has a sweep of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sweeper {
    /// The background's.
    Scrub,
    /// `store verify`.
    Verify,
    /// The count after a large store was opened.
    Opened,
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) rows: u64,
    pub(super) rows_all: u64,
    /// At its end: whether the rows are what their digest says.
    pub(super) whole: Option<bool>,
}

/// Writes sled.
pub(super) struct Mover {
    database: Database,
    digest: Digest,
    sweeps: BTreeMap<Sweeper, Sweep>,
}

impl Mover {
    /// Over a database that is what the digest says.
    pub(super) fn new(database: Database, digest: Digest) -> Self {
        Self { database, digest, sweeps: BTreeMap::new() }
    }

    /// The digest of what sled holds.
    pub(super) const fn digest(&self) -> Digest {
        self.digest
    }

    /// Moves what has been written so far into sled; gives back the last frame whose rows it holds then.
    ///
    /// # Errors
    /// When sled cannot read or write: that is final.
    pub(super) fn run(&mut self) -> Result<u64, StoreError> {
        let layer = self.database.begin_move();
        let mut writes = layer.writes().peekable();
        while self.digest.sequence < layer.sequence() || writes.peek().is_some() {
            let chunk: Vec<_> = writes.by_ref().take(CHUNK_ROWS).collect();
            // Only the last chunk makes the frames count as moved. Until then a replay of them makes all rows right.
            let sequence = if writes.peek().is_some() { self.digest.sequence } else { layer.sequence() };
            self.put(&chunk, sequence)?;
            let _ = fault::point("move.after-chunk");
        }
        drop(writes);
        drop(layer);
        self.database.end_move();
        Ok(self.digest.sequence)
    }

    fn put(&mut self, chunk: &[(&[u8], Option<&[u8]>)], sequence: u64) -> Result<(), StoreError> {
        let sled = self.database.sled();
        let digest = self.digest.advanced(sled, chunk.iter().copied(), sequence)?;
        self.sweeps.values_mut().try_for_each(|sweep| sweep.note(sled, chunk))?;
        let mut batch = sled::Batch::default();
        for (key, value) in chunk {
            match value {
                Some(value) => batch.insert(*key, *value),
                None => batch.remove(*key),
            }
        }
        let (key, value) = digest.row();
        batch.insert(key, value);
        sled.apply_batch(batch).map_err(|error| StoreError::Failed(format!("sled cannot write: {error}")))?;
        self.digest = digest;
        Ok(())
    }

    /// Counts a bounded number of sled's rows more, to compare them all with the digest. `is_anew` begins a sweep.
    pub(super) fn sweep(&mut self, whose: Sweeper, is_anew: bool) -> Result<Swept, StoreError> {
        let mut sweep = self.sweeps.remove(&whose).filter(|_| !is_anew).unwrap_or_default();
        let is_over = sweep.step(self.database.sled(), SWEPT_MAX)?;
        let whole = is_over.then(|| sweep.is(&self.digest));
        let swept = Swept { rows: sweep.rows(), rows_all: self.digest.rows(), whole };
        if !is_over {
            self.sweeps.insert(whose, sweep);
        }
        Ok(swept)
    }
}
