//! What becomes of one claim.

use std::time::Duration;

use super::Floor;
use super::fake::{claim, id};
use crate::domain::Timestamp;
use crate::domain::change::{Changes, Reason, Verdict};
use crate::domain::delivery::{Attempt, DeliveryState};
use crate::store::{Outcome, StoreError};
use crate::worker::attempt::make;
use crate::worker::schedule::{OVERTIME, STOPPED};

/// Makes one attempt and returns how it was settled.
async fn attempt(floor: &Floor, attempts: u32, body: &str) -> Vec<Outcome> {
    make(&floor.context(), claim(1, attempts, body)).await;
    floor.settled()
}

fn unfinished(number: u32) -> Attempt {
    Attempt { number, started_at: Timestamp::from_ms(0), took_ms: None, led_to: None, error: None }
}

fn handled() -> Outcome {
    Outcome::Apply(Changes::none(Verdict::Superseded("0".into())))
}

#[tokio::test]
async fn a_claim_is_handled_with_the_time_of_its_receipt() {
    assert_eq!(attempt(&Floor::new(), 1, "push").await, [handled()]);
}

#[tokio::test]
async fn an_event_that_nobody_is_bound_to_is_settled_unbound() {
    let floor = Floor::new();
    assert_eq!(attempt(&floor, 1, "unbound").await, [Outcome::Apply(Changes::none(Verdict::Unbound))]);
    assert_eq!(floor.store.calls("known"), 0);
}

#[tokio::test]
async fn s06_a_panic_is_retried_and_its_text_is_bounded() {
    for (body, said) in
        [("read panics", "handler panicked: reader"), ("handle panics", "handler panicked: xx")]
    {
        let settled = attempt(&Floor::new(), 1, body).await;
        let [Outcome::Retry { at, error }] = settled.as_slice() else { panic!("{settled:?}") };
        assert_eq!(at.ms(), 6_000, "five seconds from now");
        assert!(error.starts_with(said), "{error}");
        assert!(error.len() <= 1_024 && !error.chars().any(char::is_control), "{error}");
    }
}

#[tokio::test]
async fn r28_the_tenth_failure_is_the_last() {
    let floor = Floor::new();
    let failed =
        |number| Attempt { led_to: Some(DeliveryState::Waiting), took_ms: Some(1), ..unfinished(number) };
    floor.store.with(|script| script.attempts.insert(id(1), (1..=9).map(failed).collect()));
    let settled = attempt(&floor, 10, "handle panics").await;
    assert!(matches!(&settled[..], [Outcome::Park { reason, .. }] if reason == "exhausted"), "{settled:?}");
}

#[tokio::test]
async fn r28_what_killed_the_process_three_times_is_parked_unread() {
    let floor = Floor::new();
    floor.store.with(|script| script.attempts.insert(id(1), (1..=3).map(unfinished).collect()));
    let settled = attempt(&floor, 3, "push").await;
    assert_eq!(settled, [handled()], "the third try itself is made");
    let floor = Floor::new();
    floor.store.with(|script| script.attempts.insert(id(1), (1..=4).map(unfinished).collect()));
    let settled = attempt(&floor, 4, "read spins").await;
    assert!(matches!(&settled[..], [Outcome::Park { reason, .. }] if reason == "crash_loop"), "{settled:?}");
}

