//! The contract on the embedded store, and what is true of it alone.

use std::sync::Arc;

use crate::domain::Timestamp;
use crate::store::Store;
use crate::store::contract::{Bench, contract};

const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);

pub(in crate::store) async fn on_sled() -> Bench {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let reopen = move || -> std::pin::Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>> {
        let dir = Arc::clone(&dir);
        Box::pin(async move {
            let store = super::open(&dir.path().join("store"), &dir.path().join("master.key"), NOON).unwrap();
            Arc::new(store) as Arc<dyn Store>
        })
    };
    Bench::new("sled", Box::new(reopen)).await
}

contract!(on_sled);

#[tokio::test(flavor = "multi_thread")]
async fn a_start_frees_what_the_process_before_it_held() {
    let bench = on_sled().await;
    let id = bench.queues("a", "x").await;
    let lost = bench.claims_one(NOON).await;
    bench.restart().await;
    let claim = bench.claims_one(NOON.plus_ms(1)).await;
    assert_eq!(
        (claim.record.id, claim.record.attempts),
        (id, 2),
        "the attempt that never ended stays counted"
    );
    assert!(claim.fence > lost.fence);
}
