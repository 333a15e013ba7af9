//! Two at once, held at the worst moment: each case says who has come how far, so that nothing is left to chance.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{NOON, database, on_database};
use crate::domain::OrganizationSlug;
use crate::domain::change::Change;
use crate::domain::known::RecordKey;
use crate::store::contract;
use crate::store::postgres::act::{lock, rearrange_lanes};
use crate::store::postgres::out::Hands;
use crate::store::postgres::{claim, connect, record, version};

/// Something that hangs has failed; nothing here takes as long.
const HANGS_AFTER: Duration = Duration::from_secs(20);

/// Returns once somebody in this database waits for a lock that another holds.
async fn somebody_waits(url: &url::Url) {
    let mut looking = connect::one(&connect::options(url).unwrap()).await.unwrap();
    let waiting = "select exists (select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock')";
    let looks = async {
        while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut looking).await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANGS_AFTER, looks).await.expect("nobody waits");
}

async fn two(url: &url::Url) -> (PgConnection, PgConnection) {
    let options = connect::options(url).unwrap();
    (connect::one(&options).await.unwrap(), connect::one(&options).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn r44_a_claim_passes_over_what_another_is_claiming_and_waits_for_nobody() {
    let (bench, url) = on_database_at().await;
    for number in 0..10 {
        bench.queues(&format!("{number}"), &format!("lane {number}")).await;
    }
    let (mut first, mut second) = two(&url).await;
    let mut held = first.begin().await.unwrap();
    let until = NOON.plus_ms(30_000);
    let one = claim::claim(&mut held, NOON, until, 6, Hands::Free).await.unwrap().taken;
    let other = tokio::time::timeout(HANGS_AFTER, claim::claim(&mut second, NOON, until, 100, Hands::Free));
    let other = other.await.expect("it waits for the other's rows").unwrap().taken;
    held.commit().await.unwrap();
    let mut names: Vec<_> = one.iter().chain(&other).map(|taken| taken.record.id).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((one.len(), other.len(), names.len()), (6, 4, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn r21_a_copy_waits_for_its_first_ones_commit_and_takes_its_place_when_there_is_none() {
    for commits in [true, false] {
        let (bench, url) = on_database_at().await;
        let (mut first, _) = two(&url).await;
        let mut held = first.begin().await.unwrap();
        let sql = "insert into delivery (id, arrival, source, dedupe, received_at, external_id, hook_id, secret_slot,
            body_bytes) values (gen_random_uuid(), 0, 'our-app', $1, $2, 'a', '1', 0, 1)";
        let key = uuid::Uuid::from_bytes(crate::store::frame::key_of(&contract::delivery("a", b"x")));
        sqlx::query(sql).bind(key).bind(NOON.ms()).execute(&mut *held).await.unwrap();
        let store = bench.store().await;
        let copy = tokio::spawn(async move { store.accept(contract::delivery("a", b"x"), NOON).await });
        somebody_waits(&url).await;
        assert!(!copy.is_finished(), "it is answered before its first copy is kept");
        if commits {
            held.commit().await.unwrap();
        } else {
            held.rollback().await.unwrap();
        }
        let accepted = tokio::time::timeout(HANGS_AFTER, copy).await.unwrap().unwrap().unwrap();
        assert_eq!(matches!(accepted, crate::store::Accepted::New(_)), !commits, "{accepted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_is_left_and_entered_one_after_the_other() {
    let (bench, url) = on_database_at().await;
    bench.queues("a", "lane").await;
    let claim = bench.claims_one(NOON).await;
    // Somebody puts a delivery into the lane: it has seen the head, and has not committed yet.
    let (mut first, _) = two(&url).await;
    let mut held = first.begin().await.unwrap();
    rearrange_lanes(&mut held).await.unwrap();
    let behind = bench.accepts("b", b"lane").await;
    let rows = bench.rows(false).await;
    crate::store::postgres::index::index(&mut held, rows, NOON).await.unwrap();
    // The head leaves meanwhile. Were it not to wait, it would see nobody behind it, and the lane would stand still.
    let store = bench.store().await;
    let leaving =
        tokio::spawn(async move { store.settle_delivery(claim, contract::done(), NOON).await.map(drop) });
    somebody_waits(&url).await;
    held.commit().await.unwrap();
    tokio::time::timeout(HANGS_AFTER, leaving).await.unwrap().unwrap().unwrap();
    assert_eq!(bench.claims_one(NOON).await.record.id, behind);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_expect_a_record_to_be_absent_one_writes_it() {
    let url = database().await;
    let (mut first, mut second) = two(&url).await;
    let key = RecordKey::Organization(OrganizationSlug::parse("acme").unwrap());
    let expects = vec![(key, 0)];
    let changes = || vec![Change::PutOrganization(contract::records::organization("acme"))];
    let mut held = first.begin().await.unwrap();
    lock(&mut held, &record::stripes(&expects, &changes())).await.unwrap();
    assert!(version::hold(&mut held, &expects).await.unwrap());
    record::apply(&mut held, changes()).await.unwrap();
    let (theirs, put) = (expects.clone(), changes());
    let other = tokio::spawn(async move {
        let mut late = second.begin().await.unwrap();
        lock(&mut late, &record::stripes(&theirs, &put)).await.unwrap();
        version::hold(&mut late, &theirs).await.unwrap()
    });
    somebody_waits(&url).await;
    assert!(!other.is_finished(), "it decides before the other has");
    held.commit().await.unwrap();
    assert!(!tokio::time::timeout(HANGS_AFTER, other).await.unwrap().unwrap(), "both wrote it");
}

/// Begins that were cancelled half-way, and after how many the next user found itself in a stale transaction.
async fn stale(pool: &PgPool, tries: u32) -> (u32, u32) {
    let (mut cancelled, mut found) = (0, 0);
    for number in 0..tries {
        let begin =
            tokio::time::timeout(Duration::from_micros(u64::from(number % 40) * 10), pool.begin()).await;
        if begin.is_err() {
            cancelled += 1;
        }
        drop(begin);
        let Ok(mut next) = pool.acquire().await else { continue };
        // Only inside of a transaction can a savepoint be set.
        if next.execute("savepoint here").await.is_ok() {
            found += 1;
            let _ = next.execute("rollback").await;
        }
    }
    (cancelled, found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_begin_leaves_a_stale_transaction_to_nobody() {
    let url = database().await;
    let options = connect::options(&url).unwrap();
    let tries = 1_500;
    let bare = connect::unguarded(2).connect_lazy_with(options.clone());
    let (cancelled, without) = stale(&bare, tries).await;
    bare.close().await;
    let guarded = connect::guarded(connect::unguarded(2)).connect_lazy_with(options);
    let (again, with) = stale(&guarded, tries).await;
    guarded.close().await;
    println!("stale: {without} of {cancelled} cancelled without the guard, {with} of {again} with it");
    assert_eq!(with, 0, "of {again} cancelled");
    assert!(
        without > 0,
        "the driver's bug is gone: look whether the guard is still needed ({cancelled} cancelled)"
    );
}

async fn on_database_at() -> (contract::Bench, Arc<url::Url>) {
    let url = Arc::new(database().await);
    (on_database(Arc::clone(&url)).await, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_bytes_that_were_changed_or_moved_are_named_by_verify_and_by_the_scrub() {
    let (bench, url) = on_database_at().await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(bench.queues(&format!("{number}"), &format!("lane {number}")).await.to_string());
    }
    let (mut admin, _) = two(&url).await;
    assert!(bench.store().await.verify(&|_, _| {}).await.unwrap().is_empty());
    let flip =
        "update payload set frame = set_byte(frame, 60, get_byte(frame, 60) # 1) where delivery = $1::uuid";
    sqlx::query(flip).bind(&ids[0]).execute(&mut admin).await.unwrap();
    let swap = "update payload p set frame = o.frame from payload o
        where p.delivery = $1::uuid and o.delivery = $2::uuid";
    sqlx::query(swap).bind(&ids[1]).bind(&ids[2]).execute(&mut admin).await.unwrap();
    sqlx::query("delete from queue where delivery = $1::uuid")
        .bind(&ids[2])
        .execute(&mut admin)
        .await
        .unwrap();
    let store = bench.store().await;
    let wrong = store.verify(&|_, _| {}).await.unwrap();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    for (sentence, id) in wrong.iter().zip(&ids[..2]) {
        assert!(sentence.contains(id), "{sentence} does not name {id}");
    }
    assert!(wrong[2].contains("stand in no lane"), "{}", wrong[2]);
    let mut scrubbed = Vec::new();
    loop {
        let piece = store.scrub().await.unwrap();
        scrubbed.extend(piece.found);
        if piece.is_last {
            break;
        }
    }
    assert_eq!(scrubbed, wrong);
}
