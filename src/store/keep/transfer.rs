//! Copies everything from one store into an empty one; goes on where it was cut off; compares both at the end.

use super::{Frozen, ImportMark, Item, Keep, Tally};
use crate::store::StoreError;

/// Hears how many items are done, and about how many there are.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Why a move did not end.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// One of the stores refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The target holds something already.
    #[error("the target store is not empty; nothing was changed: name one that holds nothing")]
    NotEmpty,
    /// The target holds a part of something else.
    #[error(
        "the target store holds an unfinished import of something else, or the source has changed since that began; nothing was changed: empty the target and begin again"
    )]
    Other,
    /// After all was written, the target does not show what the source did.
    #[error("what was written is not what was read ({found} instead of {expected}); do not use the target")]
    Differs {
        /// What the source holds.
        expected: String,
        /// What the target shows.
        found: String,
    },
}

/// Copies everything of `from` into `to`. `name` names the source; the same name goes on where an earlier run was cut
/// off, as long as the source still shows the same items.
///
/// # Errors
/// When a store refuses, or the target is not empty. What is written so far stays and is gone on from the next time.
pub async fn transfer(
    from: &dyn Frozen,
    name: &str,
    to: &dyn Keep,
    progress: Progress<'_>,
) -> Result<Tally, MoveError> {
    let mark = to.import_mark().await?;
    let done = match &mark {
        Some(mark) if mark.from == name => mark.items,
        Some(_) => return Err(MoveError::Other),
        None if to.is_empty().await? => 0,
        None => return Err(MoveError::NotEmpty),
    };
    let mut tally = Tally::default();
    let mut cursor = None;
    loop {
        let piece = from.piece(cursor.as_deref()).await?;
        let fresh = pass(piece.items, done, mark.as_ref(), &mut tally)?;
        if !fresh.is_empty() {
            let mark = ImportMark { from: name.to_owned(), items: tally.items(), sum: tally.sum() };
            to.import(fresh, mark).await?;
        }
        progress(tally.items(), from.items_about().max(tally.items()));
        match piece.next {
            Some(next) => cursor = Some(next),
            None if tally.items() < done => return Err(MoveError::Other),
            None => return Ok(tally),
        }
    }
}

/// Counts all items, and gives back those that an earlier run has not written.
fn pass(
    items: Vec<Item>,
    done: u64,
    mark: Option<&ImportMark>,
    tally: &mut Tally,
) -> Result<Vec<Item>, MoveError> {
    let mut fresh = Vec::new();
    for item in items {
        tally.add(&item);
        if tally.items() > done {
            fresh.push(item);
        } else if tally.items() == done && mark.is_some_and(|mark| mark.sum != tally.sum()) {
            return Err(MoveError::Other);
        }
    }
    Ok(fresh)
}

/// Reads everything back out of `to`, compares it with what was to be written, and ends the import.
///
/// # Errors
/// [`MoveError::Differs`], and whatever the store refuses. The import stays unfinished then.
pub async fn compare(expected: &Tally, to: &dyn Keep, progress: Progress<'_>) -> Result<(), MoveError> {
    let view = to.freeze().await?;
    let mut found = Tally::default();
    let mut cursor = None;
    loop {
        let piece = view.piece(cursor.as_deref()).await?;
        piece.items.iter().for_each(|item| found.add(item));
        progress(found.items(), expected.items().max(found.items()));
        match piece.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    if found != *expected {
        return Err(MoveError::Differs { expected: expected.sentence(), found: found.sentence() });
    }
    drop(view);
    to.end_import().await?;
    Ok(())
}
