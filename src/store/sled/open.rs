//! Opening the folder: lock, keys, both logs, sled, and the replay that brings sled up to the log.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::FlockOperation;

use super::backlog::{Backlog, Pending};
use super::checkpoint::{self, Checkpointer};
use super::committer::{self, Committer};
use super::digest::Digest;
use super::filter::Filter;
use super::intake::{self, Intake};
use super::journal::{Journal, JournalError, Options, Reader};
use super::reading::Reading;
use super::redo::{self, RedoCipher};
use super::snapshot;
use super::stage::{Rows, Writes};
use super::status::Status;
use super::suspect::Suspects;
use super::{SledStore, act};
use crate::domain::Timestamp;
use crate::seal::{Keyring, MasterKey, Purpose, SealError};
use crate::store::{OpenError, StoreError, frame};
use crate::telemetry::{Fault, report};

/// Rows that are counted before the store opens; a larger store is compared by `store verify` and the scrub.
const COUNTED_AT_OPEN_MAX: u64 = 400_000;

impl From<SealError> for OpenError {
    fn from(error: SealError) -> Self {
        Self::Keys(error.to_string())
    }
}

pub(super) fn from_journal(which: &str, error: &JournalError) -> OpenError {
    match error {
        JournalError::Newer { .. } => OpenError::Newer(format!("the {which} {error}")),
        other => OpenError::Damaged(format!("the {which} log is damaged: {other}")),
    }
}

fn from_store(error: StoreError) -> OpenError {
    match error {
        StoreError::Corrupt(why) => OpenError::Damaged(why),
        StoreError::Unavailable(why) | StoreError::Failed(why) => OpenError::Io(why),
    }
}

fn io(what: &str, path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::Io(format!("{what} {}: {error}", path.display()))
}

/// Opens or makes the store in `dir`, with the master key in `key_file`. Blocking.
///
/// # Errors
/// When the folder is locked, damaged, from a newer version, or the master key does not fit; nothing is changed then.
pub fn open(dir: &Path, key_file: &Path, now: Timestamp) -> Result<SledStore, OpenError> {
    let lock = lock(dir)?;
    super::keep::sweep(dir);
    let keyring = keys(dir, key_file, now)?;
    // The database is made after both logs: where it has been, a log that is not there is one that was lost.
    let has_records = ["db", "checkpoint"].iter().any(|name| dir.join(name).exists());
    let inbox = journal(dir, "inbox", has_records)?;
    let records = journal(dir, "records", has_records)?;
    let instance = keyring.cipher("instance", now.ms())?;
    let cipher = RedoCipher::new(instance.clone(), Purpose::RecordsLog);
    let snapshots = RedoCipher::new(instance, Purpose::Snapshot);
    let logs = Logs {
        dir,
        records: records.reader(),
        last: records.last_seq(),
        floor: records.floor(),
        cipher: &cipher,
        snapshots: &snapshots,
    };
    let (db, digest) = database(&logs, now)?;
    let tree: sled::Tree = (*db).clone();
    let status = settle(dir, &db, digest.sequence, records.bytes())?;
    let backlog = Arc::new(Mutex::new(backlog(&tree, &inbox.reader(), &keyring)?));
    let filter = Arc::new(Filter::of(&tree).map_err(from_store)?);
    let reader = inbox.reader();
    let pins = Arc::new(tokio::sync::RwLock::new(()));
    let committer = Committer::start(committer::Parts {
        tree: tree.clone(),
        journal: records,
        cipher: cipher.clone(),
        digest,
        filter: Arc::clone(&filter),
        sweeps: std::collections::BTreeMap::new(),
        status: Arc::clone(&status),
    })
    .map_err(thread)?;
    let intake = Intake::start(intake::Parts {
        journal: inbox,
        tree: tree.clone(),
        filter,
        backlog: Arc::clone(&backlog),
        status: Arc::clone(&status),
    })
    .map_err(thread)?;
    let checkpointer = Checkpointer::start(checkpoint::Parts {
        dir: dir.to_owned(),
        db,
        tree: tree.clone(),
        committer: committer.clone(),
        cipher: snapshots.clone(),
        pins: Arc::clone(&pins),
        status: Arc::clone(&status),
    })
    .map_err(thread)?;
    Ok(SledStore::assemble(super::Inner {
        dir: dir.to_owned(),
        tree,
        committer,
        intake,
        checkpointer,
        backlog,
        reader,
        read_ahead: act::index::ReadAhead::default(),
        reading: Reading::open(dir).map_err(|error| io("cannot note what is read in", dir, &error))?,
        records: logs.records.clone(),
        cipher: cipher.clone(),
        pins,
        keyring,
        status,
        suspects: Suspects::default(),
        lock,
    }))
}

