//! All rows as they were at one instant: a copy beside the store, made while writing goes on.
//!
//! Rows are copied first, then the frames written meanwhile are laid over the copy: a frame says what a row is, not how
//! it changed, so the copy becomes exactly what the rows were after the last of these frames.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::sync::OwnedRwLockReadGuard;

use super::super::act::record::Row;
use super::super::act::{self, Stored, access, index};
use super::super::intake::{DELIVERED, parse_first};
use super::super::key::{self, Key, Table, behind};
use super::super::stage::{Rows, unreadable};
use super::super::{Inner, SledStore, checkpoint, health, inbox, redo};
use crate::domain::delivery::Attempt;
use crate::domain::known::Versioned;
use crate::store::keep::{
    BodySeen, Fact, Frozen, Item, KeptDelivery, KeptUnindexed, PIECE_BYTES_MAX, PIECE_ITEMS_MAX, Piece,
    SetupCode,
};
use crate::store::{StoreError, frame};

const PREFIX: &str = "frozen-";
/// Rows copied at once: the copy takes sled's lock for all databases of the process, so not for long.
const STEP: usize = 512;
const CACHE_BYTES: u64 = 8 << 20;
/// Kept free beside the copy.
const ROOM_BYTES_MIN: u64 = 64 << 20;
const ATTEMPTS_MAX: usize = 1024;

/// Whether rows of this table move. The others are made anew from these, or mean nothing elsewhere.
const fn is_copied(table: Table) -> bool {
    match table {
        Table::Meta
        | Table::Part
        | Table::Delivery
        | Table::Dedupe
        | Table::Body
        | Table::Queue
        | Table::Attempt
        | Table::Organization
        | Table::Source
        | Table::Connection
        | Table::Project
        | Table::Member
        | Table::Pipeline
        | Table::Audit
        | Table::CheckIn
        | Table::Token => true,
        Table::External
        | Table::LaneOf
        | Table::Unbound
        | Table::Blocked
        | Table::ByState
        | Table::ByOrganization
        | Table::BySource
        | Table::Carried
        | Table::ConnectionOfSource
        | Table::ConnectionOfOrganization
        | Table::Installation
        | Table::Account
        | Table::ProjectById
        | Table::ProjectByPath
        | Table::ProjectOfConnection
        | Table::MemberByLogin
        | Table::MemberById
        | Table::MemberOfConnection
        | Table::PipelineByTime
        | Table::AuditOfOrganization
        | Table::CheckInByTime
        | Table::ConnectionOfLogin
        | Table::ProjectOfNumber
        | Table::TokenByHash
        | Table::TokenByEnd => false,
    }
}

/// The tables whose rows are items, in the order in which they move; after them the deliveries without an index.
const SECTIONS: [Table; 12] = [
    Table::Organization,
    Table::Source,
    Table::Connection,
    Table::Project,
    Table::Member,
    Table::Pipeline,
    Table::CheckIn,
    Table::Token,
    Table::Meta,
    Table::Audit,
    Table::Body,
    Table::Delivery,
];

/// The copy. Its folder goes with it.
struct Copy {
    db: sled::Db,
    path: PathBuf,
}

