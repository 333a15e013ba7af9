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

/// The store of a bench made by hand, so that its files can be reached.
fn opened(dir: &std::path::Path) -> super::SledStore {
    super::open(&dir.join("store"), &dir.join("master.key"), NOON).unwrap()
}

async fn with_records(store: &super::SledStore, count: i64) {
    use crate::store::Records as _;
    for number in 0..count {
        let change = crate::domain::change::Change::Audit(crate::domain::change::AuditEntry {
            at: NOON.plus_ms(number),
            organization: None,
            actor: "cli".into(),
            action: "test".into(),
            subject: number.to_string(),
            detail: "x".repeat(200),
            ..crate::domain::change::AuditEntry::default()
        });
        store.apply(vec![change], Vec::new()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_scrub_reads_everything_in_pieces_while_rows_are_written() {
    use crate::store::Health as _;
    let dir = tempfile::tempdir().unwrap();
    let store = opened(dir.path());
    with_records(&store, 300).await;
    let mut pieces = 0;
    loop {
        let piece = store.scrub().await.unwrap();
        assert_eq!(piece.found, Vec::<String>::new());
        pieces += 1;
        // Rows before and behind the place of the sweep change between its pieces.
        with_records(&store, 5).await;
        if piece.is_last {
            assert_eq!(piece.done, piece.all);
            break;
        }
    }
    assert!(pieces >= 3, "two logs and the rows: {pieces}");
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_scrub_names_a_flipped_bit_in_each_log_and_goes_on_behind_it() {
    use crate::store::Health as _;
    for log in ["inbox", "records"] {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(dir.path());
        with_records(&store, 50).await;
        let delivery = crate::store::contract::delivery("a", &[b'x'; 3000]);
        crate::store::Inbox::accept(&store, delivery, NOON).await.unwrap();
        let path = dir.path().join("store/journal").join(log).join("00000000000000000001.log");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[300] ^= 4;
        std::fs::write(&path, bytes).unwrap();
        let mut found = Vec::new();
        loop {
            let piece = store.scrub().await.unwrap();
            found.extend(piece.found);
            if piece.is_last {
                break;
            }
        }
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("journal/{log}:")) && found[0].contains("frame"), "{found:?}");
        assert_eq!(store.verify(&|_, _| {}).await.unwrap(), found);
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_rows_that_vanish_from_a_large_store_stop_it_and_come_back_with_the_next_start() {
    use crate::store::{AuditFilter, Health as _, Page, Records as _};
    let dir = tempfile::tempdir().unwrap();
    let store = opened(dir.path());
    with_records(&store, 50).await;
    let page = Page { limit: 200, cursor: None };
    let before = store.audit(&AuditFilter::default(), &page).await.unwrap().items;
    store.inner.mover.lock().unwrap().run().unwrap();
    let sled = store.inner.tree.sled();
    let row = sled.scan_prefix(b"A").next().unwrap().unwrap().0;
    sled.remove(row).unwrap();
    let (mover, database) = (Arc::downgrade(&store.inner.mover), dir.path().join("store/db"));
    super::recount::start(mover, database.clone(), Arc::clone(&store.inner.status)).unwrap();
    while !store.inner.status.failed() {
        tokio::task::yield_now().await;
    }
    assert!(store.audit(&AuditFilter::default(), &page).await.is_err(), "it answers nothing any more");
    assert!(super::recount::is_distrusted(&database));
    store.close().await.unwrap();
    drop(store);
    let store = opened(dir.path());
    assert_eq!(store.audit(&AuditFilter::default(), &page).await.unwrap().items, before);
    assert!(!super::recount::is_distrusted(&database));
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_store_is_counted_while_it_is_written() {
    use crate::store::Health as _;
    let dir = tempfile::tempdir().unwrap();
    let store = opened(dir.path());
    with_records(&store, 50).await;
    let (mover, database) = (Arc::downgrade(&store.inner.mover), dir.path().join("store/db"));
    super::recount::start(mover, database.clone(), Arc::clone(&store.inner.status)).unwrap();
    with_records(&store, 50).await;
    store.inner.mover.lock().unwrap().run().unwrap();
    assert!(!store.inner.status.failed() && !super::recount::is_distrusted(&database));
    store.close().await.unwrap();
}

#[test]
fn r17_random_histories_give_the_answers_of_the_model() {
    let dirs = std::sync::Mutex::new(Vec::new());
    crate::store::contract::history::compare("sled", 3, || async {
        let dir = tempfile::tempdir().unwrap();
        let store = super::open(&dir.path().join("store"), &dir.path().join("master.key"), NOON).unwrap();
        // The one before is over by now.
        *dirs.lock().unwrap() = vec![dir];
        Arc::new(store) as Arc<dyn Store>
    });
}
