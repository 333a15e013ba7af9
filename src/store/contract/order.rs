//! One at a time per lane, and nothing settled twice.

use std::collections::HashSet;
use std::sync::Arc;

use super::bench::{Bench, LEASE_MS, NOON, delivery, done};
use crate::domain::change::{Change, Changes, Verdict};
use crate::domain::delivery::DeliveryState;
use crate::domain::known::RecordKey;
use crate::store::{AuditFilter, Outcome, Settled};

const MINUTE_MS: i64 = 60_000;

pub(in crate::store) async fn one_at_a_time_per_lane_in_the_order_of_arrival(bench: &Bench) {
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(bench.accepts(&format!("{number}"), b"lane").await);
    }
    bench.indexes(false).await;
    let other = bench.queues("other", "another lane").await;
    let mut order = Vec::new();
    let mut claims = bench.claims(NOON).await;
    assert_eq!(claims.len(), 2, "one per lane");
    claims.retain(|claim| claim.record.id != other);
    while let Some(claim) = claims.pop() {
        assert!(bench.claims(NOON).await.is_empty(), "the lane is busy");
        order.push(claim.record.id);
        bench.settles(claim, done(), NOON).await;
        claims = bench.claims(NOON).await;
    }
    assert_eq!(order, ids);
}

pub(in crate::store) async fn many_workers_never_share_a_claim(bench: &Bench) {
    for number in 0..40 {
        bench.accepts(&format!("{number}"), format!("lane {}", number % 10).as_bytes()).await;
    }
    bench.indexes(false).await;
    let barrier = Arc::new(tokio::sync::Barrier::new(8));
    let workers: Vec<_> = (0..8)
        .map(|_| (bench.store(), Arc::clone(&barrier)))
        .map(|(store, barrier)| async move {
            let store = store.await;
            barrier.wait().await;
            store.claim_deliveries(NOON, LEASE_MS, 5).await.unwrap()
        })
        .collect();
    let claims: Vec<_> = futures_util::future::join_all(workers).await.into_iter().flatten().collect();
    let lanes: HashSet<_> = claims.iter().map(|claim| claim.record.lane.clone()).collect();
    assert_eq!((claims.len(), lanes.len()), (10, 10), "each lane was given out once");
}

pub(in crate::store) async fn a_worker_that_lost_its_lease_changes_nothing(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    let slow = bench.claims_one(NOON).await;
    let late = NOON.plus_ms(LEASE_MS);
    let quick = bench.claims_one(late).await;
    let entry = super::records::audit_line("late");
    let changes = Changes { changes: vec![Change::Audit(entry)], ..Changes::none(Verdict::Done) };
    let store = bench.store().await;
    let settled = store.settle_delivery(slow, Outcome::Apply(changes), late).await.unwrap();
    assert!(matches!(settled, Settled::LeaseLost), "{settled:?}");
    assert!(store.audit(&AuditFilter::default(), &super::records::page()).await.unwrap().items.is_empty());
    assert_eq!(store.delivery(id).await.unwrap().unwrap().state, DeliveryState::Working);
    drop(store);
    bench.settles(quick, done(), late).await;
}

pub(in crate::store) async fn a_lease_that_is_extended_is_kept(bench: &Bench) {
    bench.queues("a", "x").await;
    let claim = bench.claims_one(NOON).await;
    assert!(bench.store().await.extend_claim(&claim, NOON.plus_ms(10 * LEASE_MS)).await.unwrap());
    assert!(bench.claims(NOON.plus_ms(9 * LEASE_MS)).await.is_empty());
    bench.settles(claim, done(), NOON.plus_ms(9 * LEASE_MS)).await;
    assert!(bench.claims(NOON.plus_ms(20 * LEASE_MS)).await.is_empty(), "nothing is left of it");
}

