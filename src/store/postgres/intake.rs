//! The front door: what is queued when a commit ends is the next transaction; nobody waits for a clock.
//!
//! Each of the few tasks here owns a connection, so that nothing else can keep the door waiting. A delivery, its bytes
//! and its place in the queue (state 0) are one transaction, and the unique index on the dedupe key decides whether it
//! is new, whichever process asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::delivery::{id, text, uuid};
use super::error::state;
use super::{connect, keys};
use crate::domain::{DeliveryId, SourceKey, Timestamp};
use crate::fault;
use crate::store::{Load, StoreError, frame};
use crate::telemetry::{Metric, observe};

/// Connections that put deliveries in: while one waits for its commit, the other fills.
const DOORS: usize = 2;
/// Requests waiting, at most.
const QUEUE_MAX: usize = 4096;
/// Requests that share one commit, at most.
const GROUP_MAX: usize = 512;
/// Bytes that share one commit, at most; so that large bodies do not hold small ones for long.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// A commit that takes longer is as good as none: the forge would not wait for our answer.
const COMMIT_WITHIN: Duration = Duration::from_secs(6);

/// One delivery on its way in.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: DeliveryId,
    pub(super) source: SourceKey,
    pub(super) dedupe: Uuid,
    pub(super) received_at: Timestamp,
    pub(super) body_hash: Uuid,
    pub(super) external_id: String,
    pub(super) hook_id: String,
    pub(super) secret_slot: u8,
    pub(super) body_bytes: usize,
    /// Only a copy that came within this time counts as the same delivery.
    pub(super) same_within_ms: Option<i64>,
    pub(super) frame: Vec<u8>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    New,
    /// The same as this one.
    Known(DeliveryId),
    /// It was sealed with a key that seals nothing any more: to be sealed anew, and brought again.
    Outdated,
}

type Reply = oneshot::Sender<Result<Taken, StoreError>>;
type Waiting = (Entry, Reply);

/// Sends deliveries to the tasks.
#[derive(Debug)]
pub(super) struct Intake {
    queue: mpsc::Sender<Waiting>,
    waiting: Arc<AtomicUsize>,
    taken: AtomicU64,
}

/// Counts a delivery as waiting, also when its caller goes away meanwhile.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Intake {
    /// Starts the tasks. They end with `stop`, what is under way first.
    pub(super) fn start(options: &PgConnectOptions, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..DOORS {
            tasks.spawn(run(options.clone(), Arc::clone(&receiver), stop.clone()));
        }
        Self { queue, waiting: Arc::default(), taken: AtomicU64::new(0) }
    }

    /// What it is doing.
    pub(super) fn load(&self) -> Load {
        Load {
            waiting: self.waiting.load(Ordering::Acquire) as u64,
            taken: self.taken.load(Ordering::Relaxed),
            // What has no index takes room on the database's disk, not here.
            crowded: false,
        }
    }

    /// Keeps a delivery; answers after the commit that covers it, or covers its first copy.
    pub(super) async fn take(&self, entry: Entry) -> Result<Taken, StoreError> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let _counted = Counted(Arc::clone(&self.waiting));
        let (reply, answer) = oneshot::channel();
        match self.queue.try_send((entry, reply)) {
            Ok(()) => {
                let answer = answer.await.unwrap_or_else(|_| Err(closing()))?;
                self.taken.fetch_add(1, Ordering::Relaxed);
                Ok(answer)
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(StoreError::Unavailable("too many deliveries are waiting to be kept".into()))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(closing()),
        }
    }
}

fn closing() -> StoreError {
    StoreError::Unavailable("the store is closing".into())
}

/// What one transaction takes: at most one delivery of each key, and copies that came within its time.
#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    replies: Vec<Reply>,
    /// The first one with a key.
    firsts: HashMap<Uuid, usize>,
    bytes: usize,
}

impl Group {
    fn has_room(&self) -> bool {
        self.entries.len() < GROUP_MAX && self.bytes < GROUP_BYTES_MAX
    }

    /// Gives it back when it is no copy of the one here with its key, and must wait for the next group.
    fn add(&mut self, (entry, reply): Waiting) -> Option<Waiting> {
        let first = self.firsts.get(&entry.dedupe).and_then(|first| self.entries.get(*first));
        if first.is_some_and(|first| !is_same(&entry, first.received_at)) {
            return Some((entry, reply));
        }
        self.firsts.entry(entry.dedupe).or_insert(self.entries.len());
        self.bytes = self.bytes.saturating_add(entry.frame.len());
        self.entries.push(entry);
        self.replies.push(reply);
        None
    }

