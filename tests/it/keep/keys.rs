//! Keys are rotated while deliveries come in, and the program dies at each step of it.

use std::fs;
use std::time::Duration;

use super::{PAUSE, text};
use crate::harness::bench::Bench;
use crate::harness::check::assert_nothing_lost;
use crate::harness::client::Client;
use crate::harness::command::{Ended, run};
use crate::harness::daemon::Daemon;
use crate::harness::ledger::Ledger;
use crate::harness::sized;

/// Rotates; waits for one that goes on by itself after a start.
pub(crate) async fn rotate(bench: &Bench, fault: &str) -> Ended {
    for _ in 0..200 {
        let ended = run(bench, fault, &["keys", "rotate"]).await;
        if !ended.said.contains("being rotated already") {
            return ended;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a change of keys does not end")
}

/// The points at which a change of keys can be interrupted.
pub(crate) const STEPS: [&str; 5] =
    ["keys.before-renew", "keys.before-reseal", "keys.after-copy", "keys.before-forget", "keys.before-clear"];

/// One key is in the file, and it is another one than before; the program has not said it.
pub(crate) fn assert_new_key(bench: &Bench, old: &str, said: &[&str]) {
    let new = fs::read_to_string(bench.key()).unwrap();
    assert_eq!(new.lines().count(), 1, "an older master key is still in the file");
    assert_ne!(new, old);
    for secret in [old.trim(), new.trim()] {
        let part = &secret[8..40];
        assert!(said.iter().all(|text| !text.contains(part)), "a master key was printed");
    }
}

async fn stopped(daemon: Daemon) -> String {
    let said = daemon.output();
    daemon.stop().await;
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_keys_are_rotated_under_load_and_the_old_one_opens_nothing() {
    let (bench, ledger) = (Bench::new(), Ledger::new(48_000));
    let daemon = bench.daemon().await;
    let old = fs::read_to_string(bench.key()).unwrap();
    let backup = bench.file("old.jsonl.zst");
    let load = Client::new(&daemon.public, &ledger).load(4, 700, PAUSE);
    tokio::time::sleep(Duration::from_secs(1)).await;
    run(&bench, "", &["backup", "--to", text(&backup)]).await.expect(0, &[]);
    for _ in 0..sized(2, 20) {
        let ended = rotate(&bench, "").await;
        ended.expect(0, &["new keys are in force", "keep your copy"]);
        assert_new_key(&bench, &old, &[&ended.said, &daemon.output()]);
    }
    load.stop().await;
    println!("s48: {}", ledger.summary());
    assert_eq!(ledger.count(|answer| !answer.is_ack()), 0, "refused: {}", ledger.summary());
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
    run(&bench, "", &["audit", "list", "--json"]).await.expect(0, &["keys.rotate"]);
    let new = fs::read_to_string(bench.key()).unwrap();
    fs::write(bench.key(), &old).unwrap();
    run(&bench, "", &["store", "verify"]).await.expect(3, &["the master key does not fit"]);
    // A backup of before wants the old one; beside the new one it does.
    let other = Bench::new();
    for (keys, code) in [(new.clone(), 3), (format!("{old}{new}"), 0)] {
        fs::copy(bench.key(), other.key()).unwrap();
        fs::write(other.key(), keys).unwrap();
        run(&other, "", &["restore", text(&backup)]).await.expect(code, &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_a_change_of_keys_that_is_killed_at_any_step_goes_on_and_loses_nothing() {
    for (number, step) in STEPS.iter().enumerate() {
        let (bench, ledger) = (Bench::new(), Ledger::new(48_100 + number as u64));
        let daemon = bench.start().fault(&format!("{step}=abort")).ready().await;
        let old = fs::read_to_string(bench.key()).unwrap();
        Client::new(&daemon.public, &ledger).send_all(120, 600).await;
        let load = Client::new(&daemon.public, &ledger).load(2, 600, PAUSE);
        let ended = rotate(&bench, "").await;
        assert_ne!(ended.code, Some(0), "{step}: it was killed there: {}", ended.said);
        load.stop().await;
        daemon.kill().await;
        let daemon = bench.daemon().await;
        rotate(&bench, "").await.expect(0, &["new keys are in force"]);
        assert_nothing_lost(&ledger, &daemon).await;
        let said = stopped(daemon).await;
        assert_new_key(&bench, &old, &[&said]);
        run(&bench, "", &["store", "verify"]).await.expect(0, &["as it was written"]);
        println!("s48 {step}: {}", ledger.summary());
    }
}
