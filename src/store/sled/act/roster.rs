//! Readings of a forge's lists, and the removals that wait for a person.

use super::super::key::{self, Key};
use super::super::stage::{Rows, Stage};
use crate::domain::ConnectionKey;
use crate::domain::roster::{KeptPage, Reading, Subject};
use crate::store::StoreError;

/// Pages deleted by one act at most.
const PAGES_MAX: usize = 64;

/// Keeps the page, if it follows the last one.
pub(in super::super) fn keep_page(
    stage: &mut Stage<'_>,
    connection: &ConnectionKey,
    subject: Subject,
    reading: &Reading,
    page: &KeptPage,
) -> Result<bool, StoreError> {
    let key = key::reading(connection, subject);
    let last: Option<Reading> = stage.read(&key)?;
    let follows = match &last {
        Some(last) if last.generation == reading.generation => last.pages().saturating_add(1) == page.number,
        Some(last) => last.generation < reading.generation && page.number == 1,
        None => page.number == 1,
    };
    if !follows || reading.pages() != page.number {
        return Ok(false);
    }
    let place = key::kept_pages(connection, subject).number(reading.generation);
    stage.put(place.bytes(&page.number.to_be_bytes()), page)?;
    stage.put(key, reading)?;
    Ok(true)
}

pub(in super::super) fn kept_pages<R: Rows>(
    rows: &R,
    connection: &ConnectionKey,
    subject: Subject,
    generation: u64,
    after: u32,
    limit: usize,
) -> Result<Vec<KeptPage>, StoreError> {
    let prefix = key::kept_pages(connection, subject).number(generation);
    let end = key::behind(prefix.as_bytes());
    let from = prefix.bytes(&after.saturating_add(1).to_be_bytes());
    let found = rows.scan(from.as_bytes(), end.as_deref(), limit)?;
    found.into_iter().map(|(row, value)| rows.decode(&row, value)).collect()
}

/// The reading goes first: what is left of its pages then belongs to nothing.
pub(in super::super) fn forget(
    stage: &mut Stage<'_>,
    connection: &ConnectionKey,
    subject: Subject,
) -> Result<bool, StoreError> {
    stage.delete(key::reading(connection, subject))?;
    let found = stage.with_prefix(&key::kept_pages(connection, subject), PAGES_MAX)?;
    let is_last = found.len() < PAGES_MAX;
    for (row, _) in found {
        stage.delete(Key::raw(row))?;
    }
    Ok(is_last)
}
