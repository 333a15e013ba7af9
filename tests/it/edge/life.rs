//! A long life in short: bursts, retention, random faults; nothing grows, nothing starves.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::clock::LIBRARY;
use super::status;
use crate::harness::bench::Bench;
use crate::harness::check::{assert_nothing_lost, kept};
use crate::harness::client::Client;
use crate::harness::daemon::Daemon;
use crate::harness::dice::Dice;
use crate::harness::ledger::Ledger;
use crate::harness::sized;

/// Bytes that the store takes, what it only sets aside left out.
fn bytes_in(store: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let paths = crate::crash::syscall::paths(store);
    let files =
        paths.iter().filter(|path| !path.ends_with("reserve")).filter_map(|path| path.metadata().ok());
    files.filter(std::fs::Metadata::is_file).map(|meta| meta.blocks() * 512).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_what_is_past_its_time_gives_its_space_back() {
    let bench = Bench::new();
    let mut sizes = Vec::new();
    // The bounded form sees that records go; the full one fills log files, which go whole.
    let (rounds, count, bytes) = sized((3_u64, 60, 2_000), (12, 2_300, 200_000));
    for round in 0..rounds {
        // Each round is lived a hundred days after the one before: by then nothing of it is kept.
        let start = bench
            .start()
            .with("LD_PRELOAD", LIBRARY)
            .with("FAKETIME", &format!("+{}d", round * 100))
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let daemon = start.ready().await;
        let ledger = Ledger::new(13_000 + round);
        Client::new(&daemon.public, &ledger).send_all(count, bytes).await;
        assert_eq!(ledger.acked(), count, "{}", ledger.summary());
        let there = kept(&ledger.entries(), &daemon).await.deliveries;
        assert_eq!(there.len(), count, "records of before are kept");
        sizes.push(bytes_in(&bench.store()));
        println!("r13 round {round}: {} KiB", sizes.last().unwrap() >> 10);
        daemon.stop().await;
    }
    // A log file is deleted whole, once nothing in it is needed; the one that is written stays.
    let most = sizes[0] + (88 << 20);
    assert!(sizes.iter().all(|size| *size <= most), "it grows: {sizes:?}, {most} is allowed");
}

fn has_ended(state: &str) -> bool {
    matches!(state, "done" | "ignored" | "superseded")
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_one_tenants_burst_starves_no_other() {
    let bench = Bench::new();
    let secret = crate::harness::bench::GITHUB_SECRET;
    let more = format!(
        "[[organizations]]\nslug = \"quiet\"\nname = \"Quiet\"\n[[sources]]\nkey = \"quiet-app\"\n\
         organizations = [\"quiet\"]\nprovider = \"github\"\nurl = \"https://github.com\"\n\
         webhook_secrets = [{{ value = \"{secret}\" }}]\n"
    );
    std::fs::write(bench.config(), bench.text(&more)).unwrap();
    let daemon = bench.daemon().await;
    let (loud, quiet) = (Ledger::new(27_000), Ledger::new(27_500));
    // Up to 160 a second: twice the rate of the bar, 50,000 in ten minutes.
    let load = Client::new(&daemon.public, &loud).load(16, 1_000, Duration::from_millis(100));
    let client = Client::new(&daemon.public, &quiet).at("quiet-app");
    let (mut answers, mut ends) = (Vec::new(), Vec::new());
    let until = Instant::now() + Duration::from_secs(sized(8, 600));
    while Instant::now() < until {
        let began = Instant::now();
        let parcel = quiet.next(300);
        assert!(client.deliver(&parcel).await.is_ack(), "{}", quiet.summary());
        answers.push(began.elapsed());
        // Whose account it is depends on who was first; what counts is when its end is known.
        while !super::poison::fate(&daemon, &parcel.id).await.is_some_and(|(state, _)| has_ended(&state)) {
            let waited = began.elapsed();
            assert!(waited < Duration::from_secs(60), "the quiet one starves:\n{}", daemon.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ends.push(began.elapsed());
    }
    load.stop().await;
    for times in [&mut answers, &mut ends] {
        times.sort_unstable();
    }
    let at = |times: &[Duration], percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
    let (answer, end) = (at(&answers, 99), at(&ends, 95));
    println!(
        "r27: {} beside {} of the loud one, answer p99 {answer:?}, done p95 {end:?}",
        ends.len(),
        loud.acked()
    );
    assert_eq!(loud.count(|answer| !answer.is_ack()), 0, "{}", loud.summary());
    assert!(answer <= Duration::from_secs(1), "{answer:?}");
    assert!(end <= Duration::from_secs(30), "{end:?}");
    daemon.stop().await;
}

/// Threads and open files.
fn held(daemon: &Daemon) -> (usize, usize) {
    let count = |what: &str| {
        std::fs::read_dir(format!("/proc/{}/{what}", daemon.pid().as_raw_nonzero())).unwrap().count()
    };
    (count("task"), count("fd"))
}

/// Waits until nothing of a load is left: threads that were made for waiting work end by themselves after ten seconds.
async fn goes_back_to(before: (usize, usize), daemon: &Daemon) {
    let mut after = held(daemon);
    for _ in 0..200 {
        if after.0 <= before.0 + 16 && after.1 <= before.1 + 16 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = held(daemon);
    }
    panic!("{before:?} became {after:?}");
}

/// One thing that happens to a daemon in its life.
async fn happening(daemon: &Daemon, dice: &mut Dice) {
    match dice.below(4) {
        0 => daemon.signal(Signal::HUP),
        1 => {
            daemon.signal(Signal::STOP);
            tokio::time::sleep(Duration::from_millis(500)).await;
            daemon.signal(Signal::CONT);
        }
        2 => {
            let address = daemon.public.parse().unwrap();
            let idle: Vec<_> = (0..100)
                .filter_map(|_| {
                    std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok()
                })
                .collect();
            drop(idle);
        }
        _ => {
            let junk = reqwest::Client::builder().no_proxy().build().unwrap();
            for _ in 0..20 {
                let url = format!("http://{}/hooks/our-app", daemon.public);
                let _refused =
                    junk.post(url).header("content-type", "application/json").body("{}").send().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r51_a_life_full_of_faults_loses_nothing_and_nothing_grows() {
    let bench = Bench::new();
    let ledger = Ledger::new(51_000);
    let mut dice = Dice::new("r51", 51);
    let until = Instant::now() + Duration::from_secs(sized(15, 20 * 60));
    let (mut lives, mut things) = (0, 0);
    while Instant::now() < until {
        let daemon = bench.daemon().await;
        let load = Client::new(&daemon.public, &ledger).load(4, 700, Duration::from_millis(10));
        let before = held(&daemon);
        for _ in 0..=dice.below(sized(3, 10)) {
            happening(&daemon, &mut dice).await;
            tokio::time::sleep(Duration::from_millis(300 + dice.below(sized(500, 20_000)))).await;
            things += 1;
        }
        let kills = dice.below(2) == 0;
        if kills {
            daemon.kill().await;
            load.stop().await;
        } else {
            load.stop().await;
            goes_back_to(before, &daemon).await;
            assert!(status(&daemon, &["status"]).await["config_hash"].is_string());
            daemon.stop().await;
        }
        lives += 1;
    }
    let daemon = bench.daemon().await;
    println!("r51: {lives} lives, {things} happenings, {}", ledger.summary());
    assert!(ledger.acked() > 100, "{}", ledger.summary());
    assert_nothing_lost(&ledger, &daemon).await;
    assert!(!daemon.output().contains("\"error\""), "an error nobody planted:\n{}", daemon.output());
    daemon.stop().await;
}
