//! What all parts of the embedded store know of its condition.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::journal::JournalError;
use crate::store::StoreError;
use crate::telemetry::{Fault, report};

/// Below this much free space nothing more is written, so that sled never meets a full disk itself: it would refuse
/// every later write until it is opened anew.
const ROOM_BYTES_MIN: u64 = 24 << 20;

/// A file that only holds space, given up when the disk is full (reliability R10).
const RESERVE: &str = "reserve";
const RESERVE_BYTES_MAX: u64 = 64 << 20;

/// Shared by the threads of one store.
#[derive(Debug)]
pub(super) struct Status {
    dir: PathBuf,
    failed: AtomicBool,
    why: Mutex<String>,
    free: AtomicU64,
    total: AtomicU64,
    records_sequence: AtomicU64,
    records_bytes: AtomicU64,
    waiting: AtomicU64,
    taken: AtomicU64,
}

impl Status {
    pub(super) fn new(dir: &Path) -> Self {
        let status = Self {
            dir: dir.to_owned(),
            failed: AtomicBool::new(false),
            why: Mutex::new(String::new()),
            free: AtomicU64::new(u64::MAX),
            total: AtomicU64::new(u64::MAX),
            records_sequence: AtomicU64::new(0),
            records_bytes: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        };
        status.measure();
        status
    }

    /// A delivery begins (`true`) or ends to wait for its sync.
    pub(super) fn note_waiting(&self, begins: bool) {
        if begins {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// So many more deliveries are on stable storage.
    pub(super) fn note_taken(&self, count: usize) {
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Deliveries put on stable storage since the start.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Deliveries that wait for their sync.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The first failure stays; nothing is acknowledged after it.
    pub(super) fn fail(&self, why: &str) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            report!(Fault::StoreFailed, reason = why, "the store has stopped");
            if let Ok(mut text) = self.why.lock() {
                why.clone_into(&mut text);
            }
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// The error that everything answers after a failure.
    pub(super) fn failure(&self) -> StoreError {
        let why = self.why.lock().map(|text| text.clone()).unwrap_or_default();
        StoreError::Failed(if why.is_empty() { "it was closed".into() } else { why })
    }

    /// A full disk passes; everything else is final (reliability R5).
    pub(super) fn journal_error(&self, which: &str, error: &JournalError) -> StoreError {
        if matches!(error, JournalError::Full { .. }) {
            self.measure();
            return StoreError::Unavailable(format!("the disk is full ({which}); free some space"));
        }
        let sentence = format!("{which}: {error}");
        self.fail(&sentence);
        StoreError::Failed(sentence)
    }

    /// Looks at the disk.
    pub(super) fn measure(&self) {
        if let Ok(disk) = rustix::fs::statvfs(&self.dir) {
            self.free.store(disk.f_bavail.saturating_mul(disk.f_frsize), Ordering::Relaxed);
            self.total.store(disk.f_blocks.saturating_mul(disk.f_frsize), Ordering::Relaxed);
        }
    }

    /// Gives the reserve file's space to the records, so that what is under way can still be written down.
    fn release_reserve(&self) {
        if std::fs::remove_file(self.dir.join(RESERVE)).is_ok() {
            report!(Fault::ReserveSpent, "the disk is full: the reserve is given up, no delivery is taken");
            self.measure();
        }
    }

    /// Sets space aside for a full disk, as long as there is plenty.
    pub(super) fn keep_reserve(&self) {
        let path = self.dir.join(RESERVE);
        let bytes = RESERVE_BYTES_MAX.min(self.total.load(Ordering::Relaxed) / 8);
        if self.free() < bytes.saturating_mul(4) || path.exists() {
            return;
        }
        let made = std::fs::File::create(&path).and_then(|file| {
            Ok(rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?)
        });
        if made.is_err() {
            let _ = std::fs::remove_file(&path);
        }
        self.measure();
    }

    pub(super) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Whether records may be written.
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        if self.failed() {
            return Err(self.failure());
        }
        // Asked anew each time, for a microsecond: somebody else may fill the disk at once.
        if !self.has_room() {
            self.release_reserve();
        }
        if self.free() < ROOM_BYTES_MIN {
            return Err(StoreError::Unavailable("the disk is almost full; free some space".into()));
        }
        Ok(())
    }

    /// Whether sled may write what the records log has already.
    pub(super) fn has_room(&self) -> bool {
        self.measure();
        self.free() >= ROOM_BYTES_MIN
    }

    /// Whether a new delivery may be taken: it leaves room for what handling it will write.
    pub(super) fn check_intake(&self) -> Result<(), StoreError> {
        if self.failed() {
            return Err(self.failure());
        }
        let floor =
            ROOM_BYTES_MIN.saturating_mul(2).max(self.total.load(Ordering::Relaxed) / 20).min(64 << 20);
        if self.free() < floor {
            return Err(StoreError::Unavailable("the disk is almost full; free some space".into()));
        }
        Ok(())
    }

    pub(super) fn note_records(&self, sequence: u64, bytes: u64) {
        self.records_sequence.store(sequence, Ordering::SeqCst);
        self.records_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The last frame of the records log whose rows can be read, and the log's size.
    pub(super) fn records(&self) -> (u64, u64) {
        (self.records_sequence.load(Ordering::SeqCst), self.records_bytes.load(Ordering::Relaxed))
    }
}
