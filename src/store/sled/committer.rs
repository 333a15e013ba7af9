//! The one thread that writes records.
//!
//! It takes the acts that are queued when the last sync ends, runs them one after another on a [`Stage`], writes all
//! they changed as one frame into the records log, waits until the frame is on stable storage, applies it to sled in
//! one batch, and only then answers. So sled never holds what the log does not.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use super::digest::{Digest, Sweep};
use super::filter::Filter;
use super::journal::Journal;
use super::redo::{self, RedoCipher};
use super::stage::{Stage, Writes};
use super::status::Status;
use crate::fault;
use crate::store::StoreError;

/// Acts waiting at most; past it the store is unavailable.
const QUEUE_MAX: usize = 4096;
/// Rows counted by one step of a sweep: a few milliseconds.
const SWEPT_MAX: usize = 2048;
/// Acts in one group at most.
const GROUP_MAX: usize = 256;

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Act = Box<dyn FnOnce(&mut Stage<'_>) -> Answer + Send>;
type SweepAnswer = Result<Swept, StoreError>;

enum Message {
    Act(Act),
    /// A checkpoint was made: frames up to here are in sled for good.
    Compact {
        before: u64,
    },
    /// Counts a few rows more, to compare them all with the digest.
    Sweep {
        whose: Sweeper,
        anew: bool,
        reply: oneshot::Sender<SweepAnswer>,
    },
    Stop(oneshot::Sender<()>),
}

/// Who counts; each has a sweep of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sweeper {
    /// The background's.
    Scrub,
    /// `store verify`.
    Verify,
    /// The count after a large store was opened.
    Opened,
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) rows: u64,
    pub(super) rows_all: u64,
    /// At its end: whether the rows are what their digest says.
    pub(super) whole: Option<bool>,
}

/// What the thread owns.
pub(super) struct Parts {
    pub(super) tree: sled::Tree,
    pub(super) journal: Journal,
    pub(super) cipher: RedoCipher,
    pub(super) digest: Digest,
    pub(super) filter: Arc<Filter>,
    pub(super) sweeps: BTreeMap<Sweeper, Sweep>,
    pub(super) status: Arc<Status>,
}

/// Sends acts to the thread.
#[derive(Clone)]
pub(super) struct Committer {
    queue: SyncSender<Message>,
    status: Arc<Status>,
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Committer")
    }
}

impl Committer {
    /// Starts the thread.
    pub(super) fn start(parts: Parts) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let status = Arc::clone(&parts.status);
        std::thread::Builder::new().name("records".into()).spawn(move || run(parts, &receiver))?;
        Ok(Self { queue: sender, status })
    }

    /// Runs an act and returns when what it wrote is on stable storage.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Stage<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let boxed: Act = Box::new(move |stage| {
            let result = stage.act(act);
            Box::new(move |committed: Result<(), StoreError>| {
                // Nobody listening means that the caller was cancelled; the act stands all the same.
                let _ = reply.send(result.and_then(|value| committed.map(|()| value)));
            })
        });
        match self.queue.try_send(Message::Act(boxed)) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(self.status.failure())),
            Err(TrySendError::Full(_)) => {
                Err(StoreError::Unavailable("too much is waiting to be written".into()))
            }
            Err(TrySendError::Disconnected(_)) => Err(self.status.failure()),
        }
    }

    /// Counts rows, a bounded number at a time, between the groups. `anew` begins a sweep.
    pub(super) async fn sweep(&self, whose: Sweeper, anew: bool) -> Result<Swept, StoreError> {
        self.begin_sweep(whose, anew)?.await.unwrap_or_else(|_| Err(self.status.failure()))
    }

    /// The same, for a thread that may wait.
    pub(super) fn sweep_blocking(&self, whose: Sweeper, anew: bool) -> Result<Swept, StoreError> {
        self.begin_sweep(whose, anew)?.blocking_recv().unwrap_or_else(|_| Err(self.status.failure()))
    }

    fn begin_sweep(&self, whose: Sweeper, anew: bool) -> Result<oneshot::Receiver<SweepAnswer>, StoreError> {
        let (reply, answer) = oneshot::channel();
        match self.queue.try_send(Message::Sweep { whose, anew, reply }) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => {
                Err(StoreError::Unavailable("too much is waiting to be written".into()))
            }
            Err(TrySendError::Disconnected(_)) => Err(self.status.failure()),
        }
    }

    /// Tells the thread that frames before this number are no longer needed.
    pub(super) fn compact(&self, before: u64) {
        // A full queue only means that the next checkpoint says it again.
        let _ = self.queue.try_send(Message::Compact { before });
    }

    /// Ends the thread after what is queued.
    pub(super) async fn stop(&self) {
        let (reply, done) = oneshot::channel();
        if self.queue.try_send(Message::Stop(reply)).is_ok() {
            let _ = done.await;
        }
    }
}

