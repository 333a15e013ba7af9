//! Moves what was written lately into sled, brings that to stable storage now and then, and remembers up to where.
//!
//! sled's own flush is no sync on Linux, so a `sync_data` of the database file follows it. The mark is written after
//! that: when sled later shows less than the mark, it has lost rows and is built anew from snapshot and log.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rustix::fs::FallocateFlags;

use super::committer::Committer;
use super::database::Database;
use super::journal::is_passing;
use super::key::short_hash;
use super::locked;
use super::mover::Mover;
use super::redo::RedoCipher;
use super::snapshot;
use super::status::Status;
use crate::fault;
use crate::store::StoreError;
use crate::telemetry::{Fault, report};

/// How often sled is synced while records are written.
const EVERY: Duration = Duration::from_secs(2);
/// The records log is replaced by a snapshot when it is larger than this and twice the newest snapshot.
const LOG_BYTES_MIN: u64 = 64 << 20;

/// More than sled writes between two looks at the disk.
const RESERVE_BYTES: u64 = 16 << 20;

/// What the thread needs.
pub(super) struct Parts {
    pub(super) dir: PathBuf,
    pub(super) rows: Database,
    pub(super) mover: Arc<Mutex<Mover>>,
    pub(super) committer: Committer,
    pub(super) cipher: RedoCipher,
    pub(super) pins: Arc<tokio::sync::RwLock<()>>,
    pub(super) status: Arc<Status>,
}

/// What wakes the thread before its time.
enum Call {
    /// Many rows wait to be moved.
    Move,
    Stop(std::sync::mpsc::Sender<()>),
}

/// Tells the thread that many rows wait. It does not keep the thread alive.
#[derive(Debug, Clone)]
pub(super) struct Alarm(Weak<SyncSender<Call>>);

impl Alarm {
    pub(super) fn raise(&self) {
        // A full queue has an earlier call in it.
        if let Some(thread) = self.0.upgrade() {
            let _ = thread.try_send(Call::Move);
        }
    }
}

/// Stops the thread.
#[derive(Debug)]
pub(super) struct Checkpointer(Arc<SyncSender<Call>>);

/// The thread's queue, and who may call it.
pub(super) struct Calls {
    queue: Receiver<Call>,
    sender: Arc<SyncSender<Call>>,
}

impl Calls {
    pub(super) fn new() -> Self {
        let (sender, queue) = sync_channel(1);
        Self { queue, sender: Arc::new(sender) }
    }

    pub(super) fn alarm(&self) -> Alarm {
        Alarm(Arc::downgrade(&self.sender))
    }
}

impl Checkpointer {
    pub(super) fn start(parts: Parts, calls: Calls) -> std::io::Result<Self> {
        let Calls { queue, sender } = calls;
        std::thread::Builder::new().name("checkpoint".into()).spawn(move || run(parts, &queue))?;
        Ok(Self(sender))
    }

    /// Makes a last checkpoint and ends the thread; waits at most `within`.
    pub(super) fn stop(&self, within: Duration) {
        let (reply, done) = std::sync::mpsc::channel();
        if self.0.send(Call::Stop(reply)).is_ok() {
            let _ = done.recv_timeout(within);
        }
    }
}

fn run(parts: Parts, calls: &Receiver<Call>) {
    let mut synced: u64 = 0;
    let mut next = Instant::now();
    loop {
        let call = match calls.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(call) => Some(call),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let step = match &call {
            Some(Call::Move) => move_on(&parts).map(|_| synced),
            Some(Call::Stop(_)) | None => round(&parts, synced),
        };
        match step {
            Ok(sequence) => synced = sequence,
            Err(StoreError::Unavailable(why)) => {
                report!(Fault::LogStaysLong, reason = why, "the records log stays long");
            }
            Err(error) => parts.status.fail(&error.to_string()),
        }
        match call {
            Some(Call::Move) => {}
            None => next = Instant::now() + EVERY,
            Some(Call::Stop(reply)) => {
                if parts.status.failed() {
                    abandon(parts.rows.sled());
                }
                drop(parts);
                let _ = reply.send(());
                return;
            }
        }
    }
}

/// Moves, and brings to stable storage what was moved since the last time. Gives back up to where sled is synced.
fn round(parts: &Parts, synced: u64) -> Result<u64, StoreError> {
    parts.status.measure();
    parts.status.keep_reserve();
    let sequence = move_on(parts)?;
    if sequence > synced {
        checkpoint(&parts.dir, parts.rows.sled(), sequence)?;
        let (_, log_bytes) = parts.status.records();
        shorten(parts, sequence, log_bytes)?;
    }
    Ok(sequence)
}

