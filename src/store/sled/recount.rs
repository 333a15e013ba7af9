//! Counts the rows of a large store as soon as it is open.
//!
//! A small store is counted before it answers (see `open`). A large one would keep everybody waiting, so it is counted
//! at once and piece by piece while it works; what is written meanwhile is followed. When the count is not what the
//! digest says, the database has lost rows without a word: the store stops, and the next start builds the database anew.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use super::locked;
use super::mover::{Mover, Sweeper};
use super::status::Status;
use crate::store::StoreError;

/// In the database's own folder, so that it goes with it when it is set aside.
const DISTRUSTED: &str = "distrusted";

/// Whether a count has found that rows are missing.
pub(super) fn is_distrusted(database: &Path) -> bool {
    database.join(DISTRUSTED).exists()
}

fn distrust(database: &Path) -> std::io::Result<()> {
    File::create(database.join(DISTRUSTED))?.sync_all()?;
    File::open(database)?.sync_all()
}

/// Begins to count, on a thread of its own that ends with the count or with the store.
pub(super) fn start(
    mover: Weak<Mutex<Mover>>,
    database: PathBuf,
    status: Arc<Status>,
) -> std::io::Result<()> {
    let count = move || run(&mover, &database, &status);
    std::thread::Builder::new().name("recount".into()).spawn(count).map(drop)
}

fn run(mover: &Weak<Mutex<Mover>>, database: &Path, status: &Status) {
    let mut anew = true;
    while let Some(mover) = mover.upgrade().filter(|_| !status.failed()) {
        let began = Instant::now();
        let swept = locked(&mover).sweep(Sweeper::Opened, anew);
        match swept.map(|swept| swept.whole) {
            Ok(None) => anew = false,
            Ok(Some(true)) | Err(StoreError::Failed(_)) => return,
            Ok(Some(false)) | Err(StoreError::Corrupt(_)) => {
                // Without the mark the next count finds it again.
                let _ = distrust(database);
                status
                    .fail("the database has lost rows; the next start builds it anew from snapshot and log");
                return;
            }
            Err(StoreError::Unavailable(_)) => {}
        }
        drop(mover);
        // Half of the mover's time at most.
        std::thread::sleep(began.elapsed());
    }
}
