//! What the indexer makes of good and bad bodies.

use std::time::Duration;

use super::fake::{id, unindexed};
use super::{Floor, met, times};
use crate::domain::delivery::DeliveryState::{self, Dead, Done, Ignored};
use crate::store::{Indexed, StoreError, Unindexed};
use crate::worker::bounds::TIME_MAX;
use crate::worker::indexer::round;

async fn index(floor: &Floor, bodies: &[&str]) -> Vec<Indexed> {
    let found = bodies.iter().zip(1..).map(|(body, n)| unindexed(n, body)).collect();
    floor.store.with(|script| script.unindexed = found);
    assert_eq!(round(&floor.context()).await.unwrap(), bodies.len());
    floor.store.with(|script| std::mem::take(&mut script.rows))
}

fn ended(row: &Indexed) -> Option<(DeliveryState, &str)> {
    row.ended.as_ref().map(|(state, why)| (*state, why.as_str()))
}

#[tokio::test]
async fn a_delivery_is_queued_behind_its_lane_and_what_is_no_work_ends() {
    let rows = index(&Floor::new(), &["push", "ping", "unwanted"]).await;
    assert_eq!(
        rows.iter().map(ended).collect::<Vec<_>>(),
        [None, Some((Done, "ping")), Some((Ignored, "unwanted"))]
    );
    assert_eq!((rows[0].event.as_str(), rows[0].action.as_deref()), ("push", Some("created")));
    assert_eq!((rows[0].lane.key.as_str(), rows[0].provider.as_str()), ("lane of push", "github"));
}

#[tokio::test]
async fn s06_a_body_that_makes_the_reader_panic_harms_only_itself() {
    let rows = index(&Floor::new(), &["counted beside a panic", "read panics", "unreadable", "push"]).await;
    assert_eq!(
        rows.iter().map(ended).collect::<Vec<_>>(),
        [None, Some((Dead, "unreadable")), Some((Dead, "unreadable")), None]
    );
    assert_eq!(rows[1].lane.key, format!("unreadable:{}", id(2)));
    assert_eq!(times("counted beside a panic"), 1, "the batch is not read again for it");
    assert_eq!(rows[1].event, "push", "the header's name, without its control character");
}

#[tokio::test(start_paused = true)]
async fn r28_a_body_that_never_ends_holds_up_nobody_for_good() {
    let _release = super::Release("read spins");
    let floor = Floor::new();
    let (good, bad) = ("counted beside a spin", "read spins");
    let found = [good, bad, good].iter().zip(1..).map(|(body, n)| unindexed(n, body)).collect();
    floor.store.with(|script| script.unindexed = found);
    let context = floor.context();
    let indexing = tokio::spawn(async move { round(&context).await });
    let past = TIME_MAX + Duration::from_millis(1);
    // Together: the first is read, the second spins, and the third is not reached.
    met(bad, 1).await;
    tokio::time::advance(past).await;
    // Singly: both good ones are read at once.
    met(bad, 2).await;
    met(good, 3).await;
    tokio::time::advance(past).await;
    assert_eq!(indexing.await.unwrap().unwrap(), 3);
    let rows = floor.store.with(|script| std::mem::take(&mut script.rows));
    assert_eq!(rows.iter().map(ended).collect::<Vec<_>>(), [None, Some((Dead, "unreadable")), None]);
}

#[tokio::test]
async fn what_came_from_a_removed_source_is_ignored() {
    let floor = Floor::new();
    floor.store.with(|script| script.removed = true);
    let rows = index(&floor, &["push", "unreadable"]).await;
    assert!(rows.iter().all(|row| ended(row) == Some((Ignored, "source-removed"))), "{rows:?}");
    floor.store.with(|script| script.no_source = true);
    let rows = index(&floor, &["push"]).await;
    assert_eq!(ended(&rows[0]), Some((Ignored, "source-removed")));
}

#[tokio::test]
async fn r23_a_batch_that_cannot_be_written_is_found_again() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.unindexed = vec![unindexed(1, "push")];
        script.faults.push_back(("index", StoreError::Unavailable("full".into())));
    });
    let context = floor.context();
    assert!(round(&context).await.is_err());
    assert_eq!(round(&context).await.unwrap(), 1);
    assert_eq!(floor.store.with(|script| script.rows.len()), 1);
}

#[tokio::test]
async fn r28_a_delivery_is_noted_before_it_is_read_and_the_suspects_are_read_singly() {
    let floor = Floor::new();
    let found = [(1, 1), (2, 2), (3, 3), (4, 0), (5, 0)];
    let found = found.map(|(n, deaths)| Unindexed { deaths, ..unindexed(n, "push") });
    floor.store.with(|script| script.unindexed = found.into());
    assert_eq!(round(&floor.context()).await.unwrap(), 5);
    let (read, rows) =
        floor.store.with(|script| (std::mem::take(&mut script.read), std::mem::take(&mut script.rows)));
    assert_eq!(read, [vec![id(1)], vec![], vec![id(2)], vec![], vec![id(4), id(5)], vec![]]);
    assert_eq!(
        rows.iter().map(ended).collect::<Vec<_>>(),
        [None, None, Some((Dead, "crash_loop")), None, None]
    );
}

#[tokio::test]
async fn r28_what_cannot_be_noted_is_not_read() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.unindexed = vec![unindexed(1, "counted when not noted")];
        script.faults.push_back(("reading", StoreError::Unavailable("full".into())));
    });
    assert!(round(&floor.context()).await.is_err());
    assert_eq!(times("counted when not noted"), 0);
}
