//! [`Inbox`] on the embedded store.

use async_trait::async_trait;

use super::act::index::{Facts, ToIndex};
use super::act::settle::Ended;
use super::act::{self, Stored};
use super::dedupe::Dedupe;
use super::intake::{Entry, Taken};
use super::key::{Key, Table};
use super::locked;
use super::stage::Rows;
use super::{Inner, SledStore, list};
use crate::domain::delivery::{Attempt, Delivery, DeliveryRecord};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::{
    Accepted, Claim, DeliveryFilter, Inbox, Indexed, Outcome, Page, Paged, Purged, Retention, Settled,
    StoreError, Unindexed, frame,
};

/// Bodies unfolded for one round of the indexer, at most (but always one).
const UNFOLDED_BYTES_MAX: u64 = 16 << 20;
/// Deliveries woken by one act.
const WOKEN_MAX: usize = 128;

pub(super) fn opened(inner: &Inner, position: super::journal::Position) -> Result<frame::Opened, StoreError> {
    let frame = inner.reader.read(position).map_err(|error| {
        let why = format!("the inbox log: {error}");
        if error.is_passing() { StoreError::Unavailable(why) } else { StoreError::Corrupt(why) }
    })?;
    frame::open(&inner.keyring, &frame.payload)
}

/// The bytes of a delivery. Those that were copied forward since its row was read lie at another place by now.
fn bytes_of(inner: &Inner, stored: &Stored) -> Result<Delivery, StoreError> {
    let found = opened(inner, stored.position);
    let now = match &found {
        Ok(_) => None,
        Err(_) => act::load(&inner.tree, stored.record.id)?.filter(|now| now.position != stored.position),
    };
    Ok(match now {
        Some(now) => opened(inner, now.position)?,
        None => found?,
    }
    .delivery)
}

fn claim_of(inner: &Inner, stored: Stored) -> Result<Claim, StoreError> {
    let delivery = bytes_of(inner, &stored)?;
    let tries = stored.record.attempts.saturating_sub(stored.attempts_forgiven);
    Ok(Claim { delivery, record: stored.record, tries, fence: stored.fence })
}

impl SledStore {
    async fn note_copy(
        &self,
        dedupe: Dedupe,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        if locked(&self.inner.backlog).count_copy(&dedupe.whole(), id) {
            return Ok(Accepted::Duplicate(id));
        }
        let accepted = self.inner.committer.act(move |stage| act::replay::note_copy(stage, id, now)).await?;
        if matches!(accepted, Accepted::Woken(_)) {
            self.work.notify_waiters();
        }
        Ok(accepted)
    }

    /// Copies what is still needed out of old log files, then deletes them.
    async fn drop_old_files(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        // A frozen view still reads them; there is always a next round.
        let Ok(_alone) = self.inner.pins.try_write() else { return Ok(0) };
        let files = self.read(move |inner| act::purge::old_files(&inner.tree, before)).await?;
        let Some(last) = files.last().copied() else { return Ok(0) };
        let Some(end) = self.read(move |inner| Ok(inner.reader.file_after(last))).await? else {
            return Ok(0);
        };
        for (id, position) in self.read(move |inner| act::purge::still_needed(&inner.tree, last)).await? {
            let payload = self.read(move |inner| {
                let frame = inner.reader.read(position);
                Ok(frame.map_err(|error| StoreError::Corrupt(format!("the inbox log: {error}")))?.payload)
            });
            let to = self.inner.intake.carry(payload.await?).await?;
            self.inner.committer.act(move |stage| act::purge::moved(stage, id, to, now)).await?;
        }
        let bytes = self.inner.intake.drop_before(end).await?;
        self.inner.committer.act(move |stage| act::purge::forget_files(stage, last)).await?;
        Ok(bytes)
    }
}

