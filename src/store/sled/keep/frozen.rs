//! All rows as they were at one instant: a copy beside the store, made while writing goes on.
//!
//! Rows are copied first, then the frames written meanwhile are laid over the copy: a frame says what a row is, not how
//! it changed, so the copy becomes exactly what the rows were after the last of these frames.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OwnedRwLockReadGuard;

use super::super::act::record::Row;
use super::super::act::{Stored, access, index};
use super::super::dedupe::Dedupe;
use super::super::intake::DELIVERED;
use super::super::key::{self, Key, Table, behind};
use super::super::locked;
use super::super::stage::Rows;
use super::super::{Inner, SledStore, inbox};
use super::image::{Image, copy, overlay};
use crate::domain::delivery::Attempt;
use crate::domain::known::Versioned;
use crate::domain::task::Task;
use crate::store::keep::{
    BodySeen, Fact, Frozen, Item, KeptDelivery, KeptUnindexed, PIECE_BYTES_MAX, PIECE_ITEMS_MAX, Piece,
    SetupCode,
};
use crate::store::{StoreError, credential, frame};

const ATTEMPTS_MAX: usize = 1024;

/// The tables whose rows are items, in the order in which they move; after them the deliveries without an index.
pub(super) const SECTIONS: [Table; 16] = [
    Table::Organization,
    Table::Source,
    Table::Connection,
    Table::Project,
    Table::Member,
    Table::Pipeline,
    Table::CheckIn,
    Table::Scan,
    Table::Finding,
    Table::Token,
    Table::Credential,
    Table::Task,
    Table::Meta,
    Table::Audit,
    Table::Body,
    Table::Delivery,
];

/// A frozen view.
pub(super) struct View {
    inner: Arc<Inner>,
    image: Image,
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

impl SledStore {
    /// Everything as it is now.
    pub(super) async fn view(&self) -> Result<View, StoreError> {
        let pin = Arc::clone(&self.inner.pins).read_owned().await;
        // Read before the first row: every frame behind it is laid over the copy.
        let mark = self.read(|inner| locked(&inner.mover).run()).await?;
        let (image, items_about) = self.read(copy).await?;
        // When this act's turn comes, every group that a copied row may be from has been counted.
        self.inner.committer.act(|_| Ok(())).await?;
        let (end, _) = self.inner.status.records();
        let image = self.read(move |inner| overlay(inner, image, mark, end)).await?;
        let last = self.inner.reader.last_seq();
        let indexed = image.tree()?.read::<u64>(&index::watermark())?.unwrap_or(0);
        let items_about = items_about.saturating_add(last.saturating_sub(indexed));
        let inner = Arc::clone(&self.inner);
        Ok(View { inner, image, last, indexed, items_about, _pin: pin })
    }
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
            let fact = KeptUnindexed { id: opened.id, received_at: opened.received_at };
            basket.put(Item { content: Some(opened.delivery), ..Fact::Unindexed(fact).into() });
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
            Table::Scan => Fact::Scan(Box::new(self.record(key, value)?)),
            Table::Finding => Fact::Finding(Box::new(self.record(key, value)?)),
            Table::Token => Fact::Token(self.tree.decode(key, value)?),
            Table::Credential => {
                let opened = credential::open(&self.inner.keyring, self.tree.decode(key, value)?)?;
                let secret = Some(opened.secret);
                return Ok(Some(Item { fact: Fact::Credential(opened.about), content: None, secret }));
            }
            Table::Task => Fact::Task(Box::new(self.tree.decode::<Task>(key, value)?.freed())),
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
            Some(due) => holder(key::queue(due, &stored.lane()))?.is_some_and(|it| it == id.as_bytes()),
            None => false,
        };
        let record = &stored.record;
        let holder = Dedupe::new(&record.source, &record.hook_id, &record.external_id).find(&self.tree)?;
        let kept = stored.position.seq >= self.inner.reader.floor();
        let content = kept.then(|| inbox::opened(&self.inner, stored.position).map(|opened| opened.delivery));
        let fact = KeptDelivery {
            aside: stored.is_aside(),
            turn,
            holds_key: holder.is_some_and(|(holder, _)| holder == id),
            attempts: attempts.chain(stored.attempt.map(Ok)).collect::<Result<_, _>>()?,
            blocks: stored.blocks,
            failing_since: stored.failing_since,
            attempts_forgiven: stored.attempts_forgiven,
            fence: stored.fence,
            record: stored.record,
        };
        Ok(Item { content: content.transpose()?, ..Fact::Delivery(Box::new(fact.freed())).into() })
    }
}

fn body(key: &[u8], value: &[u8]) -> Result<BodySeen, StoreError> {
    let hash = key.get(1..).and_then(|hash| hash.try_into().ok());
    let (hash, (first, at)) = hash
        .zip(index::parse_first(value))
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
        let (inner, tree) = (Arc::clone(&self.inner), self.image.tree()?.clone());
        let reading = Reading { inner, tree, last: self.last, indexed: self.indexed };
        let read = tokio::task::spawn_blocking(move || reading.piece(after));
        read.await.unwrap_or_else(|error| Err(StoreError::Corrupt(format!("a read panicked: {error}"))))
    }
}
