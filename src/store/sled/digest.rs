//! A fingerprint of all rows in sled, kept up to date with each write, so that a row that has silently vanished or
//! changed is noticed: sled itself drops everything behind a flipped bit without a word.
//!
//! It is a sum over all rows of a hash of key and value, so it does not depend on order and a write costs the hash of
//! the row before and after, not of all rows.

use serde::{Deserialize, Serialize};

use super::key::{self, short_hash};
use super::stage::{Rows, unreadable};
use crate::store::StoreError;

/// How many rows there are, their sum, and the frame of the records log up to which that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Digest {
    /// The last frame applied.
    pub(super) sequence: u64,
    rows: u64,
    sum: u128,
}

fn hash(key: &[u8], value: &[u8]) -> u128 {
    u128::from_be_bytes(short_hash(&[key, value]))
}

impl Digest {
    /// The digest after these writes. Its own row is not part of it.
    pub(super) fn advanced<'a>(
        mut self,
        tree: &sled::Tree,
        writes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        sequence: u64,
    ) -> Result<Self, StoreError> {
        for (key, value) in writes {
            if let Some(before) = tree.get(key).map_err(|error| unreadable(&error))? {
                self.rows = self.rows.saturating_sub(1);
                self.sum = self.sum.wrapping_sub(hash(key, &before));
            }
            if let Some(after) = value {
                self.rows = self.rows.saturating_add(1);
                self.sum = self.sum.wrapping_add(hash(key, after));
            }
        }
        self.sequence = sequence;
        Ok(self)
    }

    /// The row in which it is kept, written in the same batch.
    pub(super) fn row(&self) -> (Vec<u8>, Vec<u8>) {
        let mut value = self.sequence.to_be_bytes().to_vec();
        value.extend_from_slice(&self.rows.to_be_bytes());
        value.extend_from_slice(&self.sum.to_be_bytes());
        let check = short_hash(&[&value]);
        value.extend_from_slice(&check);
        (Self::key(), value)
    }

    fn key() -> Vec<u8> {
        key::meta("digest").into_bytes()
    }

    /// The digest that sled holds; `None` in an empty database.
    pub(super) fn stored(tree: &sled::Tree) -> Result<Option<Self>, StoreError> {
        let Some(value) = tree.raw(&Self::key())? else { return Ok(None) };
        Self::parse(&value)
            .map(Some)
            .ok_or_else(|| StoreError::Corrupt("the database's digest is damaged".into()))
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (body, check) = value.split_at_checked(32)?;
        if short_hash(&[body]) != *check {
            return None;
        }
        let (sequence, rest) = body.split_first_chunk::<8>()?;
        let (rows, sum) = rest.split_first_chunk::<8>()?;
        Some(Self {
            sequence: u64::from_be_bytes(*sequence),
            rows: u64::from_be_bytes(*rows),
            sum: u128::from_be_bytes(sum.try_into().ok()?),
        })
    }

    /// Counts what is really there.
    pub(super) fn counted(tree: &sled::Tree, sequence: u64) -> Result<Self, StoreError> {
        let mut found = Self { sequence, ..Self::default() };
        let own = Self::key();
        for row in tree.iter() {
            let (key, value) = row.map_err(|error| unreadable(&error))?;
            if *key != own {
                found.rows = found.rows.saturating_add(1);
                found.sum = found.sum.wrapping_add(hash(&key, &value));
            }
        }
        Ok(found)
    }

    /// How many rows.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }
}

/// Counting under way, while rows are written: what lies before its place is counted, and follows every write.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// The first key that is not counted yet.
    place: Vec<u8>,
    counted: Digest,
}

impl Sweep {
    /// Counts up to so many rows more. `true`: all are counted.
    pub(super) fn step(&mut self, tree: &sled::Tree, rows: usize) -> Result<bool, StoreError> {
        let found = tree.scan(&self.place, None, rows)?;
        let own = Digest::key();
        for (key, value) in &found {
            if *key != own {
                self.counted.rows = self.counted.rows.saturating_add(1);
                self.counted.sum = self.counted.sum.wrapping_add(hash(key, value));
            }
        }
        if let Some((last, _)) = found.last() {
            self.place = [last.as_slice(), &[0]].concat();
        }
        Ok(found.len() < rows)
    }

    /// These are about to be written.
    pub(super) fn note(
        &mut self,
        tree: &sled::Tree,
        writes: &[(&[u8], Option<&[u8]>)],
    ) -> Result<(), StoreError> {
        let counted = writes.iter().copied().filter(|(key, _)| *key < self.place.as_slice());
        self.counted = self.counted.advanced(tree, counted, 0)?;
        Ok(())
    }

    /// How many rows it has counted.
    pub(super) const fn rows(&self) -> u64 {
        self.counted.rows
    }

    /// Whether it has counted what the digest says.
    pub(super) const fn is(&self, digest: &Digest) -> bool {
        self.counted.rows == digest.rows && self.counted.sum == digest.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Write = (&'static str, Option<&'static str>);

    /// As the one writer of sled does it: the digest and the sweep hear of rows before they are there.
    fn write(tree: &sled::Tree, digest: &mut Digest, sweep: &mut Sweep, rows: &[Write]) {
        let bytes = |(key, value): &Write| (key.as_bytes(), value.map(str::as_bytes));
        let writes: Vec<(&[u8], Option<&[u8]>)> = rows.iter().map(bytes).collect();
        *digest = digest.advanced(tree, writes.iter().copied(), 1).unwrap();
        sweep.note(tree, &writes).unwrap();
        for (key, value) in writes {
            match value {
                Some(value) => drop(tree.insert(key, value).unwrap()),
                None => drop(tree.remove(key).unwrap()),
            }
        }
    }

    #[test]
    fn r09_rows_that_change_while_they_are_counted_are_counted_once() {
        let database = sled::Config::new().temporary(true).open().unwrap();
        let (mut digest, mut sweep) = (Digest::default(), Sweep::default());
        let before = ["a", "c", "e", "g"].map(|key| (key, Some("1")));
        write(&database, &mut digest, &mut sweep, &before);
        assert!(!sweep.step(&database, 2).unwrap(), "it stands behind c");
        let on_both_sides = [
            ("a", None),
            ("b", Some("1")),
            ("c", Some("2")),
            ("d", Some("1")),
            ("e", Some("2")),
            ("g", None),
        ];
        write(&database, &mut digest, &mut sweep, &on_both_sides);
        while !sweep.step(&database, 2).unwrap() {}
        assert_eq!((sweep.rows(), digest.rows()), (4, 4));
        assert!(sweep.is(&digest));
    }
}
