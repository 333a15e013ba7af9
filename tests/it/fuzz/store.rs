//! The store's own files: whatever a disk makes of them, the store opens with everything or says why it does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use scm_connect::domain::change::{Changes, Verdict};
use scm_connect::domain::delivery::{
    Authenticate, Delivery, Encoding, Envelope, Lane, RawDelivery, Rejected,
};
use scm_connect::domain::{DeliveryId, SourceKey, Timestamp};
use scm_connect::store::sled::{self, SledStore};
use scm_connect::store::{Health as _, Inbox as _, Indexed, OpenError, Outcome, StoreError};
use tokio::runtime::Runtime;

use super::bytes::{Damaged, damaged};
use super::fuzz;

const NOW: Timestamp = Timestamp::from_ms(1_780_000_000_000);

/// Takes whatever it is told for proven.
struct Trusting(String);

impl Authenticate for Trusting {
    fn authenticate(&self, _: &RawDelivery, _: Timestamp) -> Result<Envelope, Rejected> {
        Ok(Envelope {
            external_id: self.0.clone(),
            hook_id: "1".into(),
            event: "push".into(),
            encoding: Encoding::Json,
            secret_slot: 0,
            same_within_ms: None,
        })
    }
}

/// A small store that was closed in order, and what it had acknowledged.
struct Template {
    files: BTreeMap<PathBuf, Vec<u8>>,
    acknowledged: Vec<(DeliveryId, Bytes)>,
}

fn open(dir: &Path) -> Result<SledStore, OpenError> {
    sled::open(&dir.join("store"), &dir.join("master.key"), NOW)
}

/// In memory where there is such a folder: it is the reading that is tried here, not the disk.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

async fn accept(store: &SledStore, number: usize) -> (DeliveryId, Bytes) {
    let body =
        Bytes::from(format!("{{\"number\":{number},\"text\":\"{}\"}}", "lorem ipsum ".repeat(number * 40)));
    let raw =
        RawDelivery { source: SourceKey::parse("acme").unwrap(), headers: Vec::new(), body: body.clone() };
    let delivery = Delivery::authenticate(raw, &Trusting(number.to_string()), NOW).unwrap();
    (store.accept(delivery, NOW).await.unwrap().id(), body)
}

fn indexed(id: DeliveryId) -> Indexed {
    let lane = Lane { key: id.to_string(), blocks: false };
    Indexed { id, event: "push".into(), action: None, provider: "github".into(), lane, ended: None }
}

/// Some deliveries done, some dead, some queued, some not indexed.
async fn fill(store: &SledStore) -> Vec<(DeliveryId, Bytes)> {
    let mut acknowledged = Vec::new();
    for number in 0..6 {
        acknowledged.push(accept(store, number).await);
    }
    let rows = acknowledged.iter().map(|(id, _)| indexed(*id)).collect();
    store.index(rows, NOW).await.unwrap();
    for (number, claim) in store.claim_deliveries(NOW, 30_000, 4).await.unwrap().into_iter().enumerate() {
        let outcome = if number % 2 == 0 {
            Outcome::Apply(Changes::none(Verdict::Done))
        } else {
            Outcome::Park { reason: "exhausted".into(), error: "the forge is away".into() }
        };
        store.settle_delivery(claim, outcome, NOW).await.unwrap();
    }
    for number in 6..9 {
        acknowledged.push(accept(store, number).await);
    }
    acknowledged
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.file_name().is_some_and(|name| name != "lock") {
            files.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
        }
    }
}

fn template(runtime: &Runtime) -> Template {
    let dir = folder();
    let store = open(dir.path()).unwrap();
    let acknowledged = runtime.block_on(async {
        let acknowledged = fill(&store).await;
        runtime.spawn(async move { store.close().await }).await.unwrap().unwrap();
        acknowledged
    });
    let mut files = BTreeMap::new();
    collect(dir.path(), dir.path(), &mut files);
    Template { files, acknowledged }
}