#[async_trait]
impl Inbox for SledStore {
    async fn accept(&self, delivery: Delivery, now: Timestamp) -> Result<Accepted, StoreError> {
        let id = self.ids.next(now);
        let dedupe = Dedupe::of(&delivery);
        let payload = frame::close(&self.inner.keyring, id, &delivery, now)?;
        let same_within_ms = delivery.envelope().same_within_ms;
        match self.inner.intake.take(Entry { id, dedupe, received_at: now, same_within_ms, payload }).await? {
            Taken::New => {
                self.work.notify_waiters();
                Ok(Accepted::New(id))
            }
            Taken::Known(first) => self.note_copy(dedupe, first, now).await,
        }
    }

    async fn unindexed(&self, limit: usize) -> Result<Vec<Unindexed>, StoreError> {
        self.read(move |inner| {
            let pending = locked(&inner.backlog).first(limit);
            let mut found = Vec::new();
            let mut facts = Vec::new();
            let mut bytes: u64 = 0;
            for one in pending {
                let opened = opened(inner, one.position)?;
                bytes = bytes.saturating_add(opened.delivery.body().len() as u64);
                facts.push((one.id, Facts::of(&opened.delivery)));
                let (id, received_at, delivery) = (one.id, one.received_at, opened.delivery);
                let deaths = inner.reading.deaths(one.position.seq);
                found.push(Unindexed { id, received_at, delivery, deaths });
                if bytes >= UNFOLDED_BYTES_MAX {
                    break;
                }
            }
            inner.read_ahead.keep(facts);
            Ok(found)
        })
        .await
    }

    async fn reading(&self, ids: &[DeliveryId]) -> Result<(), StoreError> {
        let Some(id) = ids.first() else { return self.inner.reading.end() };
        let pending = locked(&self.inner.backlog).first(ids.len());
        match (pending.first(), pending.last()) {
            (Some(first), Some(last)) if first.id == *id => {
                self.inner.reading.begin(first.position.seq, last.position.seq)
            }
            _ => Err(StoreError::Unavailable("deliveries are read in the order of the log".into())),
        }
    }

