//! A body that kills the process which reads it (reliability R28).

use std::time::Duration;

use scm_connect::cli::client::Client as Control;

use crate::harness::bench::Bench;
use crate::harness::check::kept;
use crate::harness::client::Client;
use crate::harness::daemon::Daemon;
use crate::harness::ledger::Ledger;

/// The state of a delivery and its reason, as far as there is one.
pub(super) async fn fate(daemon: &Daemon, external_id: &str) -> Option<(String, String)> {
    let control = Control::local(daemon.store()).await.ok().flatten()?;
    let filter = [("external_id", external_id.to_owned())];
    let found = control.list(&["deliveries"], &filter, 1, None).await.ok()?.items.pop()?;
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    Some((text("state"), text("reason")))
}

/// Starts daemons that die of one delivery until one does not. How many died.
async fn outlives(point: &str, run: u64) -> u32 {
    let bench = Bench::new();
    let ledger = Ledger::new(run);
    let poison = ledger.next(300);
    bench.daemon().await.stop().await;
    let start = bench.start().fault(&format!("{point}=abort#{}", poison.id));
    let mut daemon = start.ready().await;
    let client = Client::new(&daemon.public, &ledger);
    client.send_all(5, 300).await;
    assert!(client.deliver(&poison).await.is_ack(), "the poison itself is acknowledged");
    client.send_all(5, 300).await;
    let mut deaths = 0;
    loop {
        if daemon.ended_within(Duration::from_millis(50)).await.is_some() {
            deaths += 1;
            assert!(deaths <= 3, "{point}: it goes on dying:\n{}", daemon.output());
            daemon = start.spawn();
            let _ready = daemon.await_ready().await;
        } else if fate(&daemon, &poison.id).await.is_some_and(|(state, _)| state == "dead") {
            break;
        }
    }
    let (state, reason) = fate(&daemon, &poison.id).await.unwrap();
    assert_eq!((state.as_str(), reason.as_str()), ("dead", "crash_loop"));
    assert!(daemon.output().contains("\"delivery-dead\""), "{}", daemon.output());
    Client::new(&daemon.public, &ledger).send_all(5, 300).await;
    let entries = ledger.entries();
    let there = kept(&entries, &daemon).await.deliveries;
    for (id, entry) in entries.iter().filter(|(id, entry)| entry.answer.is_ack() && **id != poison.id) {
        let state = there.get(id).map(|one| one["state"].clone());
        assert!(
            state.as_ref().is_some_and(|state| state == "done" || state == "superseded"),
            "{id}: {state:?} {entry:?}"
        );
    }
    println!("r28 {point}: {deaths} deaths, {}", ledger.summary());
    assert!(ledger.acked() >= 11, "{}", ledger.summary());
    daemon.stop().await;
    deaths
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_a_body_that_kills_the_indexer_is_dead_after_three_deaths_and_the_others_go_on() {
    assert_eq!(outlives("indexer.before-read", 28_000).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_a_body_that_kills_the_worker_is_dead_after_three_deaths_and_the_others_go_on() {
    assert_eq!(outlives("attempt.before-read", 28_500).await, 3);
}
