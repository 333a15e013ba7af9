//! The loops as they run: supervised, restarted, stopped.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Floor;
use super::fake::{claim, id, unindexed};
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::store::{StoreError, StoreFigures};
use crate::worker::inbox::lock;
use crate::worker::{Stopped, Workers, metric, start};

fn run(floor: &Floor) -> Workers {
    start(floor.parts(), &CancellationToken::new())
}

fn away() -> StoreError {
    StoreError::Unavailable("full".into())
}

#[tokio::test(start_paused = true)]
async fn r23_everything_stored_is_indexed_and_everything_due_is_settled() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.unindexed = (1..=600).map(|n| unindexed(n, "push")).collect();
        script.due = (1..=200).map(|n| claim(n, 1, "push")).collect();
    });
    let workers = run(&floor);
    floor.store.until(|script| script.rows.len() == 600 && script.settled.len() == 200).await;
    assert_eq!(workers.stop(Duration::from_secs(10)).await, Stopped::InTime);
}

#[tokio::test(start_paused = true)]
async fn r28_the_poison_among_a_hundred_harms_only_itself() {
    let floor = Floor::new();
    let body = |n| if n == 50 { "handle panics" } else { "push" };
    floor.store.with(|script| script.due = (1..=100).map(|n| claim(n, 1, body(n))).collect());
    let workers = run(&floor);
    floor.store.until(|script| script.settled.len() == 100).await;
    let bad = floor.store.with(|script| {
        let retried = |(_, outcome): &&(_, _)| matches!(outcome, crate::store::Outcome::Retry { .. });
        script.settled.iter().filter(retried).map(|(id, _)| *id).collect::<Vec<_>>()
    });
    assert_eq!(bad, [id(50)]);
    workers.stop(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_fails_begins_again_slower_each_time_and_tells_once() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.faults.extend((0..4).map(|_| ("unindexed", away())));
        script.faults.push_back(("claim", away()));
    });
    let began = Instant::now();
    let workers = run(&floor);
    floor.store.until(|script| script.calls.get("unindexed") >= Some(&5)).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(250 + 500 + 1_000 + 2_000), "{took:?}");
    assert!(took <= Duration::from_millis(3_900), "{took:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = ["indexer Running", "indexer Failing", "indexer Running"];
    assert_eq!(floor.heard.lines("indexer"), told);
    assert_eq!(floor.heard.lines("inbox"), told.map(|line| line.replace("indexer", "inbox")));
    workers.stop(Duration::from_secs(10)).await;
    assert_eq!(floor.heard.lines("indexer").last().unwrap(), "indexer Stopped");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_has_stopped_ends_all_loops_and_is_told_once() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.faults.push_back(("unindexed", StoreError::Failed("sync".into())));
        script.faults.push_back(("claim", StoreError::Failed("sync".into())));
        script.faults.push_back(("probe", StoreError::Failed("sync".into())));
    });
    let began = Instant::now();
    let workers = run(&floor);
    workers.context.tasks.close();
    workers.context.tasks.wait().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(floor.heard.lines("fatal"), ["fatal: sync"]);
}