pub(in crate::store) async fn a_lease_that_ends_is_given_to_another(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    let lost = bench.claims_one(NOON).await;
    assert!(bench.claims(NOON.plus_ms(LEASE_MS - 1)).await.is_empty());
    let claim = bench.claims_one(NOON.plus_ms(LEASE_MS)).await;
    assert_eq!((claim.record.id, claim.record.attempts), (id, 2));
    assert!(claim.fence > lost.fence);
    assert!(!bench.store().await.extend_claim(&lost, NOON.plus_ms(90_000)).await.unwrap());
    let attempts = bench.store().await.attempts(id).await.unwrap();
    assert!(attempts[0].led_to.is_none(), "the first one never ended");
}

pub(in crate::store) async fn what_a_clock_set_back_puts_off_for_years_is_due(bench: &Bench) {
    const YEAR_MS: i64 = 365 * 24 * 60 * MINUTE_MS;
    let fresh = bench.queues("a", "x").await;
    let ids = |claims: &[crate::store::Claim]| claims.iter().map(|claim| claim.record.id).collect::<Vec<_>>();
    assert!(bench.claims(NOON.plus_ms(-60 * MINUTE_MS)).await.is_empty(), "an hour is waited for");
    let claims = bench.claims(NOON.plus_ms(-10 * YEAR_MS)).await;
    assert_eq!(ids(&claims), [fresh]);
    // A lease that was extended by the new clock is nobody else's.
    let extended = NOON.plus_ms(-10 * YEAR_MS + LEASE_MS);
    assert!(bench.store().await.extend_claim(&claims[0], extended).await.unwrap());
    assert!(bench.claims(NOON.plus_ms(-10 * YEAR_MS)).await.is_empty());
}

pub(in crate::store) async fn what_a_dead_process_was_working_on_is_given_out_alone(bench: &Bench) {
    let mut held = Vec::new();
    for lane in ["a", "b", "c"] {
        held.push(bench.queues(lane, lane).await);
    }
    assert_eq!(bench.claims(NOON).await.len(), 3);
    let fresh = bench.queues("d", "d").await;
    bench.restart().await;
    let mut met = Vec::new();
    for _ in 0..3 {
        let claim = bench.claims_one(NOON.plus_ms(LEASE_MS)).await;
        assert_eq!(claim.record.attempts, 2);
        assert!(bench.claims(NOON.plus_ms(LEASE_MS)).await.is_empty(), "nothing is given beside it");
        met.push(claim.record.id);
        bench.settles(claim, done(), NOON.plus_ms(LEASE_MS)).await;
    }
    met.sort_unstable();
    held.sort_unstable();
    assert_eq!(met, held, "before what came since");
    bench.queues("e", "e").await;
    let rest = bench.claims(NOON.plus_ms(LEASE_MS)).await;
    assert_eq!((rest.len(), rest[0].record.id), (2, fresh), "then all goes on as always");
}

fn retry(at: i64) -> Outcome {
    Outcome::Retry { at: NOON.plus_ms(at), error: "the forge is away".into() }
}

pub(in crate::store) async fn a_failing_head_steps_aside_in_a_lane_that_does_not_block(bench: &Bench) {
    let first = bench.queues("a", "lane").await;
    let second = bench.queues("b", "lane").await;
    let claim = bench.claims_one(NOON).await;
    bench.settles(claim, retry(MINUTE_MS), NOON).await;
    let next = bench.claims_one(NOON).await;
    assert_eq!(next.record.id, second);
    bench.settles(next, done(), NOON).await;
    assert!(bench.claims(NOON.plus_ms(MINUTE_MS - 1)).await.is_empty());
    assert_eq!(bench.claims_one(NOON.plus_ms(MINUTE_MS)).await.record.id, first);
}

pub(in crate::store) async fn a_failing_head_holds_a_blocking_lane_for_a_quarter_of_an_hour(bench: &Bench) {
    let first = bench.accepts("a", b"lane").await;
    let second = bench.accepts("b", b"lane").await;
    bench.indexes(true).await;
    let claim = bench.claims_one(NOON).await;
    bench.settles(claim, retry(MINUTE_MS), NOON).await;
    assert!(bench.claims(NOON).await.is_empty(), "the second one waits");
    assert_eq!(bench.store().await.figures().await.unwrap().lanes_blocked, 1);
    let claim = bench.claims_one(NOON.plus_ms(MINUTE_MS)).await;
    assert_eq!(claim.record.id, first);
    bench.settles(claim, retry(30 * MINUTE_MS), NOON.plus_ms(16 * MINUTE_MS)).await;
    let claim = bench.claims_one(NOON.plus_ms(16 * MINUTE_MS)).await;
    assert_eq!(claim.record.id, second);
    bench.settles(claim, done(), NOON.plus_ms(16 * MINUTE_MS)).await;
    assert_eq!(bench.store().await.figures().await.unwrap().lanes_blocked, 0);
    assert_eq!(bench.claims_one(NOON.plus_ms(30 * MINUTE_MS)).await.record.id, first);
}

