//! New keys in place of old ones, while work goes on (security S48): both logs go on in new files, what the older files
//! hold is sealed anew in front of them, and then the older files go.
//!
//! What is written meanwhile is sealed with the newest keys, or sealed anew by the thread that writes it.

use futures_util::future::try_join_all;

use super::act::{Stored, purge, record};
use super::journal::Position;
use super::key::{self, Key, Table};
use super::redo::RedoCipher;
use super::snapshot;
use super::stage::{Rows, Stage};
use super::{Inner, SledStore, health, locked};
use crate::domain::{DeliveryId, Timestamp};
use crate::fault;
use crate::seal::{Next, Purpose};
use crate::store::keep::{Rotated, Tell, cannot_rotate, rotates_already};
use crate::store::{Inbox as _, StoreError, frame};

/// Deliveries sealed anew by one step.
const STEP: usize = 64;
/// Rows looked at by one step.
const ROWS_MAX: usize = 512;
/// Between two looks whether the indexer has come past the older files, and how many looks there are.
const LOOK_EVERY_MS: u64 = 200;
const LOOKS_MAX: u32 = 300;

/// A delivery whose bytes lie in the older files.
struct Old {
    id: DeliveryId,
    at: Position,
    payload: Vec<u8>,
}

/// Where the newer files begin, as long as the older ones are being copied.
fn floor_key() -> Key {
    key::meta("keys-floor")
}

impl SledStore {
    pub(super) async fn rotate(
        &self,
        prepare_only: bool,
        now: Timestamp,
        tell: &Tell,
    ) -> Result<Rotated, StoreError> {
        let Ok(_alone) = self.rotating.try_lock() else {
            return Err(rotates_already());
        };
        let mut sealed: u64 = 0;
        loop {
            let next =
                self.read(|inner| inner.keyring.next_step().map_err(|error| cannot_rotate(&error))).await?;
            match next {
                Next::Begin(file) => self.read(|_| file.add().map_err(|error| cannot_rotate(&error))).await?,
                _ if prepare_only => return Ok(Rotated::Prepared),
                Next::Renew(file) => {
                    let _ = fault::point("keys.before-renew");
                    self.read(move |inner| {
                        inner.keyring.renew_file(file, now.ms()).map_err(|error| cannot_rotate(&error))
                    })
                    .await?;
                }
                Next::Reseal => {
                    let _ = fault::point("keys.before-reseal");
                    sealed = sealed.saturating_add(self.reseal(tell).await?);
                    let _ = fault::point("keys.before-forget");
                    self.read(|inner| inner.keyring.forget_old_keys().map_err(|error| cannot_rotate(&error)))
                        .await?;
                    self.inner.committer.act(|stage| stage.delete(floor_key())).await?;
                }
                Next::Clear(file) => {
                    let _ = fault::point("keys.before-clear");
                    self.read(|_| file.clear().map_err(|error| cannot_rotate(&error))).await?;
                    return Ok(Rotated::Done { sealed });
                }
            }
        }
    }

    /// Seals everything anew that an older key has sealed. Gives back how many values.
    async fn reseal(&self, tell: &Tell) -> Result<u64, StoreError> {
        let floor = self.floor().await?;
        let mut sealed = self.credentials_anew().await?;
        self.indexed_up_to(floor).await?;
        // One pass finds all; a delivery that retention copied meanwhile is looked at once more.
        loop {
            let found = self.deliveries_anew(floor, tell).await?;
            sealed = sealed.saturating_add(found);
            if found == 0 {
                break;
            }
        }
        // A frozen view reads the older files: it is waited for.
        let _alone = self.inner.pins.write().await;
        self.inner.intake.drop_before(floor).await?;
        self.inner.committer.act(move |stage| purge::forget_files(stage, floor.saturating_sub(1))).await?;
        self.records_anew().await?;
        Ok(sealed)
    }

    /// The first frame of the inbox log that is surely sealed with the newest keys. It is remembered, with a key of
    /// theirs, so that a second try copies nothing again.
    async fn floor(&self) -> Result<u64, StoreError> {
        let newest = self.inner.keyring.newest_of("instance").unwrap_or(0);
        let known: Option<(u32, u64)> = self.read(|inner| inner.tree.read(&floor_key())).await?;
        if let Some((_, floor)) = known.filter(|(of, _)| *of == newest) {
            return Ok(floor);
        }
        let floor = self.inner.intake.roll().await?;
        self.inner.committer.act(move |stage| stage.put(floor_key(), &(newest, floor))).await?;
        Ok(floor)
    }