    /// The first one with each key and its place here, in the order of the keys: so two processes never wait for each
    /// other crosswise.
    fn in_order(&self) -> Vec<(usize, &Entry)> {
        let mut firsts: Vec<(usize, &Entry)> = self
            .firsts
            .values()
            .filter_map(|first| self.entries.get(*first).map(|entry| (*first, entry)))
            .collect();
        firsts.sort_unstable_by_key(|(_, entry)| entry.dedupe);
        firsts
    }
}

fn is_same(entry: &Entry, since: Timestamp) -> bool {
    entry.same_within_ms.is_none_or(|within| entry.received_at.since(since) <= within)
}

async fn run(options: PgConnectOptions, queue: Arc<Mutex<mpsc::Receiver<Waiting>>>, stop: CancellationToken) {
    let mut connection = None;
    let mut left = None;
    loop {
        let mut group = Group::default();
        {
            // The next door opens only once this one has its group: so groups are as large as can be.
            let mut queue = queue.lock().await;
            let first = match left.take() {
                Some(first) => first,
                None => match stop.run_until_cancelled(queue.recv()).await {
                    Some(Some(first)) => first,
                    _ => return,
                },
            };
            left = group.add(first);
            while left.is_none() && group.has_room() {
                let Ok(next) = queue.try_recv() else { break };
                left = group.add(next);
            }
        }
        keep(&options, &mut connection, group).await;
    }
}

/// Who holds each key once the transaction is committed.
type Holders = HashMap<Uuid, DeliveryId>;

/// Commits a group and answers everybody in it.
async fn keep(options: &PgConnectOptions, connection: &mut Option<PgConnection>, group: Group) {
    observe(Metric::CommitBatchSize, &[], group.entries.len() as f64);
    let began = Instant::now();
    let written = tokio::time::timeout(COMMIT_WITHIN, write(options, connection, &group.in_order())).await;
    let written = written
        .unwrap_or_else(|_| Err(StoreError::Unavailable("the database did not commit in time".into())));
    observe(Metric::CommitDuration, &[], began.elapsed().as_secs_f64());
    if written.is_err() {
        // Whatever state it is in: the next group begins with a new one.
        *connection = None;
    }
    let _ = fault::point("inbox.before-answer");
    let Group { entries, replies, firsts, .. } = group;
    for (number, (entry, reply)) in entries.iter().zip(replies).enumerate() {
        let is_first = firsts.get(&entry.dedupe) == Some(&number);
        let answer = match &written {
            Ok(Some(holders)) => holder(holders, entry, is_first),
            Ok(None) => Ok(Taken::Outdated),
            Err(StoreError::Corrupt(why)) => Err(StoreError::Corrupt(why.clone())),
            Err(StoreError::Unavailable(why) | StoreError::Failed(why)) => {
                Err(StoreError::Unavailable(why.clone()))
            }
        };
        let _ = reply.send(answer);
    }
}

fn holder(holders: &Holders, entry: &Entry, is_first: bool) -> Result<Taken, StoreError> {
    match holders.get(&entry.dedupe) {
        Some(holder) if is_first && *holder == entry.id => Ok(Taken::New),
        Some(holder) => Ok(Taken::Known(*holder)),
        None => Err(StoreError::Unavailable("its first copy is being deleted this moment".into())),
    }
}

/// Where a transaction broke.
enum Broken {
    /// Nothing is kept.
    Before(sqlx::Error),
    /// It may be kept or not: that is no yes (reliability R7). A later copy is recognised if it was.
    During(sqlx::Error),
}

/// Writes and commits. A connection that proves dead before the commit is replaced once.
async fn write(
    options: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
    entries: &[(usize, &Entry)],
) -> Result<Option<Holders>, StoreError> {
    if let Some(open) = connection {
        match transaction(open, entries).await {
            Ok(holders) => return Ok(holders),
            Err(Broken::Before(error)) if error.as_database_error().is_none() || is_ending(&error) => {}
            Err(Broken::Before(error) | Broken::During(error)) => return Err(error.into()),
        }
    }
    let fresh = connection.insert(connect::one(options).await?);
    transaction(fresh, entries).await.map_err(|(Broken::Before(error) | Broken::During(error))| error.into())
}

/// The server ends this connection (57P01 and its kin).
fn is_ending(error: &sqlx::Error) -> bool {
    state(error).is_some_and(|state| state.starts_with("57P"))
}

