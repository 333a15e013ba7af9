//! Moving and keeping the store as a whole, with the real program: backups under load, moves that are interrupted, files
//! that were cut or edited, disks that are full.

mod backup;
pub(crate) mod keys;
mod moving;
mod upgrade;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::bench::Bench;
use crate::harness::client::Client;
use crate::harness::ledger::Ledger;

/// A bench with the master key of another one and no store yet.
fn empty_with_key_of(other: &Bench) -> Bench {
    let bench = Bench::new();
    fs::copy(other.key(), bench.key()).unwrap();
    bench
}

/// A store with this many handled deliveries in it, and nobody who holds it.
async fn filled(run: u64, count: usize) -> (Bench, Ledger) {
    let (bench, ledger) = (Bench::new(), Ledger::new(run));
    let daemon = bench.daemon().await;
    Client::new(&daemon.public, &ledger).send_all(count, 600).await;
    assert_eq!(ledger.acked(), count, "{}", ledger.summary());
    crate::harness::check::kept(&ledger.entries(), &daemon).await;
    daemon.stop().await;
    (bench, ledger)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The bytes of all files of a store, by name; what only tells of the last process is left out.
fn fingerprint(store: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![store.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().map(Result::unwrap) {
            if entry.metadata().unwrap().is_dir() {
                open.push(entry.path());
            } else if !matches!(entry.file_name().to_str(), Some("lock" | "reserve")) {
                found.push((entry.path(), fs::read(entry.path()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

const PAUSE: Duration = Duration::from_millis(20);