fn run(mut parts: Parts, queue: &Receiver<Message>) {
    while let Ok(first) = queue.recv() {
        let mut acts = Vec::new();
        let mut last = None;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Act(act) => acts.push(act),
                other => last = Some(other),
            }
            next = if last.is_none() && acts.len() < GROUP_MAX { queue.try_recv().ok() } else { None };
        }
        if !acts.is_empty() && commit_group(&mut parts, acts).is_err() {
            return;
        }
        match last {
            Some(Message::Stop(done)) => {
                // The files and their locks are let go before anybody hears of the end.
                drop(parts);
                let _ = done.send(());
                return;
            }
            Some(Message::Compact { before }) => {
                if let Err(error) = parts.journal.drop_before(before) {
                    parts.status.fail(&format!("the records log cannot be shortened: {error}"));
                    return;
                }
            }
            Some(Message::Sweep { whose, anew, reply }) => {
                let _ = reply.send(sweep(&mut parts, whose, anew));
            }
            Some(Message::Act(_)) | None => {}
        }
    }
}

fn sweep(parts: &mut Parts, whose: Sweeper, anew: bool) -> Result<Swept, StoreError> {
    let mut sweep = parts.sweeps.remove(&whose).filter(|_| !anew).unwrap_or_default();
    let over = sweep.step(&parts.tree, SWEPT_MAX)?;
    let whole = over.then(|| sweep.is(&parts.digest));
    let swept = Swept { rows: sweep.rows(), rows_all: parts.digest.rows(), whole };
    if !over {
        parts.sweeps.insert(whose, sweep);
    }
    Ok(swept)
}

/// `Err` ends the thread: the store has failed.
fn commit_group(parts: &mut Parts, acts: Vec<Act>) -> Result<(), ()> {
    let mut stage = Stage::new(&parts.tree);
    let staged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        acts.into_iter().map(|act| act(&mut stage)).collect::<Vec<Answer>>()
    }));
    let answers = match staged {
        Ok(answers) => answers,
        Err(panic) => {
            parts.status.fail(&format!("a write act panicked: {}", panic_text(&*panic)));
            return Err(());
        }
    };
    let written = write(parts, stage.into_writes());
    let failed = matches!(written, Err(StoreError::Failed(_) | StoreError::Corrupt(_)));
    if failed && let Err(error) = &written {
        parts.status.fail(&error.to_string());
    }
    for answer in answers {
        answer(match &written {
            Ok(()) => Ok(()),
            Err(StoreError::Unavailable(why)) => Err(StoreError::Unavailable(why.clone())),
            Err(_) => Err(parts.status.failure()),
        });
    }
    if failed { Err(()) } else { Ok(()) }
}

fn write(parts: &mut Parts, writes: Writes) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    parts.status.check_room()?;
    let frame = redo::encode(&writes);
    let sequence = append(parts, &frame)?;
    let _ = fault::point("records.before-apply");
    let mut batch = sled::Batch::default();
    let digest = parts.digest.advanced(&parts.tree, &writes, sequence)?;
    parts.sweeps.values_mut().try_for_each(|sweep| sweep.note(&parts.tree, &writes))?;
    for (key, value) in writes {
        match value {
            Some(value) => {
                parts.filter.note(&key);
                batch.insert(key, value);
            }
            None => batch.remove(key),
        }
    }
    let (key, value) = digest.row();
    batch.insert(key, value);
    parts
        .tree
        .apply_batch(batch)
        .map_err(|error| StoreError::Failed(format!("sled cannot write: {error}")))?;
    let _ = fault::point("records.after-apply");
    parts.digest = digest;
    parts.status.note_records(sequence, parts.journal.bytes());
    Ok(())
}

/// Puts the frame on stable storage; a full disk leaves everything as it was.
fn append(parts: &mut Parts, frame: &[u8]) -> Result<u64, StoreError> {
    let sealed = parts.cipher.seal(frame);
    let appended = parts.journal.append(redo::WRITES, &sealed).and_then(|_| parts.journal.commit());
    appended.map_err(|error| {
        parts.journal.discard();
        parts.status.journal_error("records log", &error)
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown")
}
