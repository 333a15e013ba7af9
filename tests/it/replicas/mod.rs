//! Several daemons on one database, and a database that goes away at the worst moment.

mod book;
mod door;
mod keys;
mod proxy;
mod replay;

use std::time::Duration;

use rustix::process::Signal;
use scm_connect::domain::delivery::DeliveryState;
use sqlx::Connection as _;

use self::book::Book;
use self::proxy::{Proxy, Way};
use crate::harness::bench::Bench;
use crate::harness::client::Client;
use crate::harness::cluster::Cluster;
use crate::harness::command::run;
use crate::harness::daemon::Daemon;
use crate::harness::ledger::{Answer, Ledger};
use crate::harness::sized;

/// A claim is free again after so long without a sign of life (reliability R44).
const LEASE: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

fn nothing_wrong(wrong: &[String], ledger: &Ledger, daemons: &[&Daemon]) {
    let few: Vec<&str> = wrong.iter().take(8).map(String::as_str).collect();
    let outputs: Vec<String> = daemons.iter().map(|daemon| daemon.output()).collect();
    assert!(
        wrong.is_empty(),
        "{} wrong, {}: {few:#?}\n{}",
        wrong.len(),
        ledger.summary(),
        outputs.join("\n--\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r21_copies_sent_to_two_daemons_at_once_are_one_delivery_handled_once() {
    let url = Cluster::shared().database("").await;
    let bench = Bench::on_database(&url);
    // Both make the first start at once, on an empty database: one makes the schema and the keys.
    let (one, two) = (bench.start(), bench.start());
    let (one, two) = tokio::join!(one.ready(), two.ready());
    let ledger = Ledger::new(21_000);
    let doors = [Client::new(&one.public, &ledger), Client::new(&two.public, &ledger)];
    let mut fresh = 0;
    for _ in 0..sized(60, 600) {
        let parcel = ledger.next(600);
        let (first, second) = tokio::join!(doors[0].deliver(&parcel), doors[1].deliver(&parcel));
        let answers = [first, second];
        assert!(answers.iter().all(|answer| answer.is_ack()), "{answers:?}");
        fresh += answers.iter().filter(|answer| **answer == Answer::Status(202)).count();
    }
    assert_eq!(fresh, ledger.entries().len(), "each is new to exactly one of them");
    let book = Book::open(&url, &bench.key()).await;
    book.await_end(MINUTE).await;
    nothing_wrong(&book.wrong(&ledger).await, &ledger, &[&one, &two]);
    book.close().await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r44_what_a_killed_or_frozen_daemon_held_is_done_by_another_and_the_late_one_changes_nothing() {
    let url = Cluster::shared().database("").await;
    let bench = Bench::on_database(&url);
    let stalled = || bench.start().fault("attempt.before-read=stall:8000");
    let (frozen, killed) = (stalled().ready().await, stalled().ready().await);
    let ledger = Ledger::new(44_000);
    Client::new(&frozen.public, &ledger).send_all(6, 400).await;
    let book = Book::open(&url, &bench.key()).await;
    // Each of the seven repositories is a lane, so that all of them are at work at once.
    assert!(book.await_count(DeliveryState::Working, 6, MINUTE).await, "{}", frozen.output());
    frozen.signal(Signal::STOP);
    killed.kill().await;
    let other = bench.daemon().await;
    let took = book.await_end(LEASE + Duration::from_secs(15)).await;
    println!("r44: all done {took:?} after the freeze");
    let before = book.deliveries().await;
    let mut ends = Vec::new();
    for record in &before {
        ends.push(book.attempts(record.id).await);
    }
    // The frozen one thaws, finishes what it had in hand, and finds that it is no longer its own.
    frozen.signal(Signal::CONT);
    Client::new(&other.public, &ledger).send_all(3, 400).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    book.await_end(MINUTE).await;
    for (record, attempts) in before.iter().zip(&ends) {
        assert_eq!(&book.attempts(record.id).await, attempts, "{}", frozen.output());
    }
    nothing_wrong(&book.wrong(&ledger).await, &ledger, &[&frozen, &other]);
    book.close().await;
    frozen.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_a_commit_whose_answer_is_lost_is_no_yes_and_the_copy_is_recognised() {
    let url = Cluster::shared().database("").await;
    let proxy = Proxy::start(&url).await;
    let mut bench = Bench::on_database(&url);
    bench.reach_by(&proxy.url(&url));
    let daemon = bench.daemon().await;
    let ledger = Ledger::new(7_000);
    let client = Client::new(&daemon.public, &ledger);
    let mut recognised = 0;
    for round in 0..sized(12, 200) {
        let (way, again) = if round % 3 == 0 {
            (Way::CommitLost, Answer::Status(202))
        } else {
            (Way::AnswerLost, Answer::Status(200))
        };
        let parcel = ledger.next(500);
        let before = proxy.cuts();
        proxy.set(way);
        let answer = client.deliver(&parcel).await;
        proxy.set(Way::Open);
        assert!(proxy.cuts() > before, "nothing was cut");
        assert_eq!(answer, Answer::Status(503), "{way:?} in round {round}");
        assert_eq!(client.deliver(&parcel).await, again, "{way:?} in round {round}");
        recognised += usize::from(way == Way::AnswerLost);
        assert!(client.send(500).await.is_ack());
    }
    println!("r07: {} commits cut, {recognised} copies recognised", proxy.cuts());
    let book = Book::open(&url, &bench.key()).await;
    book.await_end(2 * MINUTE).await;
    nothing_wrong(&book.wrong(&ledger).await, &ledger, &[&daemon]);
    book.close().await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_connections_that_are_ended_again_and_again_under_load_lose_nothing() {
    let cluster = Cluster::shared();
    let url = cluster.database("").await;
    let bench = Bench::on_database(&url);
    let (one, two) = (bench.daemon().await, bench.daemon().await);
    let ledger = Ledger::new(23_000);
    let load = [&one, &two].map(|to| Client::new(&to.public, &ledger).load(4, 700, Duration::from_millis(5)));
    let mut admin = cluster.admin().await;
    let mut ended: i64 = 0;
    for _ in 0..sized(12, 100) {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1";
        let name = url.path().trim_start_matches('/');
        ended += sqlx::query_scalar::<_, i64>(sql).bind(name).fetch_one(&mut admin).await.unwrap();
    }
    let [first, second] = load;
    first.stop().await;
    second.stop().await;
    println!("r23: {ended} connections ended, {}", ledger.summary());
    assert!(ledger.acked() > 100 && ended > 20, "{ended} ended, {}", ledger.summary());
    let odd = |answer: Answer| matches!(answer, Answer::Status(status) if !matches!(status, 202 | 503));
    assert_eq!(ledger.count(odd), 0, "{}", ledger.summary());
    let book = Book::open(&url, &bench.key()).await;
    // What was claimed when its connection ended is free again after its lease.
    book.await_end(LEASE + MINUTE).await;
    nothing_wrong(&book.wrong(&ledger).await, &ledger, &[&one, &two]);
    book.close().await;
    assert!(one.await_ops("/readyz", 200, Duration::from_secs(20)).await.is_some(), "{}", one.output());
    one.stop().await;
    two.stop().await;
    admin.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_open_the_database_with_and_without_a_daemon_beside_them() {
    let url = Cluster::shared().database("").await;
    let bench = Bench::on_database(&url);
    run(&bench, "", &["deliveries", "list"]).await.expect(3, &["there is no store at postgres://"]);
    run(&bench, "", &["check", "--offline"]).await.expect(0, &["holds no store yet"]);
    run(&bench, "", &["token", "create", "--organization", "acme", "--kind", "read"]).await.expect(3, &[]);
    let daemon = bench.daemon().await;
    let ledger = Ledger::new(1);
    Client::new(&daemon.public, &ledger).send_all(3, 300).await;
    let token = ["token", "create", "--organization", "acme", "--kind", "read", "--json"];
    run(&bench, "", &token).await.expect(0, &["scmc_rd_"]);
    daemon.stop().await;
    for id in ledger.entries().keys() {
        run(&bench, "", &["deliveries", "list", "--json"]).await.expect(0, &[id]);
    }
    run(&bench, "", &["check", "--offline"]).await.expect(0, &["schema 9", "the master key is in order"]);
    run(&bench, "", &["store", "verify"]).await.expect(0, &[]);
    run(&bench, "", &["store", "compact"]).await.expect(2, &["PostgreSQL compacts itself"]);
    let file = bench.file("all.jsonl.zst");
    run(&bench, "", &["backup", "--to", file.to_str().unwrap()]).await.expect(0, &["items are in"]);
    std::fs::rename(bench.key(), bench.file("away.key")).unwrap();
    run(&bench, "", &["deliveries", "list"]).await.expect(3, &["is missing", "put the key back"]);
    run(&bench, "", &["check", "--offline"]).await.expect(3, &["error: keys"]);
}
