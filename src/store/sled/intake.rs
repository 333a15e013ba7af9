//! The front door's thread: it decides new or duplicate, appends to the inbox log, syncs once for all that came
//! meanwhile, and only then answers.
//!
//! Reading a body's meaning is not this thread's work.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::oneshot;

use super::backlog::{Backlog, Pending, UNINDEXED_MAX};
use super::database::Database;
use super::dedupe::Dedupe;
use super::filter::Filter;
use super::journal::{Journal, Position};
use super::locked;
use super::status::Status;
use crate::domain::{DeliveryId, Timestamp};
use crate::fault;
use crate::seal::Keyring;
use crate::store::{StoreError, frame};
use crate::telemetry::{Metric, observe};

/// Requests waiting for the thread, at most.
const QUEUE_MAX: usize = 4096;
/// Requests that share one sync, at most.
const GROUP_MAX: usize = 1024;
/// Bytes that share one sync, at most; so a batch of large bodies does not hold small ones for long.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Kinds of frames in the inbox log.
pub(super) const DELIVERED: u8 = 1;
/// A delivery whose frame was copied out of a file about to be deleted.
pub(super) const CARRIED: u8 = 2;

/// One delivery on its way to the log.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: DeliveryId,
    pub(super) dedupe: Dedupe,
    pub(super) received_at: Timestamp,
    /// Only a copy that came within this time counts as the same delivery.
    pub(super) same_within_ms: Option<i64>,
    pub(super) payload: Vec<u8>,
}

/// What the thread found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    New,
    /// The same as this one.
    Known(DeliveryId),
}

/// Where an answer goes.
type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Message {
    Take(Entry, Reply<Taken>),
    Carry(Vec<u8>, Reply<Position>),
    DropBefore(u64, Reply<u64>),
    Roll(Reply<u64>),
    Pass(Reply<()>),
    Stop(oneshot::Sender<()>),
}

/// What the thread owns.
pub(super) struct Parts {
    pub(super) journal: Journal,
    pub(super) keyring: Keyring,
    pub(super) rows: Database,
    pub(super) filter: Arc<Filter>,
    pub(super) backlog: Arc<Mutex<Backlog>>,
    pub(super) status: Arc<Status>,
}

/// Sends deliveries to the thread.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    queue: SyncSender<Message>,
    status: Arc<Status>,
}

impl Intake {
    pub(super) fn start(parts: Parts) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let status = Arc::clone(&parts.status);
        std::thread::Builder::new().name("inbox".into()).spawn(move || run(parts, &receiver))?;
        Ok(Self { queue: sender, status })
    }

    async fn ask<T>(&self, make: impl FnOnce(Reply<T>) -> Message) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        match self.queue.try_send(make(reply)) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(self.status.failure())),
            Err(TrySendError::Full(_)) => {
                Err(StoreError::Unavailable("too many deliveries are waiting to be kept".into()))
            }
            Err(TrySendError::Disconnected(_)) => Err(self.status.failure()),
        }
    }

    /// Keeps a delivery; answers after the sync that covers it, or covers its first copy.
    pub(super) async fn take(&self, entry: Entry) -> Result<Taken, StoreError> {
        let _waiting = Waiting::new(&self.status);
        self.ask(|reply| Message::Take(entry, reply)).await
    }

    /// Copies a frame forward.
    pub(super) async fn carry(&self, payload: Vec<u8>) -> Result<Position, StoreError> {
        self.ask(|reply| Message::Carry(payload, reply)).await
    }

    /// Deletes the files that only hold older frames.
    pub(super) async fn drop_before(&self, sequence: u64) -> Result<u64, StoreError> {
        self.ask(|reply| Message::DropBefore(sequence, reply)).await
    }

    /// Has the log go on in a new file; gives back the number of the first frame there.
    pub(super) async fn roll(&self) -> Result<u64, StoreError> {
        self.ask(Message::Roll).await
    }

    /// Answers once everything that came before is kept: the thread does not hang.
    pub(super) async fn pass(&self) -> Result<(), StoreError> {
        self.ask(Message::Pass).await
    }

    pub(super) async fn stop(&self) {
        let (reply, done) = oneshot::channel();
        if self.queue.try_send(Message::Stop(reply)).is_ok() {
            let _ = done.await;
        }
    }
}

/// Counts a delivery as waiting for its sync, also when its caller goes away meanwhile.
struct Waiting<'a>(&'a Status);

impl<'a> Waiting<'a> {
    fn new(status: &'a Status) -> Self {
        status.note_waiting(true);
        Self(status)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.note_waiting(false);
    }
}

/// The batch under construction.
#[derive(Default)]
struct Group {
    takes: Vec<(Reply<Taken>, Result<Taken, StoreError>)>,
    carries: Vec<(Reply<Position>, Position)>,
    fresh: Vec<Pending>,
    in_group: HashMap<[u8; 16], (DeliveryId, Timestamp)>,
    bytes: usize,
}