impl Drop for Copy {
    fn drop(&mut self) {
        // sled would flush once more at its end, which may hang on a full disk; nobody needs what it would write.
        checkpoint::abandon(&self.db);
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A frozen view.
pub(super) struct View {
    inner: Arc<Inner>,
    copy: Copy,
    /// The last frame of the inbox log that belongs to it, and the last one that has its rows.
    last: u64,
    indexed: u64,
    items_about: u64,
    _pin: OwnedRwLockReadGuard<()>,
}

/// Where a piece begins.
enum Cursor {
    /// Behind this row.
    Row(Vec<u8>),
    /// Behind this frame of the inbox log.
    Frame(u64),
}

impl Cursor {
    fn text(&self) -> String {
        match self {
            Self::Row(key) => format!("r{}", hex::encode(key)),
            Self::Frame(seq) => format!("f{seq}"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_at_checked(1)? {
            ("r", key) => hex::decode(key).ok().map(Self::Row),
            ("f", seq) => seq.parse().ok().map(Self::Frame),
            _ => None,
        }
    }
}

/// Removes copies that a killed process has left behind.
pub(in super::super) fn sweep(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn unwritable(error: &sled::Error) -> StoreError {
    StoreError::Unavailable(format!("the copy to read from cannot be written: {error}"))
}

impl SledStore {
    /// Everything as it is now.
    pub(super) async fn view(&self) -> Result<View, StoreError> {
        let pin = Arc::clone(&self.inner.pins).read_owned().await;
        // Read before the first row: every frame behind it is laid over the copy.
        let (mark, _) = self.inner.status.records();
        let (copy, items_about) = self.read(copy).await?;
        // When this act's turn comes, every group that a copied row may be from has been counted.
        self.inner.committer.act(|_| Ok(())).await?;
        let (end, _) = self.inner.status.records();
        let copy = self.read(move |inner| overlay(inner, copy, mark, end)).await?;
        let last = self.inner.reader.last_seq();
        let indexed = copy.db.read::<u64>(&index::watermark())?.unwrap_or(0);
        let items_about = items_about.saturating_add(last.saturating_sub(indexed));
        let inner = Arc::clone(&self.inner);
        Ok(View { inner, copy, last, indexed, items_about, _pin: pin })
    }
}

fn copy(inner: &Inner) -> Result<(Copy, u64), StoreError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let needed = health::size(&inner.dir.join("db")).saturating_add(ROOM_BYTES_MIN);
    inner.status.measure();
    if inner.status.free() < needed {
        let why = format!("there is no room beside the store for a copy of its rows ({needed} bytes)");
        return Err(StoreError::Unavailable(why));
    }
    let path = inner.dir.join(format!("{PREFIX}{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let config = sled::Config::new().path(&path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let copy = Copy { db: config.open().map_err(|error| unwritable(&error))?, path };
    let mut items: u64 = 0;
    for table in Table::ALL.into_iter().filter(|table| is_copied(*table)) {
        let rows = copy_table(&inner.tree, &copy.db, table)?;
        if SECTIONS.contains(&table) {
            items = items.saturating_add(rows);
        }
    }
    Ok((copy, items))
}

fn copy_table(from: &sled::Tree, to: &sled::Tree, table: Table) -> Result<u64, StoreError> {
    let prefix = Key::of(table);
    let mut rows: u64 = 0;
    let mut batch = sled::Batch::default();
    for row in from.scan_prefix(prefix.as_bytes()) {
        let (key, value) = row.map_err(|error| unreadable(&error))?;
        batch.insert(key, value);
        rows = rows.saturating_add(1);
        if rows.is_multiple_of(STEP as u64) {
            to.apply_batch(std::mem::take(&mut batch)).map_err(|error| unwritable(&error))?;
        }
    }
    to.apply_batch(batch).map_err(|error| unwritable(&error))?;
    Ok(rows)
}

/// Lays the frames behind `mark`, up to `end`, over the copy.
fn overlay(inner: &Inner, copy: Copy, mark: u64, end: u64) -> Result<Copy, StoreError> {
    let copied: Vec<u8> =
        Table::ALL.into_iter().filter(|table| is_copied(*table)).map(|table| table as u8).collect();
    for frame in inner.records.scan(mark.saturating_add(1)) {
        let (_, frame) = frame.map_err(|error| StoreError::Corrupt(format!("the records log: {error}")))?;
        if frame.seq > end {
            break;
        }
        let mut batch = sled::Batch::default();
        for (key, value) in redo::decode(&inner.cipher.open(&frame.payload)?)? {
            match value {
                _ if !key.first().is_some_and(|table| copied.contains(table)) => {}
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        copy.db.apply_batch(batch).map_err(|error| unwritable(&error))?;
    }
    Ok(copy)
}

/// A piece under construction.
#[derive(Default)]
struct Basket {
    items: Vec<Item>,
    bytes: usize,
}

impl Basket {
    fn is_full(&self) -> bool {
        self.items.len() >= PIECE_ITEMS_MAX || self.bytes >= PIECE_BYTES_MAX
    }

    fn put(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(item.content.as_ref().map_or(0, |one| one.body().len()));
        self.items.push(item);
    }
}

struct Reading {
    inner: Arc<Inner>,
    tree: sled::Tree,
    last: u64,
    indexed: u64,
}

impl Reading {
    fn piece(&self, after: Option<Cursor>) -> Result<Piece, StoreError> {
        let mut basket = Basket::default();
        let mut after = match after {
            Some(Cursor::Frame(seq)) => return self.waiting(basket, seq),
            Some(Cursor::Row(key)) => Some(key),
            None => None,
        };
        let begun =
            after.as_ref().and_then(|key| SECTIONS.iter().position(|it| key.first() == Some(&(*it as u8))));
        for table in SECTIONS.into_iter().skip(begun.unwrap_or(0)) {
            let prefix = Key::of(table).into_bytes();
            let end = behind(&prefix);
            let mut from = after.take().map_or(prefix, |key| [key.as_slice(), &[0]].concat());
            loop {
                let rows = self.tree.scan(&from, end.as_deref(), PIECE_ITEMS_MAX)?;
                let Some((last, _)) = rows.last() else { break };
                from = [last.as_slice(), &[0]].concat();
                for (key, value) in rows {
                    if let Some(item) = self.item(table, &key, value)? {
                        basket.put(item);
                    }
                    if basket.is_full() {
                        return Ok(Piece { items: basket.items, next: Some(Cursor::Row(key).text()) });
                    }
                }
            }
        }
        self.waiting(basket, self.indexed)
    }

    /// Deliveries that no index knew, from the log.
    fn waiting(&self, mut basket: Basket, after: u64) -> Result<Piece, StoreError> {
        for found in self.inner.reader.scan(after.saturating_add(1)) {
            let (_, found) = found.map_err(|error| StoreError::Corrupt(format!("the inbox log: {error}")))?;
            if found.seq > self.last {
                break;
            }
            if found.kind != DELIVERED {
                continue;
            }
            let opened = frame::open(&self.inner.keyring, &found.payload)?;
            let fact = KeptUnindexed { id: opened.id, received_at: opened.head.received_at };
            basket.put(Item { fact: Fact::Unindexed(fact), content: Some(opened.delivery) });
            if basket.is_full() {
                return Ok(Piece { items: basket.items, next: Some(Cursor::Frame(found.seq).text()) });
            }
        }
        Ok(Piece { items: basket.items, next: None })
    }

    fn item(&self, table: Table, key: &[u8], value: Vec<u8>) -> Result<Option<Item>, StoreError> {
        let fact = match table {
            Table::Organization => Fact::Organization(self.record(key, value)?),
            Table::Source => Fact::Source(self.record(key, value)?),
            Table::Connection => Fact::Connection(Box::new(self.record(key, value)?)),
            Table::Project => Fact::Project(Box::new(self.record(key, value)?)),
            Table::Member => Fact::Member(Box::new(self.record(key, value)?)),
            Table::Pipeline => Fact::Pipeline(Box::new(self.record(key, value)?)),
            Table::CheckIn => Fact::CheckIn(Box::new(self.record(key, value)?)),
            Table::Token => Fact::Token(self.tree.decode(key, value)?),
            Table::Meta if key == access::setup_code().as_bytes() => {
                Fact::SetupCode(self.tree.decode::<SetupCode>(key, value)?)
            }
            Table::Audit => Fact::Audit(self.tree.decode(key, value)?),
            Table::Body => Fact::Body(body(key, &value)?),
            Table::Delivery => return self.delivery(self.tree.decode(key, value)?).map(Some),
            _ => return Ok(None),
        };
        Ok(Some(fact.into()))
    }

    fn record<T: serde::de::DeserializeOwned>(
        &self,
        key: &[u8],
        value: Vec<u8>,
    ) -> Result<Versioned<T>, StoreError> {
        let row: Row<T> = self.tree.decode(key, value)?;
        Ok(Versioned { version: row.v, value: row.r })
    }

    fn delivery(&self, stored: Stored) -> Result<Item, StoreError> {
        let id = stored.record.id;
        let attempts = self.tree.with_prefix(&Key::of(Table::Attempt).id(id), ATTEMPTS_MAX)?;
        let attempts = attempts.into_iter().map(|(key, value)| self.tree.decode::<Attempt>(&key, value));
        let holder = |key: Key| self.tree.raw(key.as_bytes());
        let turn = match stored.record.due_at {
            Some(due) => holder(key::queue(due, &stored.lane))?.is_some_and(|it| it == id.as_bytes()),
            None => false,
        };
        let first = holder(Key::of(Table::Dedupe).bytes(&stored.dedupe))?;
        let kept = stored.position.seq >= self.inner.reader.floor();
        let content = kept.then(|| inbox::opened(&self.inner, stored.position).map(|opened| opened.delivery));
        let fact = KeptDelivery {
            aside: stored.lane == act::own_lane(id),
            turn,
            holds_key: first.as_deref().and_then(parse_first).is_some_and(|(first, _)| first == id),
            attempts: attempts.collect::<Result<_, _>>()?,
            blocks: stored.blocks,
            failing_since: stored.failing_since,
            attempts_forgiven: stored.attempts_forgiven,
            fence: stored.fence,
            record: stored.record,
        };
        Ok(Item { fact: Fact::Delivery(Box::new(fact.freed())), content: content.transpose()? })
    }
}

fn body(key: &[u8], value: &[u8]) -> Result<BodySeen, StoreError> {
    let hash = key.get(1..).and_then(|hash| hash.try_into().ok());
    let (hash, (first, at)) = hash
        .zip(parse_first(value))
        .ok_or_else(|| StoreError::Corrupt("a remembered body names no delivery".into()))?;
    Ok(BodySeen { hash, first, at })
}

#[async_trait]
impl Frozen for View {
    fn items_about(&self) -> u64 {
        self.items_about
    }

    async fn piece(&self, after: Option<&str>) -> Result<Piece, StoreError> {
        let strange = || StoreError::Unavailable("that is no cursor of this store".into());
        let after = after.map(|text| Cursor::parse(text).ok_or_else(strange)).transpose()?;
        let (inner, tree) = (Arc::clone(&self.inner), (*self.copy.db).clone());
        let reading = Reading { inner, tree, last: self.last, indexed: self.indexed };
        let read = tokio::task::spawn_blocking(move || reading.piece(after));
        read.await.unwrap_or_else(|error| Err(StoreError::Corrupt(format!("a read panicked: {error}"))))
    }
}
