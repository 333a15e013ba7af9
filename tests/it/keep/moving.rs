//! Moves from store to store, and a database written anew.

use std::fs;
use std::time::Duration;

use super::{empty_with_key_of, filled, text};
use crate::harness::bench::Bench;
use crate::harness::check::{altered_bytes, assert_nothing_lost};
use crate::harness::cluster::Cluster;
use crate::harness::command::run;
use crate::harness::ledger::Ledger;
use crate::harness::sized;

fn url(bench: &Bench) -> String {
    format!("sled:{}", bench.store().display())
}

/// The bench's store serves, and has what the ledger says.
async fn holds(bench: &Bench, ledger: &Ledger) {
    assert_eq!(altered_bytes(&ledger.entries(), &bench.store(), &bench.key()).await, Vec::<String>::new());
    let daemon = bench.daemon().await;
    assert_nothing_lost(ledger, &daemon).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_is_killed_again_and_again_goes_on_and_ends() {
    let (bench, ledger) = filled(70_000, sized(300, 2_000)).await;
    let target = empty_with_key_of(&bench);
    let (from, to) = (url(&bench), url(&target));
    let words = ["store", "migrate", "--from", &from, "--to", &to];
    // Each run gets a little further: pieces are of 256 items.
    for fault in
        ["records.before-apply=abort@1", "inbox.before-answer=abort@1", "records.after-apply=abort@1"]
    {
        let ended = run(&bench, fault, &words).await;
        assert_eq!(ended.code, None, "{fault} met nothing: {ended:?}");
        let mut served = target.start().spawn();
        let code = served.ended_within(Duration::from_secs(20)).await.and_then(|status| status.code());
        assert_eq!(code, Some(3), "{fault}: {}", served.output());
    }
    run(&bench, "", &words).await.expect(0, &["is as it was"]);
    holds(&target, &ledger).await;
    holds(&bench, &ledger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_import_is_not_served_and_the_same_import_ends_it() {
    let (bench, ledger) = filled(71_000, sized(30, 300)).await;
    let file = bench.file("all.jsonl.zst");
    run(&bench, "", &["store", "export", "--to", text(&file)]).await.expect(0, &[]);
    let target = empty_with_key_of(&bench);
    let words = ["store", "import", text(&file)];
    let ended = run(&target, "records.after-apply=abort@1", &words).await;
    assert_eq!(ended.code, None, "{ended:?}");
    let mut refused = target.start().spawn();
    let code = refused.ended_within(Duration::from_secs(20)).await.and_then(|status| status.code());
    assert_eq!(code, Some(3), "{}", refused.output());
    assert!(refused.output().contains("run the same import again"), "{}", refused.output());
    let other = bench.file("other.jsonl.zst");
    run(&bench, "", &["store", "export", "--to", text(&other)]).await.expect(0, &[]);
    run(&target, "", &["store", "import", text(&other)])
        .await
        .expect(3, &["unfinished import of something else"]);
    run(&target, "", &words).await.expect(0, &["holds"]);
    holds(&target, &ledger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_needs_two_stores_and_a_source() {
    let bench = Bench::new();
    let (here, there) = (url(&bench), url(&Bench::new()));
    run(&bench, "", &["store", "migrate", "--from", &here, "--to", &here])
        .await
        .expect(2, &["the same store"]);
    run(&bench, "", &["store", "migrate", "--from", &here, "--to", &there])
        .await
        .expect(3, &["there is no store at", "nothing was changed"]);
    run(&bench, "", &["store", "migrate", "--from", "mysql://x", "--to", &there])
        .await
        .expect(2, &["no store that is known"]);
}

/// Rows that came and went long ago, as retention leaves them.
fn leave_waste(database: &std::path::Path) {
    let rows = sled::open(database).unwrap();
    for number in 0..8_000_u32 {
        rows.insert([b"~", number.to_be_bytes().as_slice()].concat(), vec![7; 200]).unwrap();
    }
    rows.flush().unwrap();
    rows.scan_prefix(b"~").keys().for_each(|key| drop(rows.remove(key.unwrap()).unwrap()));
    rows.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_a_compacted_store_holds_the_same_in_less_space() {
    let (bench, ledger) = filled(13_000, sized(60, 2_000)).await;
    leave_waste(&bench.store().join("db"));
    let before = super::fingerprint(&bench.store().join("db"));
    run(&bench, "", &["store", "compact"]).await.expect(0, &["the database took"]);
    let size =
        |files: &[(std::path::PathBuf, Vec<u8>)]| files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    let after = super::fingerprint(&bench.store().join("db"));
    println!("r13: {} bytes before, {} after", size(&before), size(&after));
    assert!(size(&after) * 2 <= size(&before));
    let left = fs::read_dir(bench.store()).unwrap().map(|entry| entry.unwrap().file_name());
    let odd: Vec<_> = left.filter(|name| name.to_string_lossy().contains("db.")).collect();
    assert!(odd.is_empty(), "{odd:?}");
    holds(&bench, &ledger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_round_trip_to_postgres_and_back_keeps_everything() {
    let (bench, ledger) = filled(14_500, sized(40, 1_000)).await;
    let database = Cluster::shared().database("").await;
    let words = |from: &str, to: &str| ["store", "migrate", "--from", from, "--to", to].map(str::to_owned);
    let there = words(&url(&bench), database.as_str());
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    run(&bench, "", &there).await.expect(0, &["delivery", "is as it was"]);
    run(&bench, "", &there).await.expect(3, &["is not empty"]);

    let back = empty_with_key_of(&bench);
    let home = words(database.as_str(), &url(&back));
    let home: Vec<&str> = home.iter().map(String::as_str).collect();
    run(&bench, "", &home).await.expect(0, &["is as it was"]);
    holds(&back, &ledger).await;

    // A backup of the database fills an embedded store.
    let on_database = empty_with_key_of(&bench);
    let config = on_database.text("").replace(&url(&on_database), database.as_str());
    fs::write(on_database.config(), config).unwrap();
    let file = on_database.file("all.jsonl.zst");
    run(&on_database, "", &["backup", "--to", text(&file)]).await.expect(0, &["items are in"]);
    let restored = empty_with_key_of(&bench);
    run(&restored, "", &["restore", text(&file)]).await.expect(0, &["holds"]);
    holds(&restored, &ledger).await;
    holds(&bench, &ledger).await;
}
