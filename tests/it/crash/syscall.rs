//! System calls on the store fail, once or from then on (reliability R4 and R5).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::bench::Bench;
use crate::harness::check::assert_nothing_lost;
use crate::harness::client::Client;
use crate::harness::daemon::Start;
use crate::harness::ledger::{Answer, Ledger};
use crate::harness::sized;

const CALLS: [(&str, &str); 6] = [
    ("pwrite64", "EIO"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("openat", "EIO"),
    ("rename", "EIO"),
    ("ftruncate", "EIO"),
];

/// Every file and folder of a store: strace limits what it injects to these.
pub(crate) fn paths(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (vec![dir.to_owned()], vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.metadata().unwrap().is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

/// strace that leaves the program our own child, and injects into calls on the store's files only.
pub(super) fn strace(bench: &Bench, calls: &str, injection: &str) -> (Start, PathBuf) {
    let trace = bench.file("trace.txt");
    let mut words: Vec<String> = ["strace", "-D", "-f", "-qq", "-o"].map(str::to_owned).into();
    words.push(trace.display().to_string());
    let mut limited = paths(&bench.store());
    // Named before they are there, so that their making can fail too.
    limited.extend(["checkpoint.draft", "checkpoint"].map(|name| bench.store().join(name)));
    for path in limited {
        words.extend(["-P".to_owned(), path.display().to_string()]);
    }
    words.extend(["-e".to_owned(), format!("trace={calls}")]);
    words.extend(["-e".to_owned(), format!("inject={calls}:{injection}")]);
    (bench.start().under(&words), trace)
}

fn injected(trace: &Path) -> usize {
    fs::read_to_string(trace).unwrap_or_default().matches("(INJECTED)").count()
}

/// What a daemon did about failing calls.
struct Seen {
    injected: usize,
    exit: Option<i32>,
}

/// A daemon under injection takes a load; afterwards one without must have all that was acknowledged.
async fn case(run: u64, call: &str, how: &str) -> Seen {
    let bench = Bench::new();
    let ledger = Ledger::new(run);
    let daemon = bench.daemon().await;
    Client::new(&daemon.public, &ledger).send_all(3, 500).await;
    daemon.stop().await;
    let (start, trace) = strace(&bench, call, how);
    let mut daemon = start.spawn();
    let mut exit = None;
    if daemon.await_listening().await {
        let client = Client::new(&daemon.public, &ledger);
        let load = client.load(4, 500, Duration::from_millis(5));
        let ended = daemon.ended_within(Duration::from_secs(4)).await;
        load.stop().await;
        exit = ended.and_then(|status| status.code());
        assert_ne!(exit, Some(0), "{call} {how}: nobody asked it to end");
    } else {
        exit = exit.or(daemon.ended_within(Duration::ZERO).await.and_then(|status| status.code()));
        let output = daemon.output();
        assert!(
            exit.is_some_and(|code| code != 0),
            "{call} {how}: neither ready nor ended with a code\n{output}"
        );
        assert!(daemon.output().contains("error:"), "{call} {how}: it ended without a word");
    }
    assert!(!daemon.output().contains("panicked"), "{call} {how}:\n{}", daemon.output());
    daemon.kill().await;
    let injected = injected(&trace);
    println!("r04 {call} {how}: injected {injected}, exit {exit:?}, {}", ledger.summary());
    let daemon = bench.daemon().await;
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
    Seen { injected, exit }
}

async fn sweep(calls: &[(&str, &str)], run: u64) {
    let whens: Vec<String> = if sized(false, true) {
        (1..=30).map(|k| k.to_string()).chain((1..=30).map(|k| format!("{k}+"))).collect()
    } else {
        ["1", "3", "9", "2+"].map(str::to_owned).into()
    };
    let mut hits: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, (call, error)) in calls.iter().enumerate() {
        for (k, when) in whens.iter().enumerate() {
            let run = run + number as u64 * 100 + k as u64;
            let seen = case(run, call, &format!("error={error}:when={when}")).await;
            *hits.entry(call).or_default() += seen.injected;
        }
    }
    println!("r04 calls that were made to fail: {hits:?}");
    for (call, _) in calls {
        // A daemon that was closed well makes no use of some calls while it works.
        assert!(hits.get(call).is_some_and(|hits| *hits > 0) || *call == "ftruncate", "{call} never failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r04_a_failing_write_or_sync_is_never_acknowledged() {
    sweep(&CALLS[..2], 4_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r04_a_failing_open_rename_or_directory_sync_loses_nothing() {
    sweep(&CALLS[2..], 4_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r04_a_full_quota_is_never_acknowledged() {
    let seen = case(4_900, "pwrite64", "error=ENOSPC:when=5+").await;
    assert!(seen.injected > 0);
    // No room is no reason to end.
    assert_eq!(seen.exit, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn r05_a_failed_sync_ends_the_process_within_five_seconds_without_another_ack() {
    // Behind the syncs that the start itself makes, of which there may be a dozen.
    for (round, when) in [30_u32, 75].into_iter().enumerate() {
        let bench = Bench::new();
        let ledger = Ledger::new(5_000 + round as u64);
        bench.daemon().await.stop().await;
        let (start, trace) = strace(&bench, "fdatasync", &format!("error=EIO:when={when}"));
        let mut daemon = start.ready().await;
        let load = Client::new(&daemon.public, &ledger).load(4, 500, Duration::from_millis(2));
        let (mut failed_at, mut acked_then) = (None, 0);
        let began = Instant::now();
        let status = loop {
            if failed_at.is_none() && injected(&trace) > 0 {
                failed_at = Some(Instant::now());
                // What was answered before the failure may still be on its way to us.
                tokio::time::sleep(Duration::from_millis(200)).await;
                acked_then = ledger.acked();
            }
            if let Some(status) = daemon.ended_within(Duration::ZERO).await {
                break status;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "it goes on:\n{}", daemon.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let took = failed_at.map_or(Duration::ZERO, |at| at.elapsed());
        load.stop().await;
        println!("r05 when={when}: ended {took:?} after the failed sync, {status}, {}", ledger.summary());
        assert!(took <= Duration::from_secs(5), "{took:?}");
        assert!(status.code().is_some_and(|code| code != 0), "{status}");
        if failed_at.is_some() {
            assert_eq!(ledger.acked(), acked_then, "acknowledged after the sync had failed");
        }
        assert!(ledger.count(|answer| answer == Answer::Open) == 0);
        let daemon = bench.daemon().await;
        assert_nothing_lost(&ledger, &daemon).await;
        daemon.stop().await;
    }
}
