//! The one thread that writes records.
//!
//! It takes the acts that are queued when the last sync ends, runs them one after another on a [`Stage`], writes all
//! they changed as one frame into the records log, waits until the frame is on stable storage, lays it over the rows,
//! and only then answers. So nobody ever reads what the log does not hold.

use std::any::Any;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::checkpoint::Alarm;
use super::database::Database;
use super::filter::Filter;
use super::journal::Journal;
use super::locked;
use super::mover::Mover;
use super::redo::{self, RedoCipher};
use super::stage::{Stage, Writes};
use super::status::Status;
use crate::fault;
use crate::store::StoreError;

/// Acts waiting at most; past it the store is unavailable.
const QUEUE_MAX: usize = 4096;
/// Bytes of rows that are moved to sled without waiting for the next checkpoint.
const WAITING_BYTES_MANY: usize = 4 << 20;
/// Bytes of rows past which acts wait for the end of the move that runs.
const WAITING_BYTES_MAX: usize = 12 << 20;
/// Bytes of rows past which the committer moves them itself.
const WAITING_BYTES_LAST: usize = 16 << 20;
/// Acts in one group at most.
const GROUP_MAX: usize = 256;

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Act = Box<dyn FnOnce(&mut Stage<'_>) -> Answer + Send>;
type Reply = oneshot::Sender<Result<(), StoreError>>;

enum Message {
    Act(Act),
    /// A checkpoint was made: frames up to here are in sled for good.
    Compact {
        before: u64,
    },
    /// Goes on in a new file.
    Roll(Reply),
    /// As `Compact`, and says when it is done.
    DropBefore(u64, Reply),
    Stop(oneshot::Sender<()>),
}

/// What the thread owns.
pub(super) struct Parts {
    pub(super) rows: Database,
    pub(super) mover: Arc<Mutex<Mover>>,
    pub(super) alarm: Alarm,
    pub(super) journal: Journal,
    pub(super) cipher: RedoCipher,
    pub(super) filter: Arc<Filter>,
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

    /// Tells the thread that frames before this number are no longer needed.
    pub(super) fn compact(&self, before: u64) {
        // A full queue only means that the next checkpoint says it again.
        let _ = self.queue.try_send(Message::Compact { before });
    }

    /// Has the log go on in a new file.
    pub(super) async fn roll(&self) -> Result<(), StoreError> {
        self.ask(Message::Roll).await
    }

    /// Deletes the files that only hold frames before this number.
    pub(super) async fn drop_before(&self, sequence: u64) -> Result<(), StoreError> {
        self.ask(|reply| Message::DropBefore(sequence, reply)).await
    }

    async fn ask(&self, make: impl FnOnce(Reply) -> Message) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        match self.queue.try_send(make(reply)) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(self.status.failure())),
            Err(TrySendError::Full(_)) => {
                Err(StoreError::Unavailable("too much is waiting to be written".into()))
            }
            Err(TrySendError::Disconnected(_)) => Err(self.status.failure()),
        }
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
            Some(Message::Roll(reply)) => {
                let rolled = parts.journal.roll_now();
                let _ = reply.send(rolled.map_err(|error| parts.status.journal_error("records log", &error)));
            }
            Some(Message::DropBefore(before, reply)) => {
                let dropped = parts.journal.drop_before(before).map(drop);
                let _ =
                    reply.send(dropped.map_err(|error| parts.status.journal_error("records log", &error)));
            }
            Some(Message::Act(_)) | None => {}
        }
    }
}

/// `Err` ends the thread: the store has failed.
fn commit_group(parts: &mut Parts, acts: Vec<Act>) -> Result<(), ()> {
    let mut stage = Stage::new(&parts.rows, parts.cipher.keyring());
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
    writes.keys().for_each(|key| parts.filter.note(key));
    let waiting = parts.rows.write(writes, sequence)?;
    make_room(parts, waiting)?;
    let _ = fault::point("records.after-apply");
    parts.status.note_records(sequence, parts.journal.bytes());
    Ok(())
}

/// Has rows moved to sled before they are too many to keep in memory.
fn make_room(parts: &Parts, waiting: usize) -> Result<(), StoreError> {
    if waiting >= WAITING_BYTES_LAST {
        locked(&parts.mover).run()?;
    } else if waiting >= WAITING_BYTES_MAX {
        // Once nobody moves, the checkpoint's thread takes all that waits at once, and acts go on beside it.
        drop(locked(&parts.mover));
        parts.alarm.raise();
    } else if waiting >= WAITING_BYTES_MANY {
        parts.alarm.raise();
    }
    Ok(())
}

/// Puts the frame on stable storage; a full disk leaves everything as it was.
fn append(parts: &mut Parts, frame: &[u8]) -> Result<u64, StoreError> {
    let sealed = parts.cipher.seal(frame)?;
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
