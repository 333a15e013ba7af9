//! Where an act reads and writes: the rows as they are, with the writes of this group laid over them.
//!
//! Acts run one after another on the committer's thread, so a read followed by a write needs no lock. Nothing here
//! reaches the rows before the group's frame is on stable storage.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::database::Database;
use super::key::{Key, Table, behind, short_hash};
use super::row;
use crate::seal::Keyring;
use crate::store::StoreError;

/// What is written under each key; `None` deletes it.
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A row: its key and its raw value.
pub(super) type Found = (Vec<u8>, Vec<u8>);

/// Reads rows, wherever they lie.
pub(super) trait Rows {
    /// The raw value under a key.
    fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Up to `limit` rows with `from <= key < to`, in order.
    fn scan(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Found>, StoreError>;
    /// Up to `limit` rows with `from <= key < to`, last one first.
    fn scan_back(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Found>, StoreError>;

    /// The record under a key.
    fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        self.whole(key)?.map(|value| row::decode(&value)).transpose()
    }

    /// The value under a key, put together where it was too large for one row.
    fn whole(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.raw(key.as_bytes())?.map(|value| whole(self, key.as_bytes(), value)).transpose()
    }

    /// The record in a row that a scan found.
    fn decode<T: DeserializeOwned>(&self, key: &[u8], value: Vec<u8>) -> Result<T, StoreError> {
        row::decode(&whole(self, key, value)?)
    }

    /// All rows whose key begins with the prefix, at most `limit`.
    fn with_prefix(&self, prefix: &Key, limit: usize) -> Result<Vec<Found>, StoreError> {
        self.scan(prefix.as_bytes(), behind(prefix.as_bytes()).as_deref(), limit)
    }
}

/// Puts a value together that was too large for one row.
fn whole<R: Rows + ?Sized>(rows: &R, key: &[u8], value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    let Some(parts) = row::parts_of(&value) else { return Ok(value) };
    let mut all = Vec::new();
    for number in 0..parts {
        let part = rows.raw(part_key(key, number).as_bytes())?;
        all.extend_from_slice(
            &part.ok_or_else(|| StoreError::Corrupt("a part of a record is missing".into()))?,
        );
    }
    Ok(all)
}

fn part_key(key: &[u8], number: u32) -> Key {
    Key::of(Table::Part).bytes(&short_hash(&[key])).bytes(&number.to_be_bytes())
}

/// Turns sled's error into ours.
pub(super) fn unreadable(error: &sled::Error) -> StoreError {
    match error {
        sled::Error::Corruption { .. } => StoreError::Corrupt(format!("sled found damage: {error}")),
        other => StoreError::Failed(format!("sled cannot read: {other}")),
    }
}

impl Rows for sled::Tree {
    fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get(key).map_err(|error| unreadable(&error))?.map(|value| value.to_vec()))
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Found>, StoreError> {
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        sled_rows(self.range::<&[u8], _>((Bound::Included(from), end))).take(limit).collect()
    }

    fn scan_back(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Found>, StoreError> {
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        sled_rows(self.range::<&[u8], _>((Bound::Included(from), end)).rev()).take(limit).collect()
    }
}

/// sled's rows as ours.
pub(super) fn sled_rows(
    rows: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
) -> impl Iterator<Item = Result<Found, StoreError>> {
    rows.map(|row| match row {
        Ok((key, value)) => Ok((key.to_vec(), value.to_vec())),
        Err(error) => Err(unreadable(&error)),
    })
}

/// What the group held for a key: nothing, or a value, or a deletion.
type Before = Option<Option<Vec<u8>>>;

/// The group under construction.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    rows: &'a Database,
    keyring: &'a Keyring,
    group: Writes,
    /// What the running act has overwritten in `group`, so that a failed act leaves no trace.
    undo: Vec<(Vec<u8>, Before)>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(rows: &'a Database, keyring: &'a Keyring) -> Self {
        Self { rows, keyring, group: Writes::new(), undo: Vec::new() }
    }

    /// The keys that seal by now.
    pub(super) const fn keyring(&self) -> &'a Keyring {
        self.keyring
    }

    /// Runs one act: all of its writes are kept, or none.
    pub(super) fn act<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.undo.clear();
        let result = act(self);
        if result.is_err() {
            for (key, before) in std::mem::take(&mut self.undo).into_iter().rev() {
                match before {
                    Some(value) => self.group.insert(key, value),
                    None => self.group.remove(&key),
                };
            }
        }
        result
    }

    /// [`Database::hot`], where this group does not write the row itself.
    pub(super) fn hot<T: Any + Send + Sync>(
        &self,
        key: &Key,
        decode: impl FnOnce(&[u8]) -> Result<T, StoreError>,
    ) -> Result<Option<Arc<T>>, StoreError> {
        if self.group.contains_key(key.as_bytes()) {
            let value = self.whole(key)?;
            return value.map(|value| decode(&value).map(Arc::new)).transpose();
        }
        self.rows.hot(key, decode)
    }

    pub(super) fn into_writes(self) -> Writes {
        self.group
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let before = self.group.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    /// Writes a record.
    pub(super) fn put<T: Serialize>(&mut self, key: Key, record: &T) -> Result<(), StoreError> {
        let value = row::encode(record)?;
        self.drop_parts(key.as_bytes())?;
        if value.len() <= row::VALUE_BYTES_MAX {
            self.write(key.into_bytes(), Some(value));
            return Ok(());
        }
        let mut parts: u32 = 0;
        for part in value.chunks(row::VALUE_BYTES_MAX) {
            self.write(part_key(key.as_bytes(), parts).into_bytes(), Some(part.to_vec()));
            parts = parts.saturating_add(1);
        }
        self.write(key.into_bytes(), Some(row::in_parts(parts)));
        Ok(())
    }

    /// Writes an index row: all of it is in the key, or the value is a small key of its own.
    pub(super) fn mark(&mut self, key: Key, value: &[u8]) {
        self.write(key.into_bytes(), Some(value.to_vec()));
    }

    /// Deletes a row, if it is there.
    pub(super) fn delete(&mut self, key: Key) -> Result<(), StoreError> {
        self.drop_parts(key.as_bytes())?;
        self.write(key.into_bytes(), None);
        Ok(())
    }

    fn drop_parts(&mut self, key: &[u8]) -> Result<(), StoreError> {
        let parts = self.raw(key)?.as_deref().and_then(row::parts_of).unwrap_or(0);
        for number in 0..parts {
            self.write(part_key(key, number).into_bytes(), None);
        }
        Ok(())
    }
}

impl Rows for Stage<'_> {
    fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.group.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.rows.raw(key),
        }
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Found>, StoreError> {
        self.rows.scan_under(&self.group, (from, to), limit, false)
    }

    fn scan_back(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Found>, StoreError> {
        self.rows.scan_under(&self.group, (from, to), limit, true)
    }
}
