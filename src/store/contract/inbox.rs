//! Deliveries at the door and in the lists.

use std::collections::HashSet;

use super::bench::{Bench, NOON, delivery, done, from_hook};
use crate::domain::DeliveryId;
use crate::domain::change::{Changes, Verdict};
use crate::domain::delivery::{DeliveryState, Lane};
use crate::store::{Accepted, DeliveryFilter, Indexed, Outcome, Page, Retention};

const DAY_MS: i64 = 86_400_000;

fn parked() -> Outcome {
    Outcome::Park { reason: "exhausted".into(), error: "the forge is away".into() }
}

async fn state(bench: &Bench, id: DeliveryId) -> DeliveryState {
    bench.store().await.delivery(id).await.unwrap().expect("it is kept").state
}

pub(in crate::store) async fn what_is_accepted_is_there_after_a_restart(bench: &Bench) {
    let id = bench.accepts("a", b"{\"one\":1}").await;
    bench.restart().await;
    let waiting = bench.store().await.unindexed(10).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].id, id);
    assert_eq!(&waiting[0].delivery.body()[..], b"{\"one\":1}");
    assert_eq!(waiting[0].delivery.envelope().external_id, "a");
    assert_eq!(waiting[0].received_at, NOON);
    bench.indexes(false).await;
    bench.restart().await;
    assert!(bench.store().await.unindexed(10).await.unwrap().is_empty(), "it is indexed once");
    assert_eq!(state(bench, id).await, DeliveryState::Queued);
}

pub(in crate::store) async fn a_second_copy_is_a_duplicate_and_is_counted(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    let again = bench.store().await.accept(delivery("a", b"x"), NOON.plus_ms(1)).await.unwrap();
    assert_eq!(again, Accepted::Duplicate(id));
    bench.restart().await;
    let again = bench.store().await.accept(delivery("a", b"x"), NOON.plus_ms(8 * DAY_MS)).await.unwrap();
    assert_eq!(again, Accepted::Duplicate(id));
    assert_eq!(bench.store().await.delivery(id).await.unwrap().unwrap().duplicates, 2);
}

pub(in crate::store) async fn a_copy_before_indexing_is_a_duplicate_too(bench: &Bench) {
    let id = bench.accepts("a", b"x").await;
    assert_eq!(bench.store().await.accept(delivery("a", b"x"), NOON).await.unwrap(), Accepted::Duplicate(id));
    bench.restart().await;
    assert_eq!(bench.store().await.accept(delivery("a", b"x"), NOON).await.unwrap(), Accepted::Duplicate(id));
    assert_eq!(bench.store().await.unindexed(10).await.unwrap().len(), 1);
}

pub(in crate::store) async fn two_hooks_share_a_guid_and_are_two_deliveries(bench: &Bench) {
    let first = bench.store().await.accept(from_hook("a", "1", None, b"x"), NOON).await.unwrap();
    let second = bench.store().await.accept(from_hook("a", "2", None, b"x"), NOON).await.unwrap();
    assert!(matches!((first, second), (Accepted::New(_), Accepted::New(_))));
}

pub(in crate::store) async fn a_copy_after_its_window_is_new(bench: &Bench) {
    let copy = || from_hook("hash", "", Some(600_000), b"x");
    let store = bench.store().await;
    let first = store.accept(copy(), NOON).await.unwrap();
    assert_eq!(store.accept(copy(), NOON.plus_ms(600_000)).await.unwrap(), Accepted::Duplicate(first.id()));
    assert!(matches!(store.accept(copy(), NOON.plus_ms(600_001)).await.unwrap(), Accepted::New(_)));
}

pub(in crate::store) async fn an_equal_body_under_a_new_id_is_kept_and_marked(bench: &Bench) {
    let first = bench.queues("a", "same").await;
    let second = bench.queues("b", "same").await;
    let store = bench.store().await;
    assert!(!store.delivery(first).await.unwrap().unwrap().replay_suspected);
    assert!(store.delivery(second).await.unwrap().unwrap().replay_suspected);
}

pub(in crate::store) async fn a_copy_of_a_dead_delivery_wakes_it(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    let claim = bench.claims_one(NOON).await;
    bench.settles(claim, parked(), NOON).await;
    assert_eq!(state(bench, id).await, DeliveryState::Dead);
    assert_eq!(bench.store().await.accept(delivery("a", b"x"), NOON).await.unwrap(), Accepted::Woken(id));
    let claim = bench.claims_one(NOON).await;
    assert_eq!((claim.record.id, claim.tries, claim.record.attempts), (id, 1, 2));
}

