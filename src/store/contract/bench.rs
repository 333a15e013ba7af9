//! The work bench of a contract case: a store that can be closed and opened again, and deliveries to feed it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::RwLock;

use crate::domain::change::{Changes, Verdict};
use crate::domain::delivery::{Authenticate, Delivery, Encoding, Envelope, Lane, RawDelivery, Rejected};
use crate::domain::{DeliveryId, SourceKey, Timestamp};
use crate::store::{Claim, Indexed, Outcome, Settled, Store, Unindexed};

type Reopen = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>> + Send + Sync>;

/// The moment at which every case begins.
pub(in crate::store) const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);
pub(in crate::store) const LEASE_MS: i64 = 30_000;

pub(in crate::store) struct Bench {
    name: &'static str,
    store: RwLock<Option<Arc<dyn Store>>>,
    reopen: Reopen,
}

/// Takes whatever it is told for proven.
struct Trusting {
    external_id: String,
    hook_id: String,
    same_within_ms: Option<i64>,
}

impl Authenticate for Trusting {
    fn authenticate(&self, _: &RawDelivery, _: Timestamp) -> Result<Envelope, Rejected> {
        Ok(Envelope {
            external_id: self.external_id.clone(),
            hook_id: self.hook_id.clone(),
            event: "test".into(),
            encoding: Encoding::Json,
            secret_slot: 0,
            same_within_ms: self.same_within_ms,
        })
    }
}

/// A proven delivery.
pub(in crate::store) fn delivery(external_id: &str, body: &[u8]) -> Delivery {
    from_hook(external_id, "1", None, body)
}

pub(super) fn from_hook(external_id: &str, hook: &str, same_within_ms: Option<i64>, body: &[u8]) -> Delivery {
    let headers = vec![("x-github-event".to_owned(), Bytes::from_static(b"test"))];
    let raw = RawDelivery { source: source(), headers, body: Bytes::copy_from_slice(body) };
    let proof = Trusting { external_id: external_id.into(), hook_id: hook.into(), same_within_ms };
    Delivery::authenticate(raw, &proof, NOON).expect("it trusts everything")
}

pub(super) fn source() -> SourceKey {
    SourceKey::parse("our-app").expect("a valid name")
}

pub(in crate::store) fn done() -> Outcome {
    Outcome::Apply(Changes::none(Verdict::Done))
}

impl Bench {
    pub(in crate::store) async fn new(name: &'static str, reopen: Reopen) -> Self {
        let store = reopen().await;
        Self { name, store: RwLock::new(Some(store)), reopen }
    }

    pub(in crate::store) fn name(&self) -> &'static str {
        self.name
    }

    pub(in crate::store) async fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.store.read().await.as_ref().expect("it is open"))
    }

    /// Closes the store and opens it again.
    pub(in crate::store) async fn restart(&self) {
        let mut place = self.store.write().await;
        let old = place.take().expect("it is open");
        old.close().await.expect("it closes");
        assert_eq!(Arc::strong_count(&old), 1, "a case still holds the old store");
        drop(old);
        *place = Some((self.reopen)().await);
    }

    /// Accepts a delivery with this id and body.
    pub(in crate::store) async fn accepts(&self, external_id: &str, body: &[u8]) -> DeliveryId {
        self.store().await.accept(delivery(external_id, body), NOON).await.expect("it is accepted").id()
    }

    /// Indexes everything that is not indexed, each into the lane that its body names.
    pub(super) async fn indexes(&self, blocks: bool) {
        let rows = self.rows(blocks).await;
        self.store().await.index(rows, NOON).await.expect("it indexes");
    }

    /// What an indexer would write of everything that is not indexed.
    pub(in crate::store) async fn rows(&self, blocks: bool) -> Vec<Indexed> {
        let found = self.store().await.unindexed(1000).await.expect("it lists");
        let row = |one: Unindexed| Indexed {
            id: one.id,
            event: "test".into(),
            action: None,
            provider: "github".into(),
            lane: Lane { key: String::from_utf8_lossy(one.delivery.body()).into_owned(), blocks },
            ended: None,
        };
        found.into_iter().map(row).collect()
    }

    /// Accepts and indexes: a delivery in the lane named by its body.
    pub(in crate::store) async fn queues(&self, external_id: &str, lane: &str) -> DeliveryId {
        let id = self.accepts(external_id, lane.as_bytes()).await;
        self.indexes(false).await;
        id
    }

    pub(super) async fn claims(&self, at: Timestamp) -> Vec<Claim> {
        self.store().await.claim_deliveries(at, LEASE_MS, 100).await.expect("it claims")
    }

    pub(in crate::store) async fn claims_one(&self, at: Timestamp) -> Claim {
        let mut all = self.claims(at).await;
        assert_eq!(all.len(), 1, "exactly one is due");
        all.remove(0)
    }

    /// The first of all that are due.
    pub(super) async fn claims_one_of(&self, at: Timestamp) -> Claim {
        self.claims(at).await.swap_remove(0)
    }

    pub(super) async fn settles(&self, claim: Claim, outcome: Outcome, at: Timestamp) {
        let settled = self.store().await.settle_delivery(claim, outcome, at).await.expect("it settles");
        assert!(matches!(settled, Settled::Done), "{settled:?}");
    }
}