#[tokio::test(start_paused = true)]
async fn r28_a_handler_that_never_ends_is_left_behind_after_30_s_while_the_claim_is_kept() {
    let _release = super::Release("handle spins");
    let floor = Floor::new();
    let context = floor.context();
    let attempt = tokio::spawn(async move { make(&context, claim(1, 1, "handle spins")).await });
    super::met("handle spins", 1).await;
    for _ in 0..301 {
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    attempt.await.unwrap();
    let settled = floor.settled();
    assert!(matches!(&settled[..], [Outcome::Retry { error, .. }] if error == OVERTIME), "{settled:?}");
    assert!(floor.store.calls("extend") >= 2, "{}", floor.store.calls("extend"));
}

#[tokio::test]
async fn an_unreadable_body_is_parked() {
    let settled = attempt(&Floor::new(), 1, "unreadable").await;
    let [Outcome::Park { reason, error }] = settled.as_slice() else { panic!("{settled:?}") };
    assert_eq!((reason.as_str(), error.as_str()), ("unreadable", "the body cannot be read: no JSON object"));
}

#[tokio::test]
async fn a_removed_source_ends_what_is_still_queued() {
    let floor = Floor::new();
    floor.store.with(|script| script.removed = true);
    let ignored = Changes::none(Verdict::Ignored(Reason::SourceRemoved));
    assert_eq!(attempt(&floor, 1, "push").await, [Outcome::Apply(ignored)]);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_changes_nothing() {
    let floor = Floor::new();
    floor.store.with(|script| script.lost.insert(id(1)));
    assert_eq!(attempt(&floor, 1, "push").await, []);
    assert_eq!(floor.store.calls("settle"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_hears_of_its_lost_lease_stops_working() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.lost.insert(id(1));
        script.hung.insert("known");
    });
    assert_eq!(attempt(&floor, 1, "push").await, []);
    assert_eq!((floor.store.calls("extend"), floor.store.calls("settle")), (1, 0));
}

#[tokio::test]
async fn an_event_is_handled_again_when_a_record_changed() {
    let floor = Floor::new();
    floor.store.with(|script| script.changes = 3);
    assert_eq!(attempt(&floor, 1, "push").await, [handled()]);
    assert_eq!((floor.store.calls("known"), floor.store.calls("settle")), (4, 4));
}

#[tokio::test]
async fn records_that_keep_changing_put_the_event_off() {
    let floor = Floor::new();
    floor.store.with(|script| script.changes = 100);
    let settled = attempt(&floor, 1, "push").await;
    assert!(matches!(settled[..], [Outcome::Retry { .. }]), "{settled:?}");
    assert_eq!((floor.store.calls("known"), floor.store.calls("settle")), (8, 9));
}

#[tokio::test(start_paused = true)]
async fn r23_a_store_that_is_away_for_a_moment_is_asked_again() {
    for verb in ["source", "candidates", "known", "settle"] {
        let floor = Floor::new();
        floor.store.with(|script| {
            script.faults.extend((0..5).map(|_| (verb, StoreError::Unavailable("full".into()))));
        });
        assert_eq!(attempt(&floor, 1, "push").await, [handled()], "{verb}");
    }
}

#[tokio::test(start_paused = true)]
async fn r23_a_store_that_stays_away_is_no_poison_of_the_delivery() {
    let floor = Floor::new();
    let context = floor.context();
    for number in 1..=4 {
        floor.store.with(|script| {
            script.faults.extend((0..8).map(|_| ("settle", StoreError::Unavailable("full".into()))));
            script.attempts.entry(id(1)).or_default().push(unfinished(number));
        });
        make(&context, claim(1, number, "push")).await;
        assert_eq!(floor.settled(), [], "left to the end of its lease");
    }
    make(&context, claim(1, 5, "push")).await;
    assert_eq!(floor.settled(), [handled()]);
}

#[tokio::test]
async fn a_damaged_record_is_met_again_later() {
    let floor = Floor::new();
    floor.store.with(|script| script.faults.push_back(("known", StoreError::Corrupt("checksum".into()))));
    let settled = attempt(&floor, 1, "push").await;
    assert!(matches!(settled[..], [Outcome::Retry { .. }]), "{settled:?}");
}

#[tokio::test]
async fn a_store_that_has_stopped_is_told_at_once() {
    let floor = Floor::new();
    floor.store.with(|script| script.faults.push_back(("settle", StoreError::Failed("sync".into()))));
    let context = floor.context();
    make(&context, claim(1, 1, "push")).await;
    make(&context, claim(2, 1, "push")).await;
    assert_eq!(floor.heard.lines("fatal"), ["fatal: sync"]);
    assert!(context.stopping.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn r42_a_claim_under_way_is_given_back() {
    let floor = Floor::new();
    floor.store.with(|script| script.hung.insert("known"));
    let context = floor.context();
    context.giving_back.cancel();
    make(&context, claim(1, 1, "push")).await;
    let back = Outcome::Retry { at: Timestamp::from_ms(1_000), error: STOPPED.into() };
    assert_eq!(floor.settled(), [back]);
}
