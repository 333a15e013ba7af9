//! Stores and exports of released versions, read by this one (reliability R15).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::text;
use crate::harness::bench::Bench;
use crate::harness::command::run;

fn versions() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/store");
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    assert!(!found.is_empty(), "no version has left a store");
    found
}

/// A bench with that version's key.
fn bench_with_key(version: &Path) -> Bench {
    let bench = Bench::new();
    fs::copy(version.join("master.key"), bench.key()).unwrap();
    fs::set_permissions(bench.key(), Permissions::from_mode(0o600)).unwrap();
    bench
}

fn unpack(version: &Path, bench: &Bench) {
    let packed = fs::File::open(version.join("store.tar.zst")).unwrap();
    let plain = bench.file("store.tar");
    fs::write(&plain, zstd::stream::decode_all(packed).unwrap()).unwrap();
    let place = bench.store().parent().unwrap().to_owned();
    let done = Command::new("tar").arg("-C").arg(place).arg("-xf").arg(plain).status().unwrap();
    assert!(done.success());
}

/// Whether everything recorded is found as it was; a later version may say more.
fn holds(recorded: &Value, found: &Value) -> bool {
    match (recorded, found) {
        (Value::Object(recorded), Value::Object(found)) => {
            recorded.iter().all(|(name, value)| found.get(name).is_some_and(|it| holds(value, it)))
        }
        (Value::Array(recorded), Value::Array(found)) => {
            recorded.len() == found.len() && recorded.iter().zip(found).all(|(one, other)| holds(one, other))
        }
        (recorded, found) => recorded == found,
    }
}

async fn answers(version: &Path, bench: &Bench) {
    for what in ["organizations", "connections", "projects", "members", "deliveries", "token"] {
        let recorded = fs::read_to_string(version.join(what).with_extension("json")).unwrap();
        let ended = run(bench, "", &[what, "list", "--json", "--all"]).await;
        ended.expect(0, &[]);
        let (recorded, found) = (parse(&recorded), parse(&ended.said));
        assert!(holds(&recorded, &found), "{what}: {found:#} instead of {recorded:#}");
    }
    let bodies = fs::read_to_string(version.join("bodies.json")).unwrap();
    for recorded in bodies.lines().map(parse) {
        let ended = run(bench, "", &["deliveries", "show", recorded["id"].as_str().unwrap(), "--json"]).await;
        ended.expect(0, &[]);
        let found = parse(&ended.said);
        assert!(holds(&recorded, &found), "{found:#} instead of {recorded:#}");
    }
    run(bench, "", &["store", "verify"]).await.expect(0, &["as it was written"]);
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_store_of_every_released_version_opens_and_answers_as_it_did() {
    for version in versions() {
        let bench = bench_with_key(&version);
        unpack(&version, &bench);
        answers(&version, &bench).await;
        println!("r15: the store of {} is whole", version.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_an_export_of_every_released_version_is_imported_and_answers_as_it_did() {
    for version in versions() {
        let bench = bench_with_key(&version);
        run(&bench, "", &["store", "import", text(&version.join("export.jsonl"))])
            .await
            .expect(0, &["holds"]);
        answers(&version, &bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_store_that_is_newer_is_refused_and_stays_as_it_is() {
    let version = versions().pop().unwrap();
    let bench = bench_with_key(&version);
    unpack(&version, &bench);
    // The keyring names its version; every file of the journal does so too (journal::tests).
    let ring = bench.store().join("keyring");
    let newer = fs::read_to_string(&ring).unwrap().replace("\"version\": 1", "\"version\": 2");
    fs::write(&ring, newer).unwrap();
    let before = super::fingerprint(&bench.store());
    run(&bench, "", &["deliveries", "list"]).await.expect(3, &["later version", "nothing was changed"]);
    assert!(super::fingerprint(&bench.store()) == before, "a refused store was changed");
}