    async fn index(&self, rows: Vec<Indexed>, now: Timestamp) -> Result<(), StoreError> {
        let ids: Vec<DeliveryId> = rows.iter().map(|row| row.id).collect();
        let all = self
            .read(move |inner| {
                let pending = locked(&inner.backlog).first(rows.len());
                pending
                    .into_iter()
                    .zip(rows)
                    .map(|(pending, row)| {
                        if pending.id != row.id {
                            return Err(StoreError::Unavailable(
                                "deliveries are indexed in the order of the log".into(),
                            ));
                        }
                        let copies = locked(&inner.backlog).copies(pending.id);
                        let facts = match inner.read_ahead.take(pending.id) {
                            Some(facts) => facts,
                            None => Facts::of(&opened(inner, pending.position)?.delivery),
                        };
                        Ok(ToIndex { row, pending, facts, copies })
                    })
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        self.inner.committer.act(move |stage| act::index::index(stage, all, now)).await?;
        locked(&self.inner.backlog).forget(&ids);
        self.work.notify_waiters();
        Ok(())
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let room = self.inner.suspects.room(limit, now);
        let none = room == 0 || act::claim::due(&self.inner.tree, now, 1)?.is_empty();
        if none && !self.inner.suspects.are_unknown() {
            return Ok(Vec::new());
        }
        // What a process before this one held is free at once: with the lock in our hands, it is gone.
        let first = self.inner.suspects.shall_be_found();
        let claimed = self.inner.committer.act(move |stage| {
            let freed = if first { act::claim::free_all(stage, now)? } else { Vec::new() };
            let room = if freed.is_empty() { room } else { room.min(1) };
            Ok((freed, act::claim::claim(stage, now, lease_ms, room)?))
        });
        let (freed, claimed) = claimed.await?;
        self.inner.suspects.add(freed);
        for one in &claimed {
            self.inner.suspects.given(one.record.id, now.plus_ms(lease_ms));
        }
        self.read(move |inner| claimed.into_iter().map(|stored| claim_of(inner, stored)).collect()).await
    }

    async fn extend_claim(&self, claim: &Claim, until: Timestamp) -> Result<bool, StoreError> {
        let (id, fence) = (claim.record.id, claim.fence);
        let extended =
            self.inner.committer.act(move |stage| act::claim::extend(stage, id, fence, until)).await;
        self.inner.suspects.extended(id, until);
        extended
    }

    async fn settle_delivery(
        &self,
        claim: Claim,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let (id, fence) = (claim.record.id, claim.fence);
        let ended = self
            .inner
            .committer
            .act(move |stage| act::settle::settle(stage, id, fence, outcome, now))
            .await?;
        if !matches!(ended, Ended::Changed) {
            self.inner.suspects.ended(id);
        }
        Ok(match ended {
            Ended::Done => Settled::Done,
            Ended::LeaseLost => Settled::LeaseLost,
            Ended::Changed => Settled::Changed(Box::new(claim)),
        })
    }

    async fn replay(&self, id: DeliveryId, actor: &str, now: Timestamp) -> Result<bool, StoreError> {
        if self.delivery_body(id).await?.is_none() {
            return Ok(false);
        }
        let actor = actor.to_owned();
        let done = self.inner.committer.act(move |stage| act::replay::replay(stage, id, &actor, now)).await?;
        self.work.notify_waiters();
        Ok(done)
    }

    async fn discard(&self, id: DeliveryId, actor: &str, now: Timestamp) -> Result<bool, StoreError> {
        let actor = actor.to_owned();
        self.inner.committer.act(move |stage| act::replay::discard(stage, id, &actor, now)).await
    }

    async fn wake_unbound(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut all: u64 = 0;
        loop {
            let woken = self
                .inner
                .committer
                .act(move |stage| act::replay::wake_unbound(stage, WOKEN_MAX, now))
                .await?;
            all = all.saturating_add(woken);
            if woken == 0 {
                self.work.notify_waiters();
                return Ok(all);
            }
        }
    }

    async fn purge(&self, keep: Retention, now: Timestamp) -> Result<Purged, StoreError> {
        let cursors = locked(&self.purge).clone();
        let before = now.plus_ms(keep.metadata_ms.saturating_neg());
        let (records, cursors) = self
            .inner
            .committer
            .act(move |stage| {
                let mut cursors = cursors;
                let records = act::purge::records(stage, before, &mut cursors.records)?;
                let bodies = act::purge::bodies(stage, before, &mut cursors.bodies)?;
                let jobs = act::purge::jobs(stage, before, now)?;
                Ok((records.saturating_add(bodies).saturating_add(jobs), cursors))
            })
            .await?;
        *locked(&self.purge) = cursors;
        let bytes = self.drop_old_files(now.plus_ms(keep.payload_ms.saturating_neg()), now).await?;
        Ok(Purged { records, bytes })
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        self.read(move |inner| Ok(act::load(&inner.tree, id)?.map(|stored| stored.record))).await
    }

    async fn delivery_body(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.read(move |inner| {
            let Some(stored) = act::load(&inner.tree, id)? else { return Ok(None) };
            if stored.position.seq < inner.reader.floor() {
                return Ok(None);
            }
            bytes_of(inner, &stored).map(Some)
        })
        .await
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        self.read(move |inner| {
            let latest = act::load(&inner.tree, id)?.and_then(|stored| stored.attempt);
            let rows = inner.tree.with_prefix(&Key::of(Table::Attempt).id(id), 1024)?;
            let earlier = rows.into_iter().map(|(key, value)| inner.tree.decode(&key, value));
            earlier.chain(latest.map(Ok)).collect()
        })
        .await
    }

    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &Page,
    ) -> Result<Paged<DeliveryRecord>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |inner| list::deliveries(&inner.tree, &filter, &page)).await
    }

    async fn wait(&self, at_most_ms: u64) {
        let _ =
            tokio::time::timeout(std::time::Duration::from_millis(at_most_ms), self.work.notified()).await;
    }
}