pub(in crate::store) async fn many_at_once_are_all_kept_once(bench: &Bench) {
    let store = bench.store().await;
    let sends = (0..200).map(|number| {
        let store = std::sync::Arc::clone(&store);
        // Each id is sent twice, at the same time.
        tokio::spawn(
            async move { store.accept(delivery(&format!("{}", number / 2), b"x"), NOON).await.unwrap() },
        )
    });
    let sends: Vec<_> = sends.collect();
    let mut fresh = HashSet::new();
    let mut all = HashSet::new();
    for send in sends {
        let accepted = send.await.unwrap();
        all.insert(accepted.id());
        if let Accepted::New(id) = accepted {
            assert!(fresh.insert(id), "new twice");
        }
    }
    assert_eq!((fresh.len(), all.len()), (100, 100));
    drop(store);
    bench.restart().await;
    let kept: HashSet<_> =
        bench.store().await.unindexed(1000).await.unwrap().iter().map(|one| one.id).collect();
    assert_eq!(kept, fresh);
}

pub(in crate::store) async fn an_ended_row_is_never_claimed(bench: &Bench) {
    let id = bench.accepts("a", b"ping").await;
    let lane = Lane { key: "none".into(), blocks: false };
    let ended = Some((DeliveryState::Ignored, "unwanted".to_owned()));
    let row = Indexed { id, event: "star".into(), action: None, provider: "github".into(), lane, ended };
    bench.store().await.index(vec![row], NOON).await.unwrap();
    assert!(bench.claims(NOON).await.is_empty());
    let record = bench.store().await.delivery(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.reason.as_deref()), (DeliveryState::Ignored, Some("unwanted")));
}

pub(in crate::store) async fn a_large_body_comes_back_byte_for_byte(bench: &Bench) {
    // Pseudo-random, so that it does not compress.
    let mut seed: u64 = 7;
    let body: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    })
    .take(2 << 20)
    .collect();
    bench.accepts("large", &body).await;
    bench.restart().await;
    assert_eq!(bench.store().await.unindexed(1).await.unwrap()[0].delivery.body(), &body);
}

pub(in crate::store) async fn replay_queues_again_and_keeps_the_history(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    let claim = bench.claims_one(NOON).await;
    bench.settles(claim, done(), NOON).await;
    assert!(bench.store().await.replay(id, "cli", NOON.plus_ms(5)).await.unwrap());
    let claim = bench.claims_one(NOON.plus_ms(5)).await;
    assert_eq!((claim.record.attempts, claim.tries), (2, 1));
    bench.settles(claim, done(), NOON.plus_ms(6)).await;
    assert_eq!(bench.store().await.attempts(id).await.unwrap().len(), 2);
    let unknown = DeliveryId::from_bytes([9; 16]);
    assert!(!bench.store().await.replay(unknown, "cli", NOON).await.unwrap());
}

pub(in crate::store) async fn discarding_needs_a_dead_letter(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    assert!(!bench.store().await.discard(id, "cli", NOON).await.unwrap());
    let claim = bench.claims_one(NOON).await;
    bench.settles(claim, parked(), NOON).await;
    assert!(bench.store().await.discard(id, "cli", NOON).await.unwrap());
    assert_eq!(state(bench, id).await, DeliveryState::Ignored);
    assert!(bench.store().await.figures().await.unwrap().dead_by_reason.is_empty());
}

pub(in crate::store) async fn what_waits_for_its_account_is_woken(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    let behind = bench.queues("b", "x").await;
    let claim = bench.claims_one(NOON).await;
    bench.settles(claim, Outcome::Apply(Changes::none(Verdict::Unbound)), NOON).await;
    assert_eq!(state(bench, id).await, DeliveryState::Waiting);
    // It holds nobody back.
    let next = bench.claims_one(NOON).await;
    assert_eq!(next.record.id, behind);
    bench.settles(next, done(), NOON).await;
    assert!(bench.claims(NOON.plus_ms(DAY_MS)).await.is_empty());
    assert_eq!(bench.store().await.wake_unbound(NOON).await.unwrap(), 1);
    assert_eq!(bench.claims_one(NOON).await.record.id, id);
    assert_eq!(bench.store().await.wake_unbound(NOON).await.unwrap(), 0);
}

