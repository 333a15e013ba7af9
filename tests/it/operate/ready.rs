//! Health tells the truth while a disk hangs.

use std::time::{Duration, Instant};

use crate::harness::bench::Bench;
use crate::harness::client::Client;
use crate::harness::ledger::Ledger;

/// How long the disk hangs, once.
const HANGS: Duration = Duration::from_secs(11);

#[tokio::test(flavor = "multi_thread")]
async fn r49_readiness_ends_within_six_seconds_of_a_disk_that_hangs_and_is_back_within_ten() {
    let bench = Bench::new();
    let fault = format!("inbox.before-commit=stall:{}@9", HANGS.as_millis());
    let daemon = bench.start().fault(&fault).ready().await;
    let ledger = Ledger::new(49_000);
    let client = Client::new(&daemon.public, &ledger);
    // Until one of them is not answered: that one hangs.
    let mut began = Instant::now();
    while tokio::time::timeout(Duration::from_secs(1), client.send(300)).await.is_ok() {
        began = Instant::now();
        assert!(ledger.acked() < 20, "nothing hangs: {}", ledger.summary());
    }
    let red = daemon.await_ops("/readyz", 503, Duration::from_secs(10)).await;
    let red = red.map(|_| began.elapsed());
    assert!(red.is_some_and(|took| took <= Duration::from_secs(6)), "red after {red:?}\n{}", daemon.output());
    assert_eq!(
        daemon.ops_status("/livez").await,
        Some(200),
        "a hanging disk is no reason to kill the process"
    );

    tokio::time::sleep(HANGS.saturating_sub(began.elapsed())).await;
    let back = Instant::now();
    let green = daemon.await_ops("/readyz", 200, Duration::from_secs(15)).await;
    println!("r49: red after {red:?}, green {green:?} after the disk was back");
    assert!(green.is_some_and(|_| back.elapsed() <= Duration::from_secs(10)), "{}", daemon.output());
    assert!(client.send(300).await.is_ack());
    daemon.stop().await;
}
