//! Replays of many deliveries: each piece in one act with the place to which it has come.

use super::bench::{Bench, LEASE_MS, NOON, done};
use super::records::{page, slug};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::delivery::DeliveryState;
use crate::domain::replay::{Piece, Progress};
use crate::domain::task::{Task, TaskKind, TaskState, Wish};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::{AuditFilter, DeliveryFilter, TaskClaim, TaskOutcome, TaskSettled};

fn at(after_ms: i64) -> Timestamp {
    NOON.plus_ms(after_ms)
}

fn all_that_are_done() -> DeliveryFilter {
    DeliveryFilter { state: Some(DeliveryState::Done), ..DeliveryFilter::default() }
}

/// By the operator, about all organizations.
pub(super) fn wish(after_ms: i64) -> Wish {
    Wish {
        kind: TaskKind::ReplayDeliveries,
        organization: None,
        connection: None,
        subject: all_that_are_done().to_subject(),
        by: "cli".into(),
        at: at(after_ms),
        due_at: at(after_ms),
    }
}

pub(super) async fn wishes(bench: &Bench, wish: Wish) -> Task {
    let (id, store) = (wish.id(), bench.store().await);
    assert!(store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await.unwrap());
    store.task(&id).await.unwrap().expect("it is there")
}

pub(super) async fn claims_one(bench: &Bench, after_ms: i64) -> TaskClaim {
    let mut all = bench.store().await.claim_tasks(at(after_ms), LEASE_MS, 100).await.unwrap();
    assert_eq!(all.len(), 1, "exactly one is due");
    all.remove(0)
}

/// A piece of these, and the next one a second later.
pub(super) async fn does(
    bench: &Bench,
    claim: &TaskClaim,
    ids: &[DeliveryId],
    is_last: bool,
    after_ms: i64,
) -> TaskSettled {
    let piece = Piece { matched: 4, deliveries: ids.to_vec(), is_last };
    let outcome = TaskOutcome::Piece { piece, next: at(after_ms + 1000) };
    bench.store().await.settle_task(claim, outcome, at(after_ms)).await.unwrap()
}

/// Deliveries that were handled, newest first.
pub(super) async fn handled(bench: &Bench, count: usize) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(bench.queues(&number.to_string(), &format!("lane {number}")).await);
    }
    for claim in bench.claims(NOON).await {
        bench.settles(claim, done(), NOON).await;
    }
    ids.reverse();
    ids
}

async fn states(bench: &Bench, ids: &[DeliveryId]) -> Vec<DeliveryState> {
    let store = bench.store().await;
    let mut states = Vec::new();
    for id in ids {
        states.push(store.delivery(*id).await.unwrap().unwrap().state);
    }
    states
}

/// What the audit log says of replays.
async fn lines(bench: &Bench) -> Vec<AuditEntry> {
    let mut all = bench.store().await.audit(&AuditFilter::default(), &page()).await.unwrap().items;
    all.retain(|line| line.action.contains("replay"));
    all
}

pub(in crate::store) async fn a_replay_goes_on_where_its_last_piece_ended(bench: &Bench) {
    use DeliveryState::{Done, Queued};
    let ids = handled(bench, 4).await;
    let task = wishes(bench, wish(10)).await;
    assert_eq!((task.state, task.progress), (TaskState::Queued, Some(Progress::default())));
    let first = claims_one(bench, 10).await;
    let gone = DeliveryId::from_bytes([1; 16]);
    assert_eq!(does(bench, &first, &[ids[0], ids[1], gone], false, 20).await, TaskSettled::Done);
    assert_eq!(
        does(bench, &first, &ids[2..], true, 30).await,
        TaskSettled::LeaseLost,
        "a claim is for one piece"
    );
    bench.restart().await;
    assert_eq!(states(bench, &ids).await, [Queued, Queued, Done, Done]);
    assert!(bench.store().await.claim_tasks(at(1019), LEASE_MS, 9).await.unwrap().is_empty(), "not so soon");
    let second = claims_one(bench, 1020).await;
    let place = Progress { matched: Some(4), queued: 2, skipped: 1, last: Some(gone) };
    assert_eq!((second.task.progress.as_ref(), second.task.attempts), (Some(&place), 1));
    assert!(lines(bench).await.is_empty(), "it has not ended");
    assert_eq!(does(bench, &second, &ids[2..], true, 1030).await, TaskSettled::Done);
    assert_eq!(states(bench, &ids).await, [Queued; 4]);
    let ended = bench.store().await.task(&task.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.runs, ended.due_at), (TaskState::Done, 1, None));
    let said = "4 of 4 deliveries are queued again; the bytes of 1 are no longer kept";
    assert_eq!(ended.note.as_deref(), Some(said));
    let lines = lines(bench).await;
    assert_eq!(lines.len(), 1, "one line for all: {lines:?}");
    assert_eq!((lines[0].actor.as_str(), lines[0].action.as_str()), ("cli", "deliveries.replayed"));
    assert!(lines[0].detail.contains(said) && lines[0].detail.contains("\"state\":\"done\""), "{lines:?}");
    assert_eq!(bench.claims(at(2000)).await.len(), 4, "each is handled once more");
}

