//! The process dies between any two steps (reliability R3).

use std::time::Duration;

use scm_connect::fault::POINTS;

use crate::harness::bench::Bench;
use crate::harness::check::assert_nothing_lost;
use crate::harness::client::Client;
use crate::harness::ledger::Ledger;
use crate::harness::sized;

/// Deliveries of one scenario.
const SCENARIO: usize = 20;
/// Points that this scenario cannot reach (a log file has to fill up first, keys have to be rotated), and where they are
/// proven.
const NOT_REACHED: [&str; 9] = [
    // The unit tests of the journal, with files of a few hundred bytes.
    "journal.before-roll",
    "journal.after-roll",
    "journal.before-drop",
    "journal.after-floor",
    // it/keep/keys.rs, on both stores.
    "keys.before-renew",
    "keys.before-reseal",
    "keys.after-copy",
    "keys.before-forget",
    "keys.before-clear",
];

/// Sends the scenario to a daemon with this fault, however far it comes; then a daemon without one must have it all.
async fn scenario(run: u64, fault: &str) -> bool {
    let bench = Bench::new();
    let ledger = Ledger::new(run);
    // What is made at the first start is not what this is about.
    bench.daemon().await.stop().await;
    let mut daemon = bench.start().fault(fault).spawn();
    if daemon.await_ready().await {
        let client = Client::new(&daemon.public, &ledger);
        let send = async { client.send_all(SCENARIO, 500).await };
        let _ = tokio::time::timeout(Duration::from_secs(60), send).await;
        // Time for what follows an acknowledgement: indexing, handling, a checkpoint.
        let _ = daemon.ended_within(Duration::from_secs(3)).await;
    }
    let died = daemon.ended_within(Duration::ZERO).await.is_some();
    daemon.kill().await;
    let daemon = bench.daemon().await;
    let client = Client::new(&daemon.public, &ledger);
    client.send_all(2, 500).await;
    assert!(ledger.acked() >= 2, "the daemon after {fault} takes nothing: {}", ledger.summary());
    println!("r03 {fault}: died {died}, {}", ledger.summary());
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
    died
}

async fn each_point(from: usize, step: usize) {
    let mut unreached = Vec::new();
    for (number, (name, _)) in POINTS.iter().enumerate().skip(from).step_by(step) {
        for at in sized(&[1_u64, 7][..], &[1, 2, 3, 7, 15, 25]) {
            let died = scenario(3_000 + number as u64 * 100 + at, &format!("{name}=abort@{at}")).await;
            if !died && *at == 1 {
                unreached.push(*name);
            }
        }
    }
    unreached.retain(|name| !NOT_REACHED.contains(name));
    assert!(unreached.is_empty(), "the scenario does not come by {unreached:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_a_process_killed_at_any_step_loses_nothing_first_half() {
    each_point(0, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_a_process_killed_at_any_step_loses_nothing_second_half() {
    each_point(1, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_a_step_that_stalls_for_five_seconds_loses_nothing() {
    // One of each kind in the bounded form: the door's sync, the answer, and the handler's write.
    let few = ["journal.before-sync", "inbox.before-answer", "records.before-apply"];
    for (number, (name, _)) in POINTS.iter().enumerate() {
        if !sized(few.contains(name), true) || NOT_REACHED.contains(name) {
            continue;
        }
        let died = scenario(3_900 + number as u64, &format!("{name}=stall:5000@9")).await;
        assert!(!died, "{name}: a stall is no reason to die");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_daemon_killed_again_and_again_under_load_loses_nothing() {
    let bench = Bench::new();
    let ledger = Ledger::new(1_000);
    for round in 0..sized(5_u64, 50) {
        let daemon = bench.daemon().await;
        let load = Client::new(&daemon.public, &ledger).load(8, 800, Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(300 + 137 * (round % 7))).await;
        daemon.kill().await;
        load.stop().await;
    }
    let daemon = bench.daemon().await;
    println!("r01 killed: {}", ledger.summary());
    assert!(ledger.acked() > 50, "too little was sent: {}", ledger.summary());
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
}
