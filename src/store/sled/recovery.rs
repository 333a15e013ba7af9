//! Brings sled up to the records log, and builds it anew from a snapshot when it is damaged or has lost something.

use std::path::{Path, PathBuf};

use super::digest::Digest;
use super::journal::Reader;
use super::open::{from_journal, from_store, io};
use super::redo::{self, RedoCipher};
use super::stage::Writes;
use super::{checkpoint, recount, snapshot};
use crate::domain::Timestamp;
use crate::store::{OpenError, StoreError};
use crate::telemetry::{Fault, report};

/// Rows that are counted before the store opens; a larger store is counted right after.
pub(super) const COUNTED_AT_OPEN_MAX: u64 = 400_000;

/// The records log and its snapshots, as the replay needs them.
pub(super) struct Logs<'a> {
    pub(super) dir: &'a Path,
    pub(super) records: Reader,
    pub(super) last: u64,
    pub(super) floor: u64,
    pub(super) cipher: &'a RedoCipher,
    pub(super) snapshots: &'a RedoCipher,
}

/// Opens sled and brings it up to the log; builds it anew when it is damaged or has lost something.
pub(super) fn recover(logs: &Logs<'_>, now: Timestamp) -> Result<(sled::Db, Digest), OpenError> {
    let path = logs.dir.join("db");
    let is_new = !path.exists();
    let opened = if recount::is_distrusted(&path) {
        Err("rows were missing when they were counted".to_owned())
    } else {
        open_sled(&path)
    };
    match opened.and_then(|db| trusted(logs, &db).map(|digest| (db, digest))) {
        Ok((db, digest)) => {
            let digest = replay(logs, &db, digest)?;
            Ok((db, digest))
        }
        Err(why) => {
            report!(Fault::StoreRebuilt, reason = why, "the database is built anew from snapshot and log");
            if is_new {
                // Nothing is there to be set aside but what opening has just made.
                std::fs::remove_dir_all(&path).map_err(|error| io("cannot remove", &path, &error))?;
            }
            rebuild(logs, &path, now)
        }
    }
}

/// Pages that sled keeps in memory; it takes about three times as much for them. What was written lately is not among
/// them (see `database`), so little is read twice.
const CACHE_BYTES: u64 = 4 << 20;

pub(super) fn open_sled(path: &Path) -> Result<sled::Db, String> {
    sweep(path, |name| name.starts_with("snap.") && name.ends_with(".generating"));
    let attempt = || {
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| config.open()))
            .map_err(|_| "sled panicked while opening".to_owned())?
            .map_err(|error| format!("sled cannot open: {error}"))
    };
    attempt().or_else(|_| {
        // A recovery accelerator that a crash may leave half written; without it sled reads its log.
        sweep(path, |name| name.starts_with("snap."));
        attempt()
    })
}

fn sweep(path: &Path, gone: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().to_str().is_some_and(&gone) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether sled shows what it was known to hold.
fn trusted(logs: &Logs<'_>, db: &sled::Db) -> Result<Digest, String> {
    let digest = Digest::stored(db).map_err(|error| error.to_string())?.unwrap_or_default();
    let marked = checkpoint::marked(logs.dir).unwrap_or(0);
    if digest.sequence < marked {
        return Err(format!("it ends at frame {}, but was synced up to {marked}", digest.sequence));
    }
    if digest.sequence > logs.last {
        return Err(format!("it holds frame {}, but the log ends at {}", digest.sequence, logs.last));
    }
    if digest.sequence.saturating_add(1) < logs.floor {
        return Err(format!("it ends at frame {}, but the log begins at {}", digest.sequence, logs.floor));
    }
    if digest.rows() <= COUNTED_AT_OPEN_MAX {
        let counted = Digest::counted(db, digest.sequence).map_err(|error| error.to_string())?;
        if counted != digest {
            return Err("its rows do not match their checksum".into());
        }
    }
    Ok(digest)
}

fn replay(logs: &Logs<'_>, db: &sled::Db, mut digest: Digest) -> Result<Digest, OpenError> {
    for frame in logs.records.scan(digest.sequence.saturating_add(1)) {
        let (_, frame) = frame.map_err(|error| from_journal("records", &error))?;
        if frame.kind != redo::WRITES {
            continue;
        }
        let writes =
            logs.cipher.open(&frame.payload).and_then(|frame| redo::decode(&frame)).map_err(from_store)?;
        digest = apply(db, digest, writes, frame.seq).map_err(from_store)?;
    }
    Ok(digest)
}

fn apply(db: &sled::Db, digest: Digest, writes: Writes, sequence: u64) -> Result<Digest, StoreError> {
    let rows = writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
    let digest = digest.advanced(db, rows, sequence)?;
    let mut batch = sled::Batch::default();
    for (key, value) in writes {
        match value {
            Some(value) => batch.insert(key, value),
            None => batch.remove(key),
        }
    }
    let (key, value) = digest.row();
    batch.insert(key, value);
    db.apply_batch(batch).map_err(|error| StoreError::Failed(format!("sled cannot write: {error}")))?;
    Ok(digest)
}

/// Sets the damaged database aside and builds another from the newest readable snapshot and the frames since.
fn rebuild(logs: &Logs<'_>, path: &Path, now: Timestamp) -> Result<(sled::Db, Digest), OpenError> {
    let dir = logs.dir.join("journal").join("records");
    let mut newest = snapshot::list(&dir).map_err(from_store)?;
    let mut reasons = Vec::new();
    loop {
        let base = newest.pop();
        let begins = base.as_ref().map_or(0, |base| base.sequence);
        if begins.saturating_add(1) < logs.floor {
            reasons.push(format!(
                "the log begins at frame {}, and no readable snapshot reaches so far",
                logs.floor
            ));
            return Err(OpenError::Damaged(format!(
                "the database cannot be built anew: {}",
                reasons.join("; ")
            )));
        }
        set_aside(path, now)?;
        let db = open_sled(path).map_err(OpenError::Io)?;
        match load(logs, &db, base.as_ref()) {
            Ok(()) => {
                let digest = Digest::counted(&db, begins).map_err(from_store)?;
                let digest = replay(logs, &db, digest)?;
                return Ok((db, digest));
            }
            Err(error) => reasons.push(error.to_string()),
        }
    }
}

fn load(logs: &Logs<'_>, db: &sled::Db, base: Option<&snapshot::Snapshot>) -> Result<(), StoreError> {
    let Some(base) = base else { return Ok(()) };
    snapshot::read(base, logs.snapshots, &mut |rows| {
        let mut batch = sled::Batch::default();
        rows.into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .for_each(|(key, value)| batch.insert(key, value));
        db.apply_batch(batch).map_err(|error| StoreError::Failed(format!("sled cannot write: {error}")))
    })
}

fn set_aside(path: &Path, now: Timestamp) -> Result<(), OpenError> {
    let mut number = now.ms();
    while path.exists() {
        let aside: PathBuf = path.with_file_name(format!("db.bad-{number}"));
        if aside.exists() {
            number = number.saturating_add(1);
            continue;
        }
        std::fs::rename(path, &aside).map_err(|error| io("cannot set aside", path, &error))?;
    }
    Ok(())
}
