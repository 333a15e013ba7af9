//! A copy of the rows beside the store, which becomes what they were at one instant.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::key::{Key, Table};
use super::super::stage::unreadable;
use super::super::status::Status;
use super::super::{Inner, checkpoint, health, redo};
use super::frozen::SECTIONS;
use crate::store::StoreError;

const PREFIX: &str = "frozen-";
/// Rows copied at once: the copy takes sled's lock for all databases of the process, so not for long.
const STEP: usize = 512;
const CACHE_BYTES: u64 = 8 << 20;
/// Kept free beside the copy.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// Whether rows of this table move. The others are made anew from these, or mean nothing elsewhere.
const fn is_copied(table: Table) -> bool {
    match table {
        Table::Meta
        | Table::Part
        | Table::Delivery
        | Table::External
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
        | Table::Scan
        | Table::Finding
        | Table::Token
        | Table::Credential
        | Table::Task => true,
        Table::LaneOf
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
        | Table::TokenByEnd
        | Table::TaskByDue
        | Table::TaskByTime
        | Table::ScanByNumber
        | Table::TokenOfMember
        | Table::AuditLink
        | Table::AuditHead
        | Table::Hold
        | Table::Reading
        | Table::KeptPage
        | Table::Approval
        | Table::Ticket => false,
    }
}

/// The copy. Its folder goes with it.
pub(super) struct Image {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    path: PathBuf,
    status: Arc<Status>,
}

impl Image {
    /// Its rows.
    pub(super) fn tree(&self) -> Result<&sled::Tree, StoreError> {
        self.db.as_deref().ok_or_else(|| self.status.failure())
    }

    fn apply(&self, batch: sled::Batch) -> Result<(), StoreError> {
        self.tree()?.apply_batch(batch).map_err(|error| unwritable(&error))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        // sled flushes once more at its end, which may hang on a full disk; nobody needs what it would write.
        self.status.measure();
        if self.status.failed() || self.status.free() < ROOM_BYTES_MIN / 2 {
            checkpoint::abandon(&db);
        }
        let path = self.path.clone();
        // Away from whoever lets go of a view: it takes a moment. What a killed process leaves, the next start removes.
        let _ = std::thread::Builder::new().name("frozen".into()).spawn(move || {
            drop(db);
            let _ = std::fs::remove_dir_all(path);
        });
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

/// Copies the rows that move, while they change; says how many items that is about.
pub(super) fn copy(inner: &Inner) -> Result<(Image, u64), StoreError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let needed = health::size(&inner.dir.join("db")).saturating_add(ROOM_BYTES_MIN);
    inner.status.measure();
    if inner.status.free() < needed {
        let why = format!("there is no room beside the store for a copy of its rows ({needed} bytes)");
        return Err(StoreError::Unavailable(why));
    }
    let path = inner.dir.join(format!("{PREFIX}{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let config = sled::Config::new().path(&path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let db = config.open().map_err(|error| unwritable(&error))?;
    let image = Image { db: Some(db), path, status: Arc::clone(&inner.status) };
    let mut items: u64 = 0;
    for table in Table::ALL.into_iter().filter(|table| is_copied(*table)) {
        let rows = copy_table(inner.tree.sled(), &image, table)?;
        if SECTIONS.contains(&table) {
            items = items.saturating_add(rows);
        }
    }
    Ok((image, items))
}

fn copy_table(from: &sled::Tree, to: &Image, table: Table) -> Result<u64, StoreError> {
    let prefix = Key::of(table);
    let mut rows: u64 = 0;
    let mut batch = sled::Batch::default();
    for row in from.scan_prefix(prefix.as_bytes()) {
        let (key, value) = row.map_err(|error| unreadable(&error))?;
        batch.insert(key, value);
        rows = rows.saturating_add(1);
        if rows.is_multiple_of(STEP as u64) {
            to.apply(std::mem::take(&mut batch))?;
        }
    }
    to.apply(batch)?;
    Ok(rows)
}

/// Lays the frames behind `mark`, up to `end`, over the copy: it is then what the rows were after the last of them.
pub(super) fn overlay(inner: &Inner, image: Image, mark: u64, end: u64) -> Result<Image, StoreError> {
    let copied: Vec<u8> =
        Table::ALL.into_iter().filter(|table| is_copied(*table)).map(|table| table as u8).collect();
    for frame in inner.records.scan(mark.saturating_add(1)) {
        let (_, frame) = frame.map_err(|error| StoreError::Corrupt(format!("the records log: {error}")))?;
        if frame.seq > end {
            break;
        }
        if frame.kind != redo::WRITES {
            continue;
        }
        let mut batch = sled::Batch::default();
        for (key, value) in redo::decode(&inner.cipher.open(&frame.payload)?)? {
            match value {
                _ if !key.first().is_some_and(|table| copied.contains(table)) => {}
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        image.apply(batch)?;
    }
    Ok(image)
}
