//! The machine's clock jumps under the running daemon (reliability R41): libfaketime moves it, and leaves the clock that
//! nobody can set alone.

use std::time::{Duration, Instant};

use crate::harness::bench::Bench;
use crate::harness::check::{assert_nothing_lost, kept};
use crate::harness::client::Client;
use crate::harness::daemon::Daemon;
use crate::harness::ledger::Ledger;

pub(super) const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const YEAR_S: i64 = 365 * 24 * 60 * 60;
/// An idle daemon takes less than this share of one processor; one that spins takes all of it.
const BUSY_MAX: f64 = 0.25;

/// Seconds of processor time that it has used.
fn used_s(daemon: &Daemon) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid().as_raw_nonzero())).unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// The share of one processor that it uses while nothing is sent.
async fn idle_share(daemon: &Daemon) -> f64 {
    let (before, began) = (used_s(daemon), Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    (used_s(daemon) - before) / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn r41_a_clock_that_jumps_stops_no_delivery_and_heats_no_processor() {
    assert!(std::path::Path::new(LIBRARY).exists(), "libfaketime is installed by tests/tools");
    let bench = Bench::new();
    let ledger = Ledger::new(41_000);
    let offset = bench.file("offset");
    std::fs::write(&offset, "+0").unwrap();
    let start = bench
        .start()
        .with("LD_PRELOAD", LIBRARY)
        .with("FAKETIME_TIMESTAMP_FILE", &offset.display().to_string())
        .with("FAKETIME_NO_CACHE", "1")
        .with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let daemon = start.ready().await;
    let client = Client::new(&daemon.public, &ledger);
    client.send_all(10, 300).await;
    let mut seen = 0;
    for (what, offset_s) in
        [("-1 h", -3_600), ("+1 day", 86_400), ("-10 years", -10 * YEAR_S), ("+10 years", 10 * YEAR_S)]
    {
        kept(&ledger.entries(), &daemon).await;
        std::fs::write(&offset, format!("{offset_s:+}")).unwrap();
        client.send_all(10, 300).await;
        let there = kept(&ledger.entries(), &daemon).await.deliveries;
        let open: Vec<_> = there
            .values()
            .filter(|one| !["done", "superseded"].contains(&one["state"].as_str().unwrap()))
            .collect();
        assert!(open.is_empty(), "{what}: {open:?}\n{}", daemon.output());
        let share = idle_share(&daemon).await;
        println!("r41 {what}: idle at {:.1} % of one processor", share * 100.0);
        assert!(share < BUSY_MAX, "{what}: {share} of one processor while idle");
        assert_eq!(daemon.ops_status("/readyz").await, Some(200), "{what}");
        seen += 1;
        let told = daemon.output().matches("\"clock-jumped\"").count();
        assert_eq!(told, seen, "{what} is told once:\n{}", daemon.output());
    }
    assert!(!daemon.output().contains("\"panic\""), "{}", daemon.output());
    assert_eq!(ledger.acked(), 50, "{}", ledger.summary());
    daemon.stop().await;
    let daemon = bench.daemon().await;
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
}
