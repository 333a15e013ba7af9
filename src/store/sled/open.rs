//! Opening the folder: lock, keys, both logs, sled, and the replay that brings sled up to the log.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::fs::FlockOperation;

use super::backlog::{Backlog, Pending};
use super::checkpoint::{self, Calls, Checkpointer};
use super::committer::{self, Committer};
use super::database::Database;
use super::filter::Filter;
use super::intake::{self, Intake};
use super::journal::{Journal, JournalError, Options, Reader};
use super::mover::Mover;
use super::reading::Reading;
use super::recount;
use super::recovery::{COUNTED_AT_OPEN_MAX, Logs, recover};
use super::redo::RedoCipher;
use super::stage::Rows;
use super::status::Status;
use super::suspect::Suspects;
use super::{SledStore, act};
use crate::domain::Timestamp;
use crate::seal::{Keyring, MasterKey, Purpose, SealError};
use crate::store::{OpenError, StoreError, frame};
use crate::telemetry::{Fault, report};

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

pub(super) fn from_store(error: StoreError) -> OpenError {
    match error {
        StoreError::Corrupt(why) => OpenError::Damaged(why),
        StoreError::Unavailable(why) | StoreError::Failed(why) => OpenError::Io(why),
    }
}

pub(super) fn io(what: &str, path: &Path, error: &std::io::Error) -> OpenError {
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
    let (inbox, records) = journals(dir)?;
    let (cipher, snapshots) = ciphers(&keyring, now)?;
    let logs = Logs {
        dir,
        records: records.reader(),
        last: records.last_seq(),
        floor: records.floor(),
        cipher: &cipher,
        snapshots: &snapshots,
    };
    let (db, digest) = recover(&logs, now)?;
    let status = settle(dir, &db, digest.sequence, records.bytes())?;
    let backlog = Arc::new(Mutex::new(backlog(&db, &inbox.reader(), &keyring)?));
    let filter = Arc::new(Filter::of(&db).map_err(from_store)?);
    let rows = Database::new(db, digest.sequence);
    let mover = Arc::new(Mutex::new(Mover::new(rows.clone(), digest)));
    let calls = Calls::new();
    let (reader, pins) = (inbox.reader(), Arc::new(tokio::sync::RwLock::new(())));
    let committer = Committer::start(committer::Parts {
        rows: rows.clone(),
        mover: Arc::clone(&mover),
        alarm: calls.alarm(),
        journal: records,
        cipher: cipher.clone(),
        filter: Arc::clone(&filter),
        status: Arc::clone(&status),
    })
    .map_err(thread)?;
    recount_a_large_one(digest.rows(), dir, &mover, &status)?;
    let intake = Intake::start(intake::Parts {
        journal: inbox,
        keyring: keyring.clone(),
        rows: rows.clone(),
        filter,
        backlog: Arc::clone(&backlog),
        status: Arc::clone(&status),
    })
    .map_err(thread)?;
    let parts = checkpoint::Parts {
        dir: dir.to_owned(),
        rows: rows.clone(),
        mover: Arc::clone(&mover),
        committer: committer.clone(),
        cipher: snapshots.clone(),
        pins: Arc::clone(&pins),
        status: Arc::clone(&status),
    };
    let checkpointer = Checkpointer::start(parts, calls).map_err(thread)?;
    Ok(SledStore::assemble(super::Inner {
        dir: dir.to_owned(),
        tree: rows,
        mover,
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

/// For the records log, and for its snapshots.
fn ciphers(keyring: &Keyring, now: Timestamp) -> Result<(RedoCipher, RedoCipher), OpenError> {
    keyring.cipher("instance", now.ms())?;
    let log = RedoCipher::new(keyring.clone(), Purpose::RecordsLog);
    Ok((log, RedoCipher::new(keyring.clone(), Purpose::Snapshot)))
}

/// What is too large to be counted before it opens is counted right after.
fn recount_a_large_one(
    rows: u64,
    dir: &Path,
    mover: &Arc<Mutex<Mover>>,
    status: &Arc<Status>,
) -> Result<(), OpenError> {
    if rows <= COUNTED_AT_OPEN_MAX {
        return Ok(());
    }
    recount::start(Arc::downgrade(mover), dir.join("db"), Arc::clone(status)).map_err(thread)
}

/// The logs of deliveries and of records.
fn journals(dir: &Path) -> Result<(Journal, Journal), OpenError> {
    // The database is made after both logs: where it has been, a log that is not there is one that was lost.
    let has_records = ["db", "checkpoint"].iter().any(|name| dir.join(name).exists());
    Ok((journal(dir, "inbox", has_records)?, journal(dir, "records", has_records)?))
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
