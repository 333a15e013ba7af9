//! The process at its edges: starting twice, stopping under load, another config, no handles left, a clock that jumps,
//! a body that kills, a long life.

mod clock;
mod life;
mod poison;
mod proxy;
mod timing;
mod tls;

use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use scm_connect::cli::client::Client as Control;

use crate::harness::bench::Bench;
use crate::harness::check::{assert_nothing_lost, kept};
use crate::harness::client::Client;
use crate::harness::daemon::Daemon;
use crate::harness::ledger::{Answer, Ledger};
use crate::harness::sized;

#[tokio::test(flavor = "multi_thread")]
async fn r11_the_second_of_two_daemons_refuses_and_names_the_lock() {
    let bench = Bench::new();
    let first = bench.daemon().await;
    for _ in 0..sized(3, 100) {
        let mut second = bench.start().spawn();
        let ended = second.ended_within(Duration::from_secs(20)).await.and_then(|status| status.code());
        assert_eq!(ended, Some(3), "{}", second.output());
        for word in [bench.store().join("lock").display().to_string().as_str(), "postgres", "stop it"] {
            assert!(second.output().contains(word), "no {word} in: {}", second.output());
        }
        assert!(second.output().contains(&first.pid().as_raw_nonzero().to_string()), "{}", second.output());
    }
    let ledger = Ledger::new(11_000);
    Client::new(&first.public, &ledger).send_all(3, 300).await;
    assert_eq!(ledger.acked(), 3);
    assert_nothing_lost(&ledger, &first).await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_of_two_started_at_once_one_serves() {
    let bench = Bench::new();
    for _ in 0..sized(3, 100) {
        let (mut one, mut two) = (bench.start().spawn(), bench.start().spawn());
        let (first, second) = (one.await_ready().await, two.await_ready().await);
        assert!(first != second, "{first} {second}\n{}\n{}", one.output(), two.output());
        let (serving, mut refused) = if first { (one, two) } else { (two, one) };
        let code = refused.ended_within(Duration::from_secs(20)).await.and_then(|status| status.code());
        assert_eq!(code, Some(3), "{}", refused.output());
        serving.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r42_a_stop_under_load_takes_ten_seconds_at_most_and_drops_no_request_it_has_read() {
    let bench = Bench::new();
    let ledger = Ledger::new(42_000);
    let mut slowest = Duration::ZERO;
    for round in 0..sized(5_u64, 200) {
        let daemon = bench.daemon().await;
        let load = Client::new(&daemon.public, &ledger).load(16, 1_000, Duration::from_millis(10));
        tokio::time::sleep(Duration::from_millis(200 + 97 * (round % 9))).await;
        slowest = slowest.max(daemon.stop().await);
        load.stop().await;
    }
    println!("r42: slowest stop {slowest:?}, {}", ledger.summary());
    assert!(ledger.acked() > 100, "{}", ledger.summary());
    let odd = |answer: Answer| matches!(answer, Answer::Status(status) if status != 202 && status != 503);
    assert_eq!(ledger.count(odd), 0, "{}", ledger.summary());
    let daemon = bench.daemon().await;
    assert_nothing_lost(&ledger, &daemon).await;
    // A connection that ended without an answer is only allowed when its request was never taken.
    let there = kept(&ledger.entries(), &daemon).await.deliveries;
    let unanswered: Vec<_> = ledger
        .entries()
        .into_iter()
        .filter(|(id, entry)| entry.answer == Answer::Broken && there.contains_key(id))
        .map(|(id, _)| id)
        .collect();
    assert!(unanswered.is_empty(), "kept, and its sender got no answer: {unanswered:?}");
    daemon.stop().await;
}

/// Configs that are wrong, each in its own way: appended text, or a replacement in the good one.
const BROKEN: [(&str, &str, &str); 10] = [
    ("no TOML", "", "this is [not toml"),
    ("an unknown key", "", "\n[limits]\nbody_bytes_mx = 5\n"),
    ("a wrong type", "", "\n[limits]\nbody_bytes_max = \"many\"\n"),
    ("an empty secret", "github-hook-secret-0123456789", ""),
    ("an unknown organization", "organizations = [\"acme\"]", "organizations = [\"nobody\"]"),
    ("a source twice", "key = \"our-group\"", "key = \"our-app\""),
    ("an unknown provider", "provider = \"gitlab\"", "provider = \"bitbucket\""),
    ("a bad URL", "https://github.com", "github dot com"),
    ("a missing variable", "{ value = \"github-hook-secret-0123456789\" }", "{ env = \"NOT_SET_ANYWHERE\" }"),
    ("a bad address", "public = \"127.0.0.1:0\"", "public = \"nowhere\""),
];

async fn status(daemon: &Daemon, what: &[&str]) -> serde_json::Value {
    let control = Control::local(daemon.store()).await.map_err(|failure| failure.message).unwrap().unwrap();
    control.get(what, &[]).await.map_err(|failure| failure.message).unwrap()
}

async fn await_lines(daemon: &Daemon, word: &str, count: usize) {
    for _ in 0..500 {
        if daemon.output().matches(word).count() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no {word} number {count}:\n{}", daemon.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn r48_a_config_is_reloaded_whole_or_not_at_all_and_no_delivery_notices() {
    let bench = Bench::new();
    let ledger = Ledger::new(48_000);
    let daemon = bench.daemon().await;
    let load = Client::new(&daemon.public, &ledger).load(8, 500, Duration::from_millis(10));
    let (mut applied, mut refused) = (0, 0);
    for round in 0..sized(1, 5) {
        for (number, (what, from, to)) in BROKEN.iter().enumerate() {
            let hash = status(&daemon, &["status"]).await["config_hash"].clone();
            let good = bench.text("");
            let wrong = if from.is_empty() { format!("{good}{to}") } else { good.replace(from, to) };
            assert_ne!(wrong, good, "{what}");
            std::fs::write(bench.config(), wrong).unwrap();
            daemon.signal(Signal::HUP);
            refused += 1;
            await_lines(&daemon, "config-refused", refused).await;
            assert_eq!(status(&daemon, &["status"]).await["config_hash"], hash, "{what} was taken");

            let slug = format!("more-{round}-{number}");
            let more = format!("[[organizations]]\nslug = \"{slug}\"\nname = \"More\"\n");
            std::fs::write(bench.config(), bench.text(&more)).unwrap();
            daemon.signal(Signal::HUP);
            applied += 1;
            await_lines(&daemon, "config-reloaded", applied).await;
            assert_eq!(status(&daemon, &["organizations", &slug]).await["slug"], slug.as_str());
        }
    }
    load.stop().await;
    println!("r48: {applied} applied, {refused} refused, {}", ledger.summary());
    assert!(ledger.acked() > 50, "{}", ledger.summary());
    assert_eq!(ledger.count(|answer| !answer.is_ack()), 0, "{}", ledger.summary());
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_daemon_without_handles_recovers_within_five_seconds() {
    let bench = Bench::new();
    let ledger = Ledger::new(12_000);
    let limit = ["prlimit", "--nofile=64:64"].map(str::to_owned);
    let daemon = bench.start().under(&limit).ready().await;
    let client = Client::new(&daemon.public, &ledger);
    client.send_all(5, 300).await;
    // A full queue of the kernel lets further ones wait for seconds; these are enough.
    let address = daemon.public.parse().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(20));
    let idle: Vec<_> = (0..500).filter_map(|_| connect().ok()).collect();
    assert!(idle.len() > 100, "only {} connections", idle.len());
    let hungry = tokio::time::timeout(Duration::from_secs(3), client.send_all(10, 300)).await;
    let during = ledger.summary();
    drop(idle);
    let fresh = Client::new(&daemon.public, &ledger);
    let began = std::time::Instant::now();
    while !fresh.send(300).await.is_ack() {
        assert!(
            began.elapsed() <= Duration::from_secs(5),
            "nothing is taken 5 s later:\n{}",
            daemon.output()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("r12: during {during} ({}), again after {:?}", hungry.is_ok(), began.elapsed());
    assert!(ledger.acked() >= 6, "{}", ledger.summary());
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
}
