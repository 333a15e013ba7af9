//! Backups while deliveries come in, and what becomes of them.

use std::fs;
use std::time::{Duration, Instant};

use super::{PAUSE, empty_with_key_of, filled, fingerprint, text};
use crate::crash::disk::Mount;
use crate::harness::bench::{Bench, GITHUB_SECRET};
use crate::harness::check::{assert_nothing_lost, losses};
use crate::harness::client::Client;
use crate::harness::command::run;
use crate::harness::ledger::{Answer, Ledger};
use crate::harness::sized;

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_backup_under_load_holds_everything_acknowledged_before_it() {
    let (bench, ledger) = (Bench::new(), Ledger::new(14_000));
    let daemon = bench.daemon().await;
    // 200 a second in all.
    let load = Client::new(&daemon.public, &ledger).load(4, 700, PAUSE);
    let mut slowest = Duration::ZERO;
    for round in 0..sized(3, 50) {
        tokio::time::sleep(Duration::from_millis(700 + 130 * (round % 5))).await;
        let before = ledger.entries();
        let file = bench.file(&format!("backup-{round}.jsonl.zst"));
        let began = Instant::now();
        run(&bench, "", &["backup", "--to", text(&file)]).await.expect(0, &["items are in", "master key"]);
        slowest = slowest.max(began.elapsed());
        let mut cut = ledger.entries();
        for (id, entry) in &mut cut {
            // What was acknowledged after the backup began may be in it, and need not.
            let sure = before.get(id).is_some_and(|entry| entry.answer.is_ack());
            entry.answer = if sure { entry.answer } else { Answer::Open };
        }
        let restored = empty_with_key_of(&bench);
        run(&restored, "", &["restore", text(&file)]).await.expect(0, &["holds", "delivery"]);
        let other = restored.daemon().await;
        let wrong = losses(&cut, &other).await;
        assert!(wrong.is_empty(), "round {round}: {wrong:?}\n{}", other.output());
        other.stop().await;
        run(&restored, "", &["store", "verify"]).await.expect(0, &["as it was written"]);
    }
    load.stop().await;
    let refused = ledger.count(|answer| !answer.is_ack());
    println!("r14: slowest backup {slowest:?}, {}", ledger.summary());
    assert_eq!(refused, 0, "a backup is no reason to refuse: {}", ledger.summary());
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s38_s46_a_backup_has_no_secret_and_no_body_in_the_clear() {
    let (bench, _) = filled(38_000, 5).await;
    let file = bench.file("all.jsonl");
    run(&bench, "", &["store", "export", "--to", text(&file)]).await.expect(0, &[]);
    let shown = fs::read_to_string(&file).unwrap();
    assert!(shown.contains("\"project\""), "records can be read");
    let key = fs::read_to_string(bench.key()).unwrap();
    for secret in [GITHUB_SECRET, key.trim(), "hook-secret", "x_filling"] {
        assert!(!shown.contains(secret), "{secret} is in the export");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_restore_refuses_another_key_and_a_store_that_is_not_empty() {
    let (bench, _) = filled(14_100, 5).await;
    let folder = bench.file("backups");
    fs::create_dir(&folder).unwrap();
    run(&bench, "", &["backup", "--to", text(&folder)]).await.expect(0, &["items are in"]);
    let made: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    let file = text(&made[0]);

    let (other, _) = filled(14_200, 1).await;
    let before = fingerprint(&other.store());
    run(&other, "", &["restore", file]).await.expect(3, &["the master key is not the one", file]);
    assert!(fingerprint(&other.store()) == before, "a refused restore has changed the store");

    let keyless = Bench::new();
    run(&keyless, "", &["restore", file]).await.expect(3, &["master.key", "nothing was changed"]);
    assert!(!keyless.key().exists(), "a new key was made");

    run(&bench, "", &["restore", file]).await.expect(3, &["is not empty", "nothing was changed"]);
    let daemon = bench.daemon().await;
    run(&bench, "", &["restore", file]).await.expect(3, &["another scm-connect", "lock"]);
    run(&bench, "", &["store", "compact"]).await.expect(3, &["another scm-connect", "stop it"]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_file_that_was_cut_or_edited_is_refused_and_the_target_stays_empty() {
    let (bench, _) = filled(14_300, 5).await;
    let file = bench.file("all.jsonl");
    run(&bench, "", &["store", "export", "--to", text(&file)]).await.expect(0, &[]);
    let good = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let restored = empty_with_key_of(&bench);
    let bad = bench.file("bad.jsonl");
    let cut = lines[..4].join("\n") + "\n";
    let edited = good.replacen("Acme", "Evil", 1);
    let newer = good.replacen("\"scm_connect_export\":1", "\"scm_connect_export\":7", 1);
    let cases = [
        (cut, "ends in line 4"),
        (edited, "line 2 of"),
        (newer, "export format 7"),
        ("x".into(), "no export"),
    ];
    for (content, sentence) in cases {
        fs::write(&bad, content).unwrap();
        run(&restored, "", &["store", "import", text(&bad)])
            .await
            .expect(3, &[sentence, "nothing was changed"]);
        assert!(!restored.store().exists(), "{sentence}: a store was made");
    }
    run(&restored, "", &["store", "import", "/nowhere.jsonl"]).await.expect(1, &["cannot be read"]);
    run(&restored, "", &["store", "import", text(&file)]).await.expect(0, &["holds 1 organization"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_full_target_disk_is_told_in_a_sentence_and_leaves_nothing_behind() {
    let (bench, ledger) = (Bench::new(), Ledger::new(10_400));
    let daemon = bench.daemon().await;
    Client::new(&daemon.public, &ledger).send_all(60, 6_000).await;
    let place = bench.file("small");
    let small = Mount::new(&place, &["-t", "tmpfs", "-o", "size=64k", "tmpfs"]);
    let file = place.join("all.jsonl");
    let ended = run(&bench, "", &["backup", "--to", text(&file)]).await;
    ended.expect(1, &["there is no room for", text(&file), "nothing of it was left behind"]);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    drop(small);
    fs::write(&file, "somebody's").unwrap();
    run(&bench, "", &["backup", "--to", text(&file)]).await.expect(1, &["is there already"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's");
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
}