    async fn credentials_anew(&self) -> Result<u64, StoreError> {
        self.inner
            .committer
            .act(|stage| {
                let mut sealed: u64 = 0;
                for (row, value) in stage.with_prefix(&Key::of(Table::Credential), usize::MAX)? {
                    let kept = stage.decode(&row, value)?;
                    if crate::store::credential::renewed(stage.keyring(), &kept)?.is_some() {
                        record::put_credential(stage, kept)?;
                        sealed = sealed.saturating_add(1);
                    }
                }
                Ok(sealed)
            })
            .await
    }

    /// What no index knows yet has no row in which its new place could stand: it is waited for.
    async fn indexed_up_to(&self, floor: u64) -> Result<(), StoreError> {
        for _ in 0..LOOKS_MAX {
            let oldest = locked(&self.inner.backlog).oldest();
            if oldest.is_none_or(|pending| pending.position.seq >= floor) {
                return Ok(());
            }
            self.wait(LOOK_EVERY_MS).await;
        }
        let why = "deliveries wait to be indexed, which a running daemon does; \
                   start it, and run the same command again to go on";
        Err(StoreError::Unavailable(why.into()))
    }

    async fn deliveries_anew(&self, floor: u64, tell: &Tell) -> Result<u64, StoreError> {
        let figures = crate::store::Health::figures(self).await?;
        let all = figures.by_state.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count));
        let (mut from, mut seen, mut sealed) = (Some(Key::of(Table::Delivery).into_bytes()), 0_u64, 0_u64);
        while let Some(begin) = from.take() {
            let step = self.read(move |inner| step(inner, &begin, floor)).await?;
            seen = seen.saturating_add(step.rows);
            sealed = sealed.saturating_add(step.old.len() as u64);
            let copied = step.old.into_iter().map(|old| async move {
                Ok::<_, StoreError>((old.id, old.at, self.inner.intake.carry(old.payload).await?))
            });
            let moved = try_join_all(copied).await?;
            let _ = fault::point("keys.after-copy");
            if !moved.is_empty() {
                let point = move |stage: &mut Stage<'_>| {
                    moved.iter().try_for_each(|(id, from, to)| purge::renewed(stage, *id, *from, *to))
                };
                self.inner.committer.act(point).await?;
            }
            tell(seen.min(all), all);
            from = step.next;
        }
        Ok(sealed)
    }

    /// Has the records log begin anew behind a snapshot of all rows.
    async fn records_anew(&self) -> Result<(), StoreError> {
        self.inner.committer.roll().await?;
        let written = self.read(|inner| {
            let written = inner.write_snapshot(health::size(&inner.dir.join("db")))?;
            // It will be alone: it is read once before the log goes.
            let cipher = RedoCipher::new(inner.keyring.clone(), Purpose::Snapshot);
            snapshot::read(&written, &cipher, &mut |_| Ok(()))?;
            Ok(written)
        });
        let written = written.await?;
        self.inner.committer.drop_before(written.sequence.saturating_add(1)).await?;
        let dir = self.inner.dir.join("journal").join("records");
        self.read(move |_| {
            let older = snapshot::list(&dir)?.into_iter().filter(|one| one.sequence < written.sequence);
            older.for_each(|one| drop(std::fs::remove_file(one.path)));
            Ok(())
        })
        .await
    }
}

/// What one step has found.
struct Step {
    old: Vec<Old>,
    rows: u64,
    next: Option<Vec<u8>>,
}

fn step(inner: &Inner, begin: &[u8], floor: u64) -> Result<Step, StoreError> {
    let end = key::behind(Key::of(Table::Delivery).as_bytes());
    let (mut old, mut rows, mut next) = (Vec::new(), 0_u64, None);
    let kept_from = inner.reader.floor();
    for (row, value) in inner.tree.scan(begin, end.as_deref(), ROWS_MAX)? {
        let stored: Stored = inner.tree.decode(&row, value)?;
        rows = rows.saturating_add(1);
        let mut behind = row;
        behind.push(0);
        next = Some(behind);
        let at = stored.position;
        if at.seq == 0 || at.seq < kept_from || at.seq >= floor {
            continue;
        }
        let frame = inner.reader.read(at);
        let frame = frame.map_err(|error| StoreError::Corrupt(format!("the inbox log: {error}")))?;
        let payload = frame::renewed(&inner.keyring, &frame.payload)?.unwrap_or(frame.payload);
        old.push(Old { id: stored.record.id, at, payload });
        if old.len() >= STEP {
            break;
        }
    }
    Ok(Step { old, rows, next })
}
