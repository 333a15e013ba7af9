//! Writing the database anew: sled never gives the space of deleted rows back, and a copy takes an eighth of it.
//!
//! A sealed snapshot of all rows is written first; then the database is set aside, and opening the store builds another
//! from the snapshot, as it does after damage. Whatever is interrupted here, the next start ends.

use std::path::Path;

use super::locked;
use super::redo::RedoCipher;
use super::{Inner, SledStore, health, open, snapshot};
use crate::domain::Timestamp;
use crate::seal::Purpose;
use crate::store::{Health as _, OpenError, StoreError};

/// Kept free beside snapshot and copy.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// What it has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the database before.
    pub before_bytes: u64,
    /// And after.
    pub after_bytes: u64,
}

/// Compacts the closed store in `dir`. Blocking; for a thread of a runtime that may block.
///
/// # Errors
/// When the store cannot be opened, or there is no room for a copy of the database.
pub fn compact(dir: &Path, key_file: &Path, now: Timestamp) -> Result<Compacted, OpenError> {
    let database = dir.join("db");
    let before_bytes = health::size(&database);
    let store = open(dir, key_file, now)?;
    let written = store.inner.write_snapshot(before_bytes);
    close(store)?;
    written.map_err(|error| OpenError::Io(error.to_string()))?;
    let old = dir.join("db.old");
    let io = |error: std::io::Error| OpenError::Io(format!("cannot replace {}: {error}", database.display()));
    if old.exists() {
        std::fs::remove_dir_all(&old).map_err(io)?;
    }
    std::fs::rename(&database, &old).map_err(io)?;
    close(open(dir, key_file, now)?)?;
    std::fs::remove_dir_all(&old).map_err(io)?;
    Ok(Compacted { before_bytes, after_bytes: health::size(&database) })
}

fn close(store: SledStore) -> Result<(), OpenError> {
    let closed = tokio::runtime::Handle::current().block_on(store.close());
    closed.map_err(|error| OpenError::Io(error.to_string()))
}

impl Inner {
    /// Writes a snapshot of the rows as they are now, where there is room for two copies of the database. Gives back the
    /// last frame that is in it.
    pub(super) fn write_snapshot(&self, database_bytes: u64) -> Result<snapshot::Snapshot, StoreError> {
        let needed = database_bytes.saturating_mul(2).saturating_add(ROOM_BYTES_MIN);
        self.status.measure();
        if self.status.free() < needed {
            let why =
                format!("there is no room for a copy of the database ({needed} bytes); nothing was changed");
            return Err(StoreError::Unavailable(why));
        }
        let sequence = locked(&self.mover).run()?;
        let dir = self.dir.join("journal").join("records");
        let cipher = RedoCipher::new(self.keyring.clone(), Purpose::Snapshot);
        let written = snapshot::write(&dir, self.tree.sled(), sequence, &cipher)?;
        for old in snapshot::list(&dir)?.iter().rev().skip(2) {
            let _ = std::fs::remove_file(&old.path);
        }
        Ok(written)
    }
}