fn thread(error: std::io::Error) -> OpenError {
    OpenError::Io(format!("cannot start a thread: {error}"))
}

/// The first checkpoint, and what the threads know of the disk.
fn settle(dir: &Path, db: &sled::Db, sequence: u64, log_bytes: u64) -> Result<Arc<Status>, OpenError> {
    if let Err(error) = checkpoint::checkpoint(dir, db, sequence) {
        checkpoint::abandon(db);
        return Err(from_store(error));
    }
    let status = Arc::new(Status::new(dir));
    status.keep_reserve();
    status.note_records(sequence, log_bytes);
    Ok(status)
}

/// One owner per folder. The lock goes with the process, however it ends.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| io("cannot create", dir, &error))?;
    let path = dir.join("lock");
    let mut options = File::options();
    let mut file = options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| io("cannot open", &path, &error))?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let holder = std::fs::read_to_string(&path).unwrap_or_default();
        return Err(OpenError::Locked {
            lock: path,
            holder: holder.trim().chars().filter(char::is_ascii_digit).collect(),
        });
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| io("cannot write", &path, &error))?;
    Ok(file)
}

/// A new key is made only for a folder that holds nothing (security S47).
pub(super) fn keys(dir: &Path, key_file: &Path, now: Timestamp) -> Result<Keyring, OpenError> {
    let has_data = ["keyring", "journal", "db"].iter().any(|name| dir.join(name).exists());
    let master = if key_file.exists() {
        MasterKey::load(key_file)?
    } else if has_data {
        return Err(OpenError::Keys(format!(
            "the master key {} is missing, and the store {} was sealed with it; nothing was changed: put the key back",
            key_file.display(),
            dir.display()
        )));
    } else {
        if let Some(parent) = key_file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|error| io("cannot create", parent, &error))?;
        }
        MasterKey::create(key_file)?
    };
    Ok(Keyring::open_or_create(&dir.join("keyring"), &master, has_data, now.ms())?)
}

fn journal(dir: &Path, name: &str, has_records: bool) -> Result<Journal, OpenError> {
    let dir = dir.join("journal").join(name);
    if has_records && !Journal::exists(&dir) {
        return Err(OpenError::Damaged(format!(
            "the {name} log {} is missing, and the database beside it was made with one",
            dir.display()
        )));
    }
    let (journal, opened) =
        Journal::open(&dir, Options::default()).map_err(|error| from_journal(name, &error))?;
    if opened.truncated_bytes > 0 {
        let bytes = opened.truncated_bytes;
        report!(Fault::CrashTailCut, log = name, bytes, "cut off what a crash had left unacknowledged");
    }
    Ok(journal)
}

/// The records log and its snapshots, as the replay needs them.
struct Logs<'a> {
    dir: &'a Path,
    records: Reader,
    last: u64,
    floor: u64,
    cipher: &'a RedoCipher,
    snapshots: &'a RedoCipher,
}

/// Opens sled and brings it up to the log; builds it anew when it is damaged or has lost something.
fn database(logs: &Logs<'_>, now: Timestamp) -> Result<(sled::Db, Digest), OpenError> {
    let path = logs.dir.join("db");
    let is_new = !path.exists();
    match open_sled(&path).and_then(|db| trusted(logs, &db).map(|digest| (db, digest))) {
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

pub(super) fn open_sled(path: &Path) -> Result<sled::Db, String> {
    sweep(path, |name| name.starts_with("snap.") && name.ends_with(".generating"));
    let attempt = || {
        let config = sled::Config::new().path(path).cache_capacity(16 << 20).flush_every_ms(Some(500));
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
    let digest = digest.advanced(db, &writes, sequence)?;
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

/// Finds the deliveries that the log holds and no index knows.
fn backlog(tree: &sled::Tree, inbox: &Reader, keyring: &Keyring) -> Result<Backlog, OpenError> {
    let indexed: u64 = tree.read(&act::index::watermark()).map_err(from_store)?.unwrap_or(0);
    let mut backlog = Backlog::default();
    for frame in inbox.scan(indexed.saturating_add(1)) {
        let (position, frame) = frame.map_err(|error| from_journal("inbox", &error))?;
        if frame.kind != intake::DELIVERED {
            continue;
        }
        let opened = frame::open(keyring, &frame.payload).map_err(from_store)?;
        backlog.push(Pending {
            id: opened.id,
            dedupe: frame::key_of(&opened.delivery),
            received_at: opened.received_at,
            position,
        });
    }
    Ok(backlog)
}
