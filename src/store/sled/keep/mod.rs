//! [`Keep`] on the embedded store.

mod frozen;
mod image;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use secrecy::SecretString;

use super::act::import;
use super::dedupe::Dedupe;
use super::intake::Entry;
use super::journal::Position;
use super::locked;
use super::stage::Rows;
use super::{Inner, SledStore};
use crate::domain::credential::{CredentialAbout, SealedCredential};
use crate::domain::delivery::Delivery;
use crate::domain::{DeliveryId, Timestamp};
use crate::seal::Keyring;
use crate::store::keep::{Fact, Frozen, ImportMark, Item, Keep, Rotated, Tell};
use crate::store::{StoreError, credential, frame};

pub(super) use image::sweep;

/// A fact on its way in, with what goes into the inbox log for it.
enum Incoming {
    Bare(Fact),
    /// An index knows it: the log only keeps its bytes.
    Carried(Fact, Vec<u8>),
    /// The log is all that knows it.
    Taken(Fact, Entry),
}

fn entry(
    inner: &Inner,
    id: DeliveryId,
    received_at: Timestamp,
    delivery: &Delivery,
) -> Result<Entry, StoreError> {
    let dedupe = Dedupe::of(delivery);
    let payload = frame::close(&inner.keyring, id, delivery, received_at)?;
    // An earlier one of this key came at another moment; one of the same moment is this one, written before a cut.
    Ok(Entry { id, dedupe, received_at, same_within_ms: Some(0), payload })
}

/// Seals the credentials among them with the keys of this store.
fn sealed(inner: &Inner, items: &[Item]) -> Result<Vec<SealedCredential>, StoreError> {
    let missing = || StoreError::Corrupt("a credential came without its value".into());
    let secret = |item: &Item| match &item.fact {
        Fact::Credential(about) => Some((about.clone(), item.secret.clone())),
        _ => None,
    };
    let close = |(about, secret): (CredentialAbout, Option<SecretString>)| {
        let at = about.created_at;
        credential::close(&inner.keyring, about, &secret.ok_or_else(missing)?, at)
    };
    items.iter().filter_map(secret).map(close).collect()
}

fn incoming(inner: &Inner, item: Item) -> Result<Incoming, StoreError> {
    let missing = || StoreError::Corrupt("a delivery without an index has no bytes".into());
    Ok(match (item.fact, item.content) {
        (Fact::Delivery(kept), Some(delivery)) => {
            let entry = entry(inner, kept.record.id, kept.record.received_at, &delivery)?;
            Incoming::Carried(Fact::Delivery(kept), entry.payload)
        }
        (Fact::Unindexed(kept), content) => {
            let delivery = content.ok_or_else(missing)?;
            let entry = entry(inner, kept.id, kept.received_at, &delivery)?;
            Incoming::Taken(Fact::Unindexed(kept), entry)
        }
        (fact, _) => Incoming::Bare(fact),
    })
}

impl SledStore {
    /// Brings the bytes to the log; the pieces of one call share their syncs, and keep their order.
    async fn log(&self, incoming: Vec<Incoming>) -> Result<Vec<(Fact, Option<Position>)>, StoreError> {
        let logged = incoming.into_iter().map(|one| async {
            Ok(match one {
                Incoming::Bare(fact) => (fact, None),
                Incoming::Carried(fact, payload) => {
                    let position = self.inner.intake.carry(payload).await?;
                    (fact, Some(position))
                }
                Incoming::Taken(fact, entry) => {
                    self.inner.intake.take(entry).await?;
                    (fact, None)
                }
            })
        });
        try_join_all(logged).await
    }
}

#[async_trait]
impl Keep for SledStore {
    fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    async fn freeze(&self) -> Result<Box<dyn Frozen>, StoreError> {
        Ok(Box::new(self.view().await?))
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.read(|inner| {
            let untouched = locked(&inner.backlog).len() == 0 && import::is_empty(&inner.tree)?;
            Ok(untouched && inner.tree.read::<ImportMark>(&import::mark())?.is_none())
        })
        .await
    }

    async fn import_mark(&self) -> Result<Option<ImportMark>, StoreError> {
        self.read(|inner| inner.tree.read(&import::mark())).await
    }

    async fn import(&self, items: Vec<Item>, mark: ImportMark) -> Result<(), StoreError> {
        let next = mark.clone();
        let incoming = self.read(move |inner| {
            import::check(&inner.tree, &next)?;
            let sealed = sealed(inner, &items)?;
            let incoming = items.into_iter().map(|item| incoming(inner, item));
            Ok((incoming.collect::<Result<Vec<_>, _>>()?, sealed))
        });
        let (incoming, sealed) = incoming.await?;
        let facts = self.log(incoming).await?;
        self.inner.committer.act(move |stage| import::import(stage, facts, sealed, &mark)).await?;
        self.work.notify_waiters();
        Ok(())
    }

    async fn end_import(&self) -> Result<(), StoreError> {
        self.inner.committer.act(|stage| stage.delete(import::mark())).await
    }

    async fn rotate_keys(
        &self,
        prepare_only: bool,
        now: Timestamp,
        tell: &Tell,
    ) -> Result<Rotated, StoreError> {
        self.rotate(prepare_only, now, tell).await
    }
}
