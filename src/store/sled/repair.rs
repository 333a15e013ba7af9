//! `store verify --accept-loss`: the operator's word that what cannot be read may go, so that the rest can be served.
//!
//! Nothing is guessed: what can be read stays what it was, what cannot is named one by one, in the answer and in the
//! audit log, and the damaged files are kept beside the store.

use std::ops::RangeInclusive;
use std::path::Path;

use super::act::{index, loss};
use super::digest::Digest;
use super::journal::{Mended, mend};
use super::key::{Key, Table};
use super::stage::Rows;
use super::{SledStore, checkpoint, open, recovery};
use crate::domain::Timestamp;
use crate::store::{Health as _, OpenError, StoreError};

/// What the database knows of both logs.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// The first frame of the inbox log that was kept, and the last one that has its rows.
    kept_from: u64,
    indexed: u64,
    /// The last frame of the records log that it was given.
    applied: u64,
    /// It holds everything up to there, as its checksum says.
    is_whole: bool,
}

/// Lets go of what cannot be read in the closed store in `dir`. Gives back what that was, a sentence each; none when
/// nothing is damaged. Blocking; for a thread of a runtime that may block.
///
/// # Errors
/// When the store is held by another process, is of a newer version, or has lost more than can be let go.
pub fn accept_loss(dir: &Path, key_file: &Path, now: Timestamp) -> Result<Vec<String>, OpenError> {
    let lock = open::lock(dir)?;
    // Without the right key nothing could be told from damage.
    open::keys(dir, key_file, now)?;
    let known = known(dir);
    let mended = |name: &str, known: RangeInclusive<u64>| {
        let log = dir.join("journal").join(name);
        let aside = log.with_extension(format!("lost-{}", now.ms()));
        mend(&log, &aside, known).map_err(|error| open::from_journal(name, &error))
    };
    let inbox = mended("inbox", known.kept_from..=known.indexed)?;
    let records = mended("records", 1..=known.applied.max(checkpoint::marked(dir).unwrap_or(0)))?;
    drop(lock);
    let store = open::open(dir, key_file, now)?;
    let runtime = tokio::runtime::Handle::current();
    let told = runtime.block_on(store.accept(inbox.as_ref(), records.as_ref(), known, now));
    let closed = runtime.block_on(store.close());
    let told =
        told.and_then(|told| closed.map(|()| told)).map_err(|error| OpenError::Io(error.to_string()))?;
    drop(store);
    if records.is_some() {
        // Lost frames cannot be replayed: from now on the snapshot has what they wrote.
        super::compact(dir, key_file, now)?;
    }
    Ok(told)
}

fn known(dir: &Path) -> Known {
    let path = dir.join("db");
    if !path.exists() {
        return Known::default();
    }
    let Ok(db) = recovery::open_sled(&path) else { return Known::default() };
    let digest = Digest::stored(&db).ok().flatten().unwrap_or_default();
    let is_whole = Digest::counted(&db, digest.sequence).is_ok_and(|counted| counted == digest);
    let indexed = db.read::<u64>(&index::watermark()).ok().flatten().unwrap_or(0);
    let files = db.with_prefix(&Key::of(Table::Carried), 1).unwrap_or_default();
    let first = files.first().and_then(|(key, _)| key.get(1..)?.try_into().ok()).map(u64::from_be_bytes);
    Known { kept_from: first.unwrap_or(1), indexed, applied: digest.sequence, is_whole }
}

fn frames(lost: &[RangeInclusive<u64>]) -> String {
    let one = |range: &RangeInclusive<u64>| match (range.start(), range.end()) {
        (start, end) if start == end => start.to_string(),
        (start, end) => format!("{start} to {end}"),
    };
    lost.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// How many of the frames lie behind this one.
fn behind(lost: &[RangeInclusive<u64>], last: u64) -> u64 {
    lost.iter().fold(0, |sum, range| {
        let from = (*range.start()).max(last.saturating_add(1));
        sum.saturating_add(range.end().saturating_add(1).saturating_sub(from))
    })
}

impl SledStore {
    async fn accept(
        &self,
        inbox: Option<&Mended>,
        records: Option<&Mended>,
        known: Known,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let mut told = Vec::new();
        if let Some(inbox) = inbox {
            told.extend(inbox.found.iter().map(|damage| format!("journal/inbox: {damage}")));
            told.extend(self.lose_deliveries(inbox, known, now).await?);
            told.push(format!("the damaged files are kept in {}", inbox.aside.display()));
        }
        if let Some(records) = records {
            told.extend(records.found.iter().map(|damage| format!("journal/records: {damage}")));
            let held = if known.is_whole { known.applied } else { 0 };
            told.push(match behind(&records.lost, held) {
                0 => "the database holds everything that the damaged frames had written: no record is lost".into(),
                count => format!(
                    "{count} groups of changes to records are lost (frames {}): a record may be as it was before them",
                    frames(&records.lost)
                ),
            });
            told.push(format!("the damaged files are kept in {}", records.aside.display()));
        }
        for sentence in told.clone() {
            self.inner.committer.act(move |stage| loss::note(stage, &sentence, now)).await?;
        }
        Ok(told)
    }

    async fn lose_deliveries(
        &self,
        inbox: &Mended,
        known: Known,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let (mut bytes, mut unfinished) = (0_u64, 0_u64);
        let mut from = Key::of(Table::Delivery);
        loop {
            let lost = inbox.lost.clone();
            let act = move |stage: &mut super::stage::Stage<'_>| {
                let mut from = from;
                loss::let_go(stage, &lost, &mut from, now).map(|done| (done, from))
            };
            let (done, next) = self.inner.committer.act(act).await?;
            from = next;
            bytes = bytes.saturating_add(done.bytes);
            unfinished = unfinished.saturating_add(done.unfinished);
            if done.is_last {
                break;
            }
        }
        let unknown = behind(&inbox.lost, known.indexed);
        let mut told = Vec::new();
        if !inbox.lost.is_empty() {
            told.push(format!("frames {} of the inbox log are lost", frames(&inbox.lost)));
        }
        if !inbox.is_end_known {
            told.push(
                "how far the inbox log went is not known: ask the forges to send again what they sent last"
                    .into(),
            );
        }
        if bytes > 0 {
            told.push(format!(
                "{bytes} deliveries have lost their bytes; {unfinished} of them were not finished and are dead letters now, with the reason lost"
            ));
        }
        if unknown > 0 {
            told.push(format!(
                "{unknown} deliveries were acknowledged and are lost whole: ask the forges to send again what they sent last"
            ));
        }
        if bytes == 0 && unknown == 0 {
            told.push("no delivery is lost with them".into());
        }
        Ok(told)
    }
}
