//! [`Inbox`] on PostgreSQL.

use async_trait::async_trait;
use uuid::Uuid;

use super::act::{Answer, act};
use super::claim::{Given, Taken};
use super::settle::{Ended, Held};
use super::{PostgresStore, claim, delivery, index, intake, keys, purge, reading, replay, settle};
use crate::domain::delivery::{Attempt, Delivery, DeliveryRecord};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::{
    Accepted, Claim, DeliveryFilter, Inbox, Indexed, Outcome, Page, Paged, Purged, Retention, Settled,
    StoreError, Unindexed, frame,
};
use crate::telemetry::{Fault, report};

/// Why a delivery is dead whose bytes do not open.
const DAMAGED: &str = "damaged";
/// Deliveries woken by one act.
const WOKEN_MAX: i64 = 128;

impl PostgresStore {
    async fn unseal(&self, frames: Vec<Vec<u8>>) -> Result<Vec<Result<Delivery, StoreError>>, StoreError> {
        keys::unseal(&self.pool, &self.keyring, frames).await
    }

    fn entry(
        &self,
        id: DeliveryId,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<intake::Entry, StoreError> {
        Ok(intake::Entry {
            id,
            source: delivery.source().clone(),
            dedupe: Uuid::from_bytes(frame::key_of(delivery)),
            received_at: now,
            body_hash: Uuid::from_bytes(frame::body_hash(delivery)),
            external_id: delivery.envelope().external_id.clone(),
            hook_id: delivery.envelope().hook_id.clone(),
            secret_slot: delivery.envelope().secret_slot,
            body_bytes: delivery.body().len(),
            same_within_ms: delivery.envelope().same_within_ms,
            frame: frame::close(&self.keyring, id, delivery, now)?,
        })
    }

    /// A claim whose bytes do not open is given up at once: it must not hold the others, nor be tried for ever.
    async fn give_up(&self, taken: &Taken, why: &StoreError, now: Timestamp) -> Result<(), StoreError> {
        report!(
            Fault::DeliveryDead,
            id = %taken.record.id,
            reason = DAMAGED,
            error = %why,
            "a delivery's bytes cannot be read; it is given up, everything else goes on"
        );
        let held = Held { id: taken.record.id, fence: taken.fence };
        let outcome = Outcome::Park { reason: DAMAGED.into(), error: why.to_string() };
        act(&self.pool, move |connection| Box::pin(settle::settle(connection, held, outcome, now))).await?;
        Ok(())
    }
}

#[async_trait]
impl Inbox for PostgresStore {
    async fn accept(&self, delivery: Delivery, now: Timestamp) -> Result<Accepted, StoreError> {
        let id = self.ids.next(now);
        keys::ensure(&self.pool, &self.keyring, &frame::scope_of(delivery.source()), now).await?;
        let mut taken = self.intake.take(self.entry(id, &delivery, now)?).await?;
        if taken == intake::Taken::Outdated {
            // Another process has put newer keys in force.
            keys::refresh(&self.pool, &self.keyring).await?;
            taken = self.intake.take(self.entry(id, &delivery, now)?).await?;
        }
        let accepted = match taken {
            intake::Taken::New => Accepted::New(id),
            intake::Taken::Known(first) => {
                act(&self.pool, move |connection| {
                    Box::pin(
                        async move { Ok(Answer::Keep(replay::note_copy(connection, first, now).await?)) },
                    )
                })
                .await?
            }
            intake::Taken::Outdated => {
                return Err(StoreError::Unavailable("the keys were rotated this moment".into()));
            }
        };
        if !matches!(accepted, Accepted::Duplicate(_)) {
            self.wake.tell();
        }
        Ok(accepted)
    }

    async fn unindexed(&self, limit: usize) -> Result<Vec<Unindexed>, StoreError> {
        reading::bury(&self.pool, self.me).await?;
        let waiting = index::waiting(&mut *self.pool.acquire().await?, limit).await?;
        let (known, frames): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|one| ((one.id, one.received_at, one.deaths), one.frame)).unzip();
        let opened = self.unseal(frames).await?;
        known
            .into_iter()
            .zip(opened)
            .map(|((id, received_at, deaths), delivery)| {
                Ok(Unindexed { id, received_at, delivery: delivery?, deaths })
            })
            .collect()
    }

    async fn reading(&self, ids: &[DeliveryId]) -> Result<(), StoreError> {
        reading::note(&self.pool, self.me, ids).await
    }