/// `None`: nothing is kept, as a key of theirs was replaced.
async fn transaction(
    connection: &mut PgConnection,
    entries: &[(usize, &Entry)],
) -> Result<Option<Holders>, Broken> {
    let mut used: Vec<u32> =
        entries.iter().filter_map(|(_, entry)| frame::key_number(&entry.frame)).collect();
    used.sort_unstable();
    used.dedup();
    let mut transaction = connection.begin().await.map_err(Broken::Before)?;
    if !keys::hold(&mut transaction, &used).await.map_err(Broken::Before)? {
        transaction.rollback().await.map_err(Broken::Before)?;
        return Ok(None);
    }
    let holders = place(&mut transaction, entries).await.map_err(Broken::Before)?;
    let _ = fault::point("inbox.before-commit");
    transaction.commit().await.map_err(Broken::During)?;
    Ok(Some(holders))
}

/// Delivery and bytes of each that is new. Whoever inserts a key first keeps it; another process's insert of the same
/// key is waited for.
const INSERT: &str = "
    with fresh as (
        insert into delivery (arrival, id, source, dedupe, received_at, body_hash, external_id, hook_id,
            secret_slot, body_bytes)
        select t.number * 1024 + g.place, g.id, g.source, g.dedupe, g.received_at, g.body_hash, g.external_id,
            g.hook_id, g.secret_slot, g.body_bytes
        from (select nextval('delivery_arrival') as number) t, unnest($1::uuid[], $2::text[], $3::uuid[], $4::int8[],
            $5::uuid[], $6::text[], $7::text[], $8::int2[], $9::int8[], $11::int4[])
            as g(id, source, dedupe, received_at, body_hash, external_id, hook_id, secret_slot, body_bytes, place)
        on conflict (dedupe) do nothing
        returning id, dedupe
    ), kept as (
        insert into payload (delivery, frame)
        select b.id, b.frame from unnest($1::uuid[], $10::bytea[]) as b(id, frame) join fresh using (id)
    )
    select id, dedupe from fresh
";
const HOLDERS: &str = "select id, dedupe, received_at from delivery where dedupe = any($1)";
const GIVE_UP: &str = "update delivery set dedupe = null where id = any($1)";

async fn place(connection: &mut PgConnection, entries: &[(usize, &Entry)]) -> Result<Holders, sqlx::Error> {
    let mut holders = Holders::new();
    let mut open = entries.to_vec();
    while !open.is_empty() {
        for row in insert(connection, &open).await? {
            holders.insert(row.try_get("dedupe")?, id(row.try_get("id")?));
        }
        open.retain(|(_, entry)| !holders.contains_key(&entry.dedupe));
        if open.is_empty() {
            break;
        }
        let keys: Vec<Uuid> = open.iter().map(|(_, entry)| entry.dedupe).collect();
        let mut over = Vec::new();
        for row in sqlx::query(HOLDERS).bind(keys).fetch_all(&mut *connection).await? {
            let (held, key, since): (Uuid, Uuid, i64) =
                (row.try_get("id")?, row.try_get("dedupe")?, row.try_get("received_at")?);
            let entry = open.iter().find(|(_, entry)| entry.dedupe == key);
            if entry.is_some_and(|(_, entry)| is_same(entry, Timestamp::from_ms(since))) {
                holders.insert(key, id(held));
            } else {
                over.push(held);
            }
        }
        open.retain(|(_, entry)| !holders.contains_key(&entry.dedupe));
        // A key whose time is over goes to the delivery that has come now. One whose holder was deleted meanwhile is
        // free as well.
        sqlx::query(GIVE_UP).bind(over).execute(&mut *connection).await?;
    }
    Ok(holders)
}

async fn insert(
    connection: &mut PgConnection,
    entries: &[(usize, &Entry)],
) -> Result<Vec<sqlx::postgres::PgRow>, sqlx::Error> {
    fn all<'a, T>(entries: &[(usize, &'a Entry)], read: impl Fn(&'a Entry) -> T) -> Vec<T> {
        entries.iter().map(|(_, entry)| read(entry)).collect()
    }
    let places: Vec<i32> =
        entries.iter().map(|(place, _)| i32::try_from(*place).unwrap_or(i32::MAX)).collect();
    sqlx::query(INSERT)
        .bind(all(entries, |entry| uuid(entry.id)))
        .bind(all(entries, |entry| entry.source.as_str()))
        .bind(all(entries, |entry| entry.dedupe))
        .bind(all(entries, |entry| entry.received_at.ms()))
        .bind(all(entries, |entry| entry.body_hash))
        .bind(all(entries, |entry| text(&entry.external_id)))
        .bind(all(entries, |entry| text(&entry.hook_id)))
        .bind(all(entries, |entry| i16::from(entry.secret_slot)))
        .bind(all(entries, |entry| i64::try_from(entry.body_bytes).unwrap_or(i64::MAX)))
        .bind(all(entries, |entry| entry.frame.as_slice()))
        .bind(places)
        .fetch_all(connection)
        .await
}
