//! The embedded store: a journal that acknowledges, and sled for everything that is looked up.
//!
//! ```text
//! accept ─▶ intake thread ─▶ journal/inbox (sync) ─▶ answer
//!                                   │ indexer
//! acts ───▶ committer thread ─▶ journal/records (sync) ─▶ rows in memory ─▶ answer
//!                                                          │ checkpoint thread: move to sled, flush + sync + mark
//! open  = lock, keys, both logs, sled, replay of what sled lacks
//! ```
//!
//! Nothing outside of this folder knows that there are two.

mod access;
mod act;
mod backlog;
mod checkpoint;
mod committer;
mod compact;
mod credential;
mod database;
mod dedupe;
mod digest;
mod examine;
mod filter;
mod health;
mod hot;
mod inbox;
mod intake;
mod job;
pub(crate) mod journal;
mod keep;
mod key;
mod list;
mod mark;
mod mover;
mod open;
mod reading;
mod records;
mod recount;
mod recovery;
mod redo;
mod repair;
mod roster;
mod rotate;
mod row;
mod scrub;
mod snapshot;
mod stage;
mod status;
mod suspect;
mod task;
#[cfg(test)]
pub(in crate::store) mod tests;
mod ticket;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use compact::{Compacted, compact};
pub use examine::{Examined, examine};
pub use open::open;
pub use repair::accept_loss;

use crate::seal::Keyring;
use crate::store::StoreError;
use crate::store::ids::Ids;

/// Locks what threads share: one that panicked while it held the lock leaves plain data behind, which stays usable.
fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open store.
#[derive(Debug)]
pub struct SledStore {
    inner: Arc<Inner>,
    ids: Ids,
    work: Notify,
    purge: Mutex<Cursors>,
    /// The background's check, as far as it has come.
    scrubbing: tokio::sync::Mutex<Option<scrub::Pass>>,
    /// Held by the one `store verify` at a time.
    verifying: tokio::sync::Mutex<()>,
    /// Held by the one change of keys at a time.
    rotating: tokio::sync::Mutex<()>,
}

/// Where the next round of retention goes on.
#[derive(Debug, Clone)]
struct Cursors {
    records: key::Key,
    bodies: key::Key,
}

struct Inner {
    dir: PathBuf,
    tree: database::Database,
    mover: Arc<Mutex<mover::Mover>>,
    committer: committer::Committer,
    intake: intake::Intake,
    checkpointer: checkpoint::Checkpointer,
    backlog: Arc<Mutex<backlog::Backlog>>,
    reader: journal::Reader,
    read_ahead: act::index::ReadAhead,
    reading: reading::Reading,
    /// The records log, for whoever brings a copy of the rows up to one instant.
    records: journal::Reader,
    cipher: redo::RedoCipher,
    /// Held to read by frozen views, to write by whoever deletes files that they may need.
    pins: Arc<tokio::sync::RwLock<()>>,
    keyring: Keyring,
    status: Arc<status::Status>,
    suspects: suspect::Suspects,
    /// Held as long as the store is open.
    lock: File,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("dir", &self.dir).field("lock", &self.lock).finish_non_exhaustive()
    }
}

impl SledStore {
    fn assemble(inner: Inner) -> Self {
        let cursors =
            Cursors { records: key::Key::of(key::Table::Delivery), bodies: key::Key::of(key::Table::Body) };
        Self {
            inner: Arc::new(inner),
            ids: Ids::new(),
            work: Notify::new(),
            purge: Mutex::new(cursors),
            scrubbing: tokio::sync::Mutex::default(),
            verifying: tokio::sync::Mutex::default(),
            rotating: tokio::sync::Mutex::default(),
        }
    }

    /// The store's keys, for what is sealed outside of it.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    /// Runs a read that may touch the disk away from the request threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let task = tokio::task::spawn_blocking(move || {
            if inner.status.failed() { Err(inner.status.failure()) } else { read(&inner) }
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Corrupt(format!("a read panicked: {error}"))))
    }
}