fn run(mut parts: Parts, queue: &Receiver<Message>) {
    while let Ok(first) = queue.recv() {
        let mut group = Group::default();
        let mut next = Some(first);
        let mut last = None;
        while let Some(message) = next {
            last = add(&mut parts, &mut group, message);
            let room = group.takes.len() < GROUP_MAX && group.bytes < GROUP_BYTES_MAX;
            next = if room && last.is_none() { queue.try_recv().ok() } else { None };
        }
        if commit(&mut parts, group).is_err() {
            return;
        }
        match last {
            Some(Message::Stop(done)) => {
                // The log and its lock are let go before anybody hears of the end.
                drop(parts);
                let _ = done.send(());
                return;
            }
            Some(Message::DropBefore(sequence, reply)) => {
                let dropped = parts.journal.drop_before(sequence);
                let _ = reply.send(dropped.map_err(|error| parts.status.journal_error("inbox log", &error)));
            }
            Some(Message::Roll(reply)) => {
                let rolled = parts.journal.roll_now().map(|()| parts.journal.last_seq().saturating_add(1));
                let _ = reply.send(rolled.map_err(|error| parts.status.journal_error("inbox log", &error)));
            }
            Some(Message::Pass(reply)) => {
                let _ = reply.send(Ok(()));
            }
            Some(_) | None => {}
        }
    }
}

/// Adds a message to the group; gives back what must wait until the group is committed.
fn add(parts: &mut Parts, group: &mut Group, message: Message) -> Option<Message> {
    match message {
        Message::Take(entry, reply) => {
            let found = place(parts, group, entry);
            group.takes.push((reply, found));
            None
        }
        Message::Carry(payload, reply) => {
            group.bytes = group.bytes.saturating_add(payload.len());
            match append(parts, CARRIED, &payload) {
                Ok(position) => group.carries.push((reply, position)),
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            }
            None
        }
        other => Some(other),
    }
}

fn place(parts: &mut Parts, group: &mut Group, entry: Entry) -> Result<Taken, StoreError> {
    let first = match group.in_group.get(&entry.dedupe.whole()) {
        Some(first) => Some(*first),
        None => known(parts, &entry.dedupe)?,
    };
    let same =
        |since: Timestamp| entry.same_within_ms.is_none_or(|within| entry.received_at.since(since) <= within);
    if let Some((id, since)) = first
        && same(since)
    {
        return Ok(Taken::Known(id));
    }
    parts.status.check_intake()?;
    if locked(&parts.backlog).len().saturating_add(group.fresh.len()) >= UNINDEXED_MAX {
        return Err(StoreError::Unavailable("too many deliveries wait to be indexed".into()));
    }
    group.bytes = group.bytes.saturating_add(entry.payload.len());
    let position = append(parts, DELIVERED, &entry.payload)?;
    group.in_group.insert(entry.dedupe.whole(), (entry.id, entry.received_at));
    group.fresh.push(Pending {
        id: entry.id,
        dedupe: entry.dedupe.whole(),
        received_at: entry.received_at,
        position,
    });
    Ok(Taken::New)
}

/// Adds a frame to the batch. When the keys were changed since it was sealed, it is sealed anew: the older ones will be
/// gone.
fn append(parts: &mut Parts, kind: u8, payload: &[u8]) -> Result<Position, StoreError> {
    let renewed = frame::renewed(&parts.keyring, payload)?;
    let appended = parts.journal.append(kind, renewed.as_deref().unwrap_or(payload));
    appended.map_err(|error| parts.status.journal_error("inbox log", &error))
}

fn known(parts: &Parts, dedupe: &Dedupe) -> Result<Option<(DeliveryId, Timestamp)>, StoreError> {
    if let Some(first) = locked(&parts.backlog).same_as(&dedupe.whole()) {
        return Ok(Some(first));
    }
    // Between an index act and `forget` a key is in both places; it is never in neither.
    if parts.filter.may_hold(&dedupe.whole()) { dedupe.find(&parts.rows) } else { Ok(None) }
}

/// `Err` ends the thread: the log has failed.
fn commit(parts: &mut Parts, group: Group) -> Result<(), ()> {
    let written = if group.fresh.is_empty() && group.carries.is_empty() {
        Ok(())
    } else {
        let _ = fault::point("inbox.before-commit");
        observe(Metric::CommitBatchSize, &[], group.fresh.len() as f64);
        let began = Instant::now();
        let committed = parts.journal.commit();
        observe(Metric::CommitDuration, &[], began.elapsed().as_secs_f64());
        committed.map(|_| ()).map_err(|error| {
            parts.journal.discard();
            parts.status.journal_error("inbox log", &error)
        })
    };
    if written.is_ok() {
        parts.status.note_taken(group.fresh.len());
        let mut backlog = locked(&parts.backlog);
        group.fresh.into_iter().for_each(|pending| backlog.push(pending));
    }
    let _ = fault::point("inbox.before-answer");
    for (reply, found) in group.takes {
        let _ = reply.send(found.and_then(|taken| repeat(&written).map(|()| taken)));
    }
    for (reply, position) in group.carries {
        let _ = reply.send(repeat(&written).map(|()| position));
    }
    if matches!(written, Err(StoreError::Failed(_))) { Err(()) } else { Ok(()) }
}

fn repeat(written: &Result<(), StoreError>) -> Result<(), StoreError> {
    match written {
        Ok(()) => Ok(()),
        Err(StoreError::Unavailable(why)) => Err(StoreError::Unavailable(why.clone())),
        Err(StoreError::Failed(why)) => Err(StoreError::Failed(why.clone())),
        Err(StoreError::Corrupt(why)) => Err(StoreError::Corrupt(why.clone())),
    }
}