    async fn index(&self, rows: Vec<Indexed>, now: Timestamp) -> Result<(), StoreError> {
        act(&self.pool, move |connection| {
            Box::pin(async move { index::index(connection, rows, now).await.map(Answer::Keep) })
        })
        .await?;
        self.wake.tell();
        Ok(())
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let until = now.plus_ms(lease_ms);
        let hands = self.out.hands(now);
        let Given { mut taken, alone } = act(&self.pool, move |connection| {
            Box::pin(
                async move { claim::claim(connection, now, until, limit, hands).await.map(Answer::Keep) },
            )
        })
        .await?;
        for one in &taken {
            self.out.given(one.record.id, until, alone);
        }
        let frames = taken.iter_mut().map(|one| one.frame.take().unwrap_or_default()).collect();
        let opened = self.unseal(frames).await?;
        let mut claims = Vec::with_capacity(taken.len());
        for (taken, delivery) in taken.into_iter().zip(opened) {
            match delivery {
                Ok(delivery) => {
                    let Taken { record, tries, fence, .. } = taken;
                    claims.push(Claim { delivery, record, tries, fence });
                }
                Err(why) => {
                    self.out.ended(taken.record.id);
                    self.give_up(&taken, &why, now).await?;
                }
            }
        }
        Ok(claims)
    }

    async fn extend_claim(&self, claim: &Claim, until: Timestamp) -> Result<bool, StoreError> {
        let (id, fence) = (claim.record.id, claim.fence);
        let extended = act(&self.pool, move |connection| {
            Box::pin(async move { claim::extend(connection, id, fence, until).await.map(Answer::Keep) })
        })
        .await?;
        self.out.extended(id, until);
        Ok(extended)
    }

    async fn settle_delivery(
        &self,
        claim: Claim,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let held = Held { id: claim.record.id, fence: claim.fence };
        let ended =
            act(&self.pool, move |connection| Box::pin(settle::settle(connection, held, outcome, now)))
                .await?;
        if !matches!(ended, Ended::Changed) {
            self.out.ended(held.id);
        }
        Ok(match ended {
            Ended::Done => Settled::Done,
            Ended::LeaseLost => Settled::LeaseLost,
            Ended::Changed => Settled::Changed(Box::new(claim)),
        })
    }

    async fn replay(&self, id: DeliveryId, actor: &str, now: Timestamp) -> Result<bool, StoreError> {
        let actor = actor.to_owned();
        let done = act(&self.pool, move |connection| {
            Box::pin(async move { replay::replay(connection, id, &actor, now).await.map(Answer::Keep) })
        })
        .await?;
        self.wake.tell();
        Ok(done)
    }

    async fn discard(&self, id: DeliveryId, actor: &str, now: Timestamp) -> Result<bool, StoreError> {
        let actor = actor.to_owned();
        act(&self.pool, move |connection| {
            Box::pin(async move { replay::discard(connection, id, &actor, now).await.map(Answer::Keep) })
        })
        .await
    }

    async fn wake_unbound(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut all: u64 = 0;
        loop {
            let woken = act(&self.pool, move |connection| {
                Box::pin(
                    async move { replay::wake_unbound(connection, WOKEN_MAX, now).await.map(Answer::Keep) },
                )
            })
            .await?;
            all = all.saturating_add(woken);
            if woken == 0 {
                self.wake.tell();
                return Ok(all);
            }
        }
    }

    async fn purge(&self, keep: Retention, now: Timestamp) -> Result<Purged, StoreError> {
        let payload_before = now.plus_ms(keep.payload_ms.saturating_neg());
        let metadata_before = now.plus_ms(keep.metadata_ms.saturating_neg());
        act(&self.pool, move |connection| {
            Box::pin(async move {
                let jobs = purge::purge_jobs(connection, metadata_before, now).await?;
                let purged = purge::purge(connection, payload_before, metadata_before).await?;
                Ok(Answer::Keep(Purged { records: purged.records.saturating_add(jobs), ..purged }))
            })
        })
        .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        delivery::one(&self.pool, id).await
    }

    async fn delivery_body(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        if delivery::one(&self.pool, id).await?.is_none() {
            return Ok(None);
        }
        let frame = delivery::frame(&mut *self.pool.acquire().await?, id).await?;
        let Some(frame) = frame else { return Ok(None) };
        self.unseal(vec![frame]).await?.pop().transpose()
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        delivery::attempts(&self.pool, id).await
    }

    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &Page,
    ) -> Result<Paged<DeliveryRecord>, StoreError> {
        delivery::list(&self.pool, filter, page).await
    }

    async fn wait(&self, at_most_ms: u64) {
        self.wake.wait(at_most_ms).await;
    }
}