fn lay(files: &BTreeMap<PathBuf, Vec<u8>>, dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for (path, bytes) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Whether everything that was acknowledged is there, or is said to be damaged. Never something else, never nothing.
async fn holds(store: &SledStore, acknowledged: &[(DeliveryId, Bytes)]) -> Result<(), TestCaseError> {
    let waiting = match store.unindexed(100).await {
        Ok(waiting) => waiting,
        Err(StoreError::Corrupt(_) | StoreError::Failed(_)) => return Ok(()),
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    for (id, body) in acknowledged {
        if let Some(found) = waiting.iter().find(|one| one.id == *id) {
            prop_assert_eq!(found.delivery.body(), body);
            continue;
        }
        match store.delivery(*id).await {
            Ok(found) => prop_assert!(found.is_some(), "{} was acknowledged and is gone", id),
            Err(StoreError::Corrupt(_)) => continue,
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
        match store.delivery_body(*id).await {
            Ok(Some(found)) => prop_assert_eq!(found.body(), body),
            Ok(None) => return Err(TestCaseError::fail(format!("the body of {id} is gone"))),
            Err(StoreError::Corrupt(_)) => {}
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
    Ok(())
}

/// Both pages of a seal's slot are bad: that cannot be told from a write that a crash has torn, before anything was
/// acknowledged by it, and the seal before it counts.
fn is_torn(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>, name: &Path) -> bool {
    let pages = |files: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<Vec<u8>> {
        files.get(name).into_iter().flat_map(|bytes| bytes.chunks(4096)).map(<[u8]>::to_vec).collect()
    };
    let bad: Vec<bool> = pages(before).iter().zip(&pages(after)).map(|(old, new)| old != new).collect();
    name.ends_with("seal") && bad.chunks(2).any(|slot| slot.iter().all(|bad| *bad))
}

/// Opens the store with one file damaged or gone. `true`: it opened.
fn try_open(
    runtime: &Runtime,
    template: &Template,
    file: &Index,
    damage: Option<&Damaged>,
) -> Result<bool, TestCaseError> {
    let mut files = template.files.clone();
    let names: Vec<PathBuf> = files.keys().cloned().collect();
    let name = file.get(&names);
    match damage {
        None => drop(files.remove(name)),
        Some(damage) => {
            let seeds = vec![files.get(name).cloned().unwrap_or_default()];
            files.insert(name.clone(), damage.bytes(&seeds, &[]));
        }
    }
    let is_torn = is_torn(&template.files, &files, name);
    let dir = folder();
    lay(&files, dir.path());
    match open(dir.path()) {
        Err(error) => {
            let named = matches!(
                error,
                OpenError::Keys(_) | OpenError::Damaged(_) | OpenError::Newer(_) | OpenError::Io(_)
            );
            prop_assert!(named && !error.to_string().is_empty(), "{}: {:?}", name.display(), error);
            Ok(false)
        }
        Ok(store) => {
            let store = std::sync::Arc::new(store);
            let expected: &[_] = if is_torn { &[] } else { &template.acknowledged };
            let held = runtime.block_on(holds(&store, expected));
            let closing = std::sync::Arc::clone(&store);
            let closed = runtime.block_on(runtime.spawn(async move { closing.close().await }));
            prop_assert!(closed.is_ok(), "{}: closing panicked", name.display());
            held.map(|()| true).map_err(|error| TestCaseError::fail(format!("{}: {error}", name.display())))
        }
    }
}

#[test]
fn a_store_with_a_damaged_file_opens_whole_or_is_refused_by_name() {
    let runtime = Runtime::new().unwrap();
    let template = template(&runtime);
    assert!(template.files.len() >= 7, "{:?}", template.files.keys());
    let opened = std::cell::Cell::new(0u64);
    let inputs = (any::<Index>(), proptest::option::weighted(0.95, damaged(4)));
    let cases = fuzz("store files", &inputs, |(file, damage)| {
        let is_open = try_open(&runtime, &template, &file, damage.as_ref())?;
        opened.set(opened.get().saturating_add(u64::from(is_open)));
        Ok(())
    });
    let opened = opened.get();
    assert!(opened > 0 && opened < cases, "{opened} of {cases} opened");
}