/// Moves what was written so far; gives back the last frame that sled holds.
fn move_on(parts: &Parts) -> Result<u64, StoreError> {
    let mut mover = locked(&parts.mover);
    // On a full disk the rows stay where they are: the log has them, and sled could not take an error back.
    if parts.status.failed() || !parts.status.has_room() {
        return Ok(mover.digest().sequence);
    }
    mover.run()
}

/// Lets a failed database never end: its end would flush once more, and panic or hang where that cannot be done. The
/// process ends soon, and the log has everything.
pub(super) fn abandon(db: &sled::Db) {
    std::mem::forget(db.clone());
}

/// Makes sure that sled holds everything up to `sequence` on stable storage, and marks that.
pub(super) fn checkpoint(dir: &Path, db: &sled::Db, sequence: u64) -> Result<(), StoreError> {
    let _ = fault::point("checkpoint.before-flush");
    db.flush().map_err(|error| StoreError::Failed(format!("sled cannot flush: {error}")))?;
    let file = dir.join("db").join("db");
    let opened = File::options().read(true).write(true).open(&file).map_err(|error| {
        let why = format!("cannot open {}: {error}", file.display());
        if is_passing(&error) { StoreError::Unavailable(why) } else { StoreError::Failed(why) }
    })?;
    let synced = opened.sync_data();
    synced.map_err(|error| StoreError::Failed(format!("cannot sync {}: {error}", file.display())))?;
    reserve(&opened);
    let _ = fault::point("checkpoint.before-mark");
    mark(dir, sequence)
}

/// Keeps room behind sled's file, so that it can write what was already accepted when somebody else fills the disk: an
/// error in its own flushing cannot be taken back. A file system that cannot do this is as safe, only less patient.
fn reserve(file: &File) {
    if let Ok(meta) = file.metadata() {
        let _ = rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, meta.len(), RESERVE_BYTES);
    }
}

fn mark(dir: &Path, sequence: u64) -> Result<(), StoreError> {
    let path = dir.join("checkpoint");
    let draft = dir.join("checkpoint.draft");
    let mut bytes = sequence.to_le_bytes().to_vec();
    let check = short_hash(&[&bytes]);
    bytes.extend_from_slice(&check);
    let written = File::create(&draft)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&draft, &path))
        .and_then(|()| File::open(dir)?.sync_all());
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Unavailable("the disk is full (checkpoint)".into()),
        _ if is_passing(&error) => StoreError::Unavailable(format!("no checkpoint now: {error}")),
        _ => StoreError::Failed(format!("cannot write {}: {error}", path.display())),
    })
}

/// Up to where sled was synced; `None` before the first time. A damaged mark counts as "nothing is sure".
pub(super) fn marked(dir: &Path) -> Option<u64> {
    let bytes = std::fs::read(dir.join("checkpoint")).ok()?;
    let (sequence, check) = bytes.split_first_chunk::<8>()?;
    (short_hash(&[sequence]) == *check).then(|| u64::from_le_bytes(*sequence))
}

/// Replaces a long log by a snapshot.
fn shorten(parts: &Parts, sequence: u64, log_bytes: u64) -> Result<(), StoreError> {
    let dir = parts.dir.join("journal").join("records");
    let snapshots = snapshot::list(&dir)?;
    let newest =
        snapshots.last().and_then(|newest| std::fs::metadata(&newest.path).ok()).map_or(0, |meta| meta.len());
    if log_bytes < LOG_BYTES_MIN.max(newest.saturating_mul(2)) {
        return Ok(());
    }
    if parts.status.free() < newest.saturating_mul(2).saturating_add(128 << 20) {
        return Err(StoreError::Unavailable("there is no room for a snapshot".into()));
    }
    // A frozen view reads the log; the next checkpoint shortens it.
    let Ok(_alone) = parts.pins.try_write() else { return Ok(()) };
    snapshot::write(&dir, parts.rows.sled(), sequence, &parts.cipher)?;
    parts.committer.compact(sequence.saturating_add(1));
    // The log begins behind the newest by now, so that the older ones lead nowhere.
    for old in &snapshots {
        let _ = std::fs::remove_file(&old.path);
    }
    Ok(())
}