pub(in crate::store) async fn a_changed_record_makes_the_worker_look_again(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    let claim = bench.claims_one(NOON).await;
    let organization = super::records::organization("acme");
    let key = RecordKey::Organization(organization.slug.clone());
    let put = vec![Change::PutOrganization(organization)];
    let store = bench.store().await;
    assert!(store.apply(put.clone(), vec![(key.clone(), 0)]).await.unwrap());
    assert!(!store.apply(put.clone(), vec![(key.clone(), 0)]).await.unwrap());
    let stale =
        Changes { expects: vec![(key.clone(), 0)], changes: put.clone(), ..Changes::none(Verdict::Done) };
    let settled = store.settle_delivery(claim, Outcome::Apply(stale), NOON).await.unwrap();
    let Settled::Changed(claim) = settled else { panic!("{settled:?}") };
    assert_eq!(store.delivery(id).await.unwrap().unwrap().state, DeliveryState::Working);
    let fresh = Changes { expects: vec![(key, 1)], changes: put, ..Changes::none(Verdict::Done) };
    let settled = store.settle_delivery(*claim, Outcome::Apply(fresh), NOON).await.unwrap();
    assert!(matches!(settled, Settled::Done));
}

pub(in crate::store) async fn attempts_are_counted_before_they_start(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    for number in 1..=3 {
        let at = NOON.plus_ms(i64::from(number) * LEASE_MS);
        let claim = bench.claims_one(at).await;
        assert_eq!(claim.record.attempts, number);
        // The process dies here: the claim is never settled.
        drop(claim);
        bench.restart().await;
    }
    let attempts = bench.store().await.attempts(id).await.unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
}

pub(in crate::store) async fn a_redelivery_in_a_busy_lane_disturbs_nobody(bench: &Bench) {
    let head = bench.queues("a", "lane").await;
    let waiting = bench.queues("b", "lane").await;
    let claim = bench.claims_one(NOON).await;
    assert_eq!(claim.record.id, head);
    let store = bench.store().await;
    store.accept(delivery("b", b"lane"), NOON).await.unwrap();
    // Asked for by hand, it gets a lane of its own and does not wait for the head.
    assert!(store.replay(waiting, "cli", NOON).await.unwrap());
    let own = bench.claims_one(NOON).await;
    assert_eq!(own.record.id, waiting);
    bench.settles(own, done(), NOON).await;
    bench.settles(claim, done(), NOON).await;
    assert!(bench.claims(NOON.plus_ms(LEASE_MS * 9)).await.is_empty());
}

pub(in crate::store) async fn a_smaller_id_that_comes_second_keeps_its_lane_moving(bench: &Bench) {
    // Ids begin with the time of arrival, and of two that arrive at once either may reach the log first. Here the clock
    // was set back while the process was away.
    let later = bench.store().await.accept(delivery("a", b"x"), NOON.plus_ms(5)).await;
    let first = later.unwrap().id();
    bench.indexes(false).await;
    bench.restart().await;
    let second = bench.accepts("b", b"x").await;
    bench.indexes(false).await;
    assert!(second.as_bytes() < first.as_bytes());
    for id in [first, second] {
        let claim = bench.claims_one(NOON.plus_ms(10)).await;
        assert_eq!(claim.record.id, id);
        bench.settles(claim, done(), NOON.plus_ms(10)).await;
    }
    assert!(bench.claims(NOON.plus_ms(10 * LEASE_MS)).await.is_empty(), "a finished one is claimed again");
}