pub(in crate::store) async fn a_replay_wished_for_again_while_it_runs_is_the_same_run(bench: &Bench) {
    let ids = handled(bench, 2).await;
    let task = wishes(bench, wish(10)).await;
    assert_eq!(wishes(bench, Wish { by: "api_token:7".into(), ..wish(11) }).await, task);
    let claim = claims_one(bench, 12).await;
    does(bench, &claim, &ids[..1], false, 13).await;
    let between = bench.store().await.task(&task.id).await.unwrap().unwrap();
    assert_eq!(between.state, TaskState::Working, "it goes on");
    assert_eq!(wishes(bench, wish(14)).await, between);
    let claim = claims_one(bench, 1013).await;
    does(bench, &claim, &ids[1..], true, 1014).await;
    assert!(
        bench.store().await.claim_tasks(at(9_000), LEASE_MS, 9).await.unwrap().is_empty(),
        "it was one wish"
    );
    let anew = wishes(bench, wish(10_000)).await;
    assert_eq!((anew.state, anew.runs, anew.progress), (TaskState::Queued, 1, Some(Progress::default())));
    assert_eq!((anew.id, anew.wished_at), (task.id, at(10_000)));
}

pub(in crate::store) async fn a_cancelled_replay_queues_nothing_more_and_says_how_far_it_came(bench: &Bench) {
    use DeliveryState::{Done, Queued};
    let ids = handled(bench, 3).await;
    let task = wishes(bench, wish(10)).await;
    let claim = claims_one(bench, 10).await;
    does(bench, &claim, &ids[..1], false, 20).await;
    let claim = claims_one(bench, 1020).await;
    let store = bench.store().await;
    let ended = store.cancel_task(&task.id, "api_token:7", at(1021)).await.unwrap().expect("it can be ended");
    assert_eq!((ended.state, ended.due_at), (TaskState::Cancelled, None));
    assert_eq!(does(bench, &claim, &ids[1..], true, 1022).await, TaskSettled::LeaseLost);
    assert_eq!(states(bench, &ids).await, [Queued, Done, Done]);
    assert_eq!(store.cancel_task(&task.id, "cli", at(1023)).await.unwrap(), None, "it is over");
    assert!(store.claim_tasks(at(99_000), LEASE_MS, 9).await.unwrap().is_empty());
    let lines = lines(bench).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (why, said) = (lines[0].why.as_deref(), "1 of 4 deliveries are queued again");
    assert_eq!((lines[0].actor.as_str(), why), ("cli", Some("cancelled by api_token:7")));
    assert!(lines[0].detail.contains(said), "{lines:?}");
    drop(store);
    bench.restart().await;
    let kept = bench.store().await.task(&task.id).await.unwrap();
    assert_eq!(kept.map(|task| (task.state, task.finished_at)), Some((TaskState::Cancelled, Some(at(1021)))));
}

pub(in crate::store) async fn only_a_replay_can_be_cancelled(bench: &Bench) {
    let key = crate::domain::ConnectionKey::parse("acme-github").unwrap();
    let check = wishes(bench, Wish::now(TaskKind::CheckConnection, &slug(), &key, "cli", NOON)).await;
    let store = bench.store().await;
    for id in [check.id.as_str(), "0123456789abcdef01234567"] {
        assert_eq!(store.cancel_task(id, "cli", at(1)).await.unwrap(), None, "{id}");
    }
    assert_eq!(store.task(&check.id).await.unwrap(), Some(check));
}

pub(in crate::store) async fn a_walk_goes_on_behind_a_delivery_through_every_index(bench: &Bench) {
    let ids = handled(bench, 4).await;
    let everything = DeliveryFilter::default();
    let filters = [
        everything.clone(),
        all_that_are_done(),
        DeliveryFilter { source: Some(super::bench::source()), ..everything.clone() },
        DeliveryFilter { external_id: Some("1".into()), ..everything },
    ];
    let store = bench.store().await;
    for filter in filters {
        let all = store.deliveries(&filter, &page()).await.unwrap().items;
        for (place, id) in ids.iter().enumerate() {
            let behind = DeliveryFilter { behind: Some(*id), ..filter.clone() };
            let found = store.deliveries(&behind, &page()).await.unwrap().items;
            let rest: Vec<_> = all.iter().filter(|record| ids[place + 1..].contains(&record.id)).collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), rest, "{filter:?} behind {place}");
        }
    }
}