pub(in crate::store) async fn retention_deletes_what_is_finished_and_keeps_the_dead(bench: &Bench) {
    let finished = bench.queues("a", "one").await;
    let dead = bench.queues("b", "two").await;
    let waiting = bench.queues("c", "three").await;
    for claim in bench.claims(NOON).await {
        let outcome = match claim.record.id {
            id if id == finished => done(),
            id if id == dead => parked(),
            _ => Outcome::Retry { at: NOON.plus_ms(400 * DAY_MS), error: "later".into() },
        };
        bench.settles(claim, outcome, NOON).await;
    }
    let keep = Retention { payload_ms: 14 * DAY_MS, metadata_ms: 90 * DAY_MS };
    let store = bench.store().await;
    assert_eq!(store.purge(keep, NOON.plus_ms(89 * DAY_MS)).await.unwrap().records, 0);
    for _ in 0..4 {
        store.purge(keep, NOON.plus_ms(91 * DAY_MS)).await.unwrap();
    }
    assert!(store.delivery(finished).await.unwrap().is_none());
    assert!(store.delivery_body(dead).await.unwrap().is_some(), "a dead letter keeps its bytes");
    assert!(store.delivery_body(waiting).await.unwrap().is_some(), "unfinished work keeps its bytes");
    drop(store);
    bench.restart().await;
    assert!(bench.store().await.delivery_body(dead).await.unwrap().is_some());
}

pub(in crate::store) async fn lists_filter_and_page_without_gaps(bench: &Bench) {
    let mut ids = Vec::new();
    for number in 0..25 {
        ids.push(bench.queues(&format!("{number}"), &format!("lane {number}")).await);
    }
    let store = bench.store().await;
    let filter = DeliveryFilter { state: Some(DeliveryState::Queued), ..DeliveryFilter::default() };
    let mut page = Page { limit: 7, cursor: None };
    let mut seen = Vec::new();
    loop {
        let found = store.deliveries(&filter, &page).await.unwrap();
        seen.extend(found.items.into_iter().map(|record| record.id));
        let Some(next) = found.next else { break };
        page.cursor = Some(next);
    }
    ids.reverse();
    assert_eq!(seen, ids, "newest first, each once");
    let one = DeliveryFilter { external_id: Some("7".into()), ..DeliveryFilter::default() };
    assert_eq!(store.deliveries(&one, &Page { limit: 50, cursor: None }).await.unwrap().items.len(), 1);
    let none = DeliveryFilter { state: Some(DeliveryState::Dead), ..DeliveryFilter::default() };
    assert!(store.deliveries(&none, &Page { limit: 50, cursor: None }).await.unwrap().items.is_empty());
    let figures = store.figures().await.unwrap();
    assert!(figures.by_state.contains(&(DeliveryState::Queued, 25)));
}

pub(in crate::store) async fn a_process_that_ends_while_it_reads_leaves_suspects(bench: &Bench) {
    let ids =
        [bench.accepts("a", b"x").await, bench.accepts("b", b"y").await, bench.accepts("c", b"z").await];
    let deaths = async || -> Vec<u32> {
        bench.store().await.unindexed(10).await.unwrap().iter().map(|one| one.deaths).collect()
    };
    bench.store().await.reading(&ids[..2]).await.unwrap();
    assert_eq!(deaths().await, [0, 0, 0], "it has not died yet");
    bench.restart().await;
    assert_eq!(deaths().await, [1, 1, 0]);
    // Singly, so that the one to blame is told from the other.
    bench.store().await.reading(&ids[..1]).await.unwrap();
    bench.restart().await;
    assert_eq!(deaths().await, [2, 1, 0]);
    bench.indexes(false).await;
    bench.accepts("d", b"x").await;
    assert_eq!(deaths().await, [0]);
}

pub(in crate::store) async fn a_reading_that_has_ended_leaves_no_suspects(bench: &Bench) {
    let id = bench.accepts("a", b"x").await;
    bench.store().await.reading(&[id]).await.unwrap();
    bench.store().await.reading(&[]).await.unwrap();
    bench.restart().await;
    assert_eq!(bench.store().await.unindexed(10).await.unwrap()[0].deaths, 0);
}