#[tokio::test(start_paused = true)]
async fn r42_a_stop_gives_back_what_is_under_way() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.hung.insert("known");
        script.due = (1..=5).map(|n| claim(n, 1, "push")).collect();
    });
    let workers = run(&floor);
    floor.store.until(|script| script.calls.get("known") == Some(&5)).await;
    let began = Instant::now();
    assert_eq!(workers.stop(Duration::from_secs(8)).await, Stopped::InTime);
    assert!(began.elapsed() <= Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(floor.settled().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn r42_a_store_that_hangs_cannot_hold_the_stop() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.hung.extend(["known", "settle", "unindexed"]);
        script.due = (1..=5).map(|n| claim(n, 1, "push")).collect();
    });
    let workers = run(&floor);
    floor.store.until(|script| script.calls.get("known") == Some(&5)).await;
    let began = Instant::now();
    assert_eq!(
        workers.stop(Duration::from_secs(8)).await,
        Stopped::Dropped(6),
        "five claims and the indexer"
    );
    assert!(began.elapsed() <= Duration::from_secs(8), "{:?}", began.elapsed());
    workers.context.tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn the_store_is_probed_every_2_s_unless_a_delivery_was_just_written() {
    let floor = Floor::new();
    *lock(&floor.heard.last_write) = Some(Timestamp::from_ms(0));
    let workers = run(&floor);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(floor.store.calls("probe"), 0);
    *lock(&floor.heard.last_write) = None;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(floor.store.calls("probe"), 5);
    floor.store.with(|script| script.faults.push_back(("probe", away())));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(floor.heard.lines("unwritable"), ["unwritable: the store cannot do this now: full"]);
    floor.store.with(|script| script.hung.insert("probe"));
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(floor.heard.lines("unwritable").len(), 2);
    workers.stop(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn retention_goes_on_until_nothing_is_old_and_comes_again_after_a_minute() {
    let floor = Floor::new();
    floor.store.with(|script| script.pieces = 3);
    let workers = run(&floor);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(floor.store.calls("purge"), 4);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(floor.store.calls("purge"), 5);
    workers.stop(Duration::from_secs(10)).await;
}

#[test]
fn gauges_show_the_stores_figures_and_fall_back_to_zero() {
    let exporter = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let page = exporter.handle();
    let figures = StoreFigures {
        by_state: vec![(DeliveryState::Queued, 7)],
        dead_by_reason: vec![("exhausted".into(), 2), ("O'Reilly\"}".into(), 1)],
        oldest_due_at: Some(Timestamp::from_ms(-3_000)),
        tasks: 5,
        task_due_at: Some(Timestamp::from_ms(-1_000)),
        free_bytes: Some(9),
        ..StoreFigures::default()
    };
    metrics::with_local_recorder(&exporter, || {
        let mut shown = std::collections::BTreeSet::new();
        crate::worker::timer::show(&figures, &mut shown, 1_000);
        assert_page(
            &page.render(),
            &[
                ("queue_depth{kind=\"delivery\",state=\"queued\"}", "7"),
                ("queue_depth{kind=\"delivery\",state=\"waiting\"}", "0"),
                ("queue_oldest_due_age_seconds{kind=\"delivery\"}", "4"),
                ("queue_depth{kind=\"task\",state=\"queued\"}", "5"),
                ("queue_oldest_due_age_seconds{kind=\"task\"}", "2"),
                ("dead_letters{reason=\"exhausted\"}", "2"),
                ("dead_letters{reason=\"other\"}", "1"),
                ("store_free_bytes", "9"),
            ],
        );
        crate::worker::timer::show(&StoreFigures::default(), &mut shown, 1_000);
        metric::dead("a delivery's name 7");
        assert_page(
            &page.render(),
            &[
                ("dead_letters{reason=\"exhausted\"}", "0"),
                ("queue_oldest_due_age_seconds{kind=\"delivery\"}", "0"),
                ("dead_letters_total{kind=\"delivery\",reason=\"other\"}", "1"),
            ],
        );
    });
}

fn assert_page(page: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let line = format!("scm_connect_{name} {value}");
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn r09_what_a_scrub_finds_is_told_at_once_and_again_at_the_end_of_its_pass() {
    let floor = Floor::new();
    floor.store.with(|script| script.damages.extend(["frame 7".to_owned(), "frame 9".to_owned()]));
    let workers = run(&floor);
    floor.store.until(|script| script.calls.get("scrub") >= Some(&5)).await;
    workers.stop(Duration::from_secs(10)).await;
    let told = floor.heard.lines("checked");
    assert_eq!(
        told.iter().take(4).map(String::as_str).collect::<Vec<_>>(),
        ["checked: frame 7", "checked: frame 7; frame 9", "checked: frame 7; frame 9", "checked: "]
    );
}
