//! Keys are rotated under two daemons, one of which never hears of it but from the database.

use std::fs;
use std::time::Duration;

use super::{MINUTE, nothing_wrong};
use crate::harness::bench::Bench;
use crate::harness::client::Client;
use crate::harness::cluster::Cluster;
use crate::harness::command::run;
use crate::harness::ledger::Ledger;
use crate::keep::keys::{STEPS, assert_new_key, rotate};
use crate::replicas::book::Book;

#[tokio::test(flavor = "multi_thread")]
async fn s48_keys_are_rotated_under_two_daemons_and_killed_at_every_step() {
    let url = Cluster::shared().database("").await;
    let bench = Bench::on_database(&url);
    let (one, two) = (bench.daemon().await, bench.daemon().await);
    let old = fs::read_to_string(bench.key()).unwrap();
    let ledger = Ledger::new(48_200);
    Client::new(&one.public, &ledger).send_all(120, 600).await;
    let pause = Duration::from_millis(20);
    let load = [
        Client::new(&one.public, &ledger).load(2, 700, pause),
        Client::new(&two.public, &ledger).load(2, 700, pause),
    ];
    for step in STEPS {
        let ended = rotate(&bench, &format!("{step}=abort")).await;
        assert_ne!(ended.code, Some(0), "{step}: it was killed there: {}", ended.said);
        rotate(&bench, "").await.expect(0, &["new keys are in force"]);
    }
    for one in load {
        one.stop().await;
    }
    println!("s48 on two daemons: {}", ledger.summary());
    assert_eq!(ledger.count(|answer| !answer.is_ack()), 0, "refused: {}", ledger.summary());
    assert_new_key(&bench, &old, &[&one.output(), &two.output()]);
    let book = Book::open(&url, &bench.key()).await;
    book.await_end(MINUTE).await;
    nothing_wrong(&book.wrong(&ledger).await, &ledger, &[&one, &two]);
    book.close().await;
    one.stop().await;
    two.stop().await;
    run(&bench, "", &["store", "verify"]).await.expect(0, &["as it was written"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_a_machine_without_the_new_key_says_which_file_it_wants() {
    let url = Cluster::shared().database("").await;
    let bench = Bench::on_database(&url);
    bench.daemon().await.stop().await;
    let old = fs::read_to_string(bench.key()).unwrap();
    run(&bench, "", &["keys", "rotate", "--prepare"]).await.expect(0, &["not in use", "copy the file"]);
    bench.daemon().await.stop().await;
    rotate(&bench, "").await.expect(0, &["new keys are in force"]);
    fs::write(bench.key(), &old).unwrap();
    run(&bench, "", &["store", "verify"]).await.expect(3, &["the master key does not fit"]);
}
