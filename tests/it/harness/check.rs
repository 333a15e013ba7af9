//! The ledger against a restarted daemon: every acknowledged delivery is there with the bytes that were sent, has a
//! state, and what came of all of them is what a simple model says (rulings 35, reliability R1 and R23).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use scm_connect::cli::client::Client as Control;
use scm_connect::domain::{DeliveryId, Timestamp};
use scm_connect::store::{DeliveryFilter, Health as _, Inbox as _, Page};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::daemon::Daemon;
use super::ledger::{Entry, Ledger};
use super::parcel::document_hash;

/// How often it is looked again, and after how long. Looks are counted and not seconds: on a machine that stands still or
/// is busy with others the daemon has as much of it, for each look, as the test.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// All that is queued is handled after so many looks.
const SETTLED_WITHIN: usize = 600;
/// An answered delivery is in the lists after so many looks; one that is lost never is.
const LISTED_WITHIN: usize = 150;
/// Bodies asked for one by one, at most; all are read when the store is opened afterwards.
const BODIES_ASKED_MAX: usize = 100;

const FINAL: [&str; 4] = ["done", "ignored", "superseded", "dead"];

/// The ledger's lines by the forge's id.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// What a daemon says that it has.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Deliveries by the forge's id.
    pub(crate) deliveries: BTreeMap<String, Value>,
    /// Repository to full path.
    pub(crate) projects: BTreeMap<u64, String>,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

async fn control(daemon: &Daemon) -> Control {
    let found = Control::local(daemon.store()).await.map_err(|failure| failure.message);
    found.unwrap().expect("the daemon holds its control socket")
}

async fn list(daemon: &Daemon, what: &str) -> Vec<Value> {
    let listed = control(daemon).await.list(&[what], &[], usize::MAX, None).await;
    listed.unwrap_or_else(|failure| panic!("{what}: {}\n{}", failure.message, daemon.output())).items
}

/// Waits until everything acknowledged is listed (an index may lag behind an answer) and nothing is queued, and reads
/// all.
pub(crate) async fn kept(entries: &Entries, daemon: &Daemon) -> Kept {
    let mut looks = 0;
    loop {
        looks += 1;
        let deliveries = list(daemon, "deliveries").await;
        let listed: BTreeSet<&str> = deliveries.iter().map(|one| text(one, "external_id")).collect();
        let is_open = |one: &Value| !FINAL.contains(&text(one, "state"));
        let is_missing =
            |(id, entry): (&String, &Entry)| entry.answer.is_ack() && !listed.contains(id.as_str());
        let wait = deliveries.iter().any(is_open) && looks < SETTLED_WITHIN
            || entries.iter().any(is_missing) && looks < LISTED_WITHIN;
        if wait {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let projects = list(daemon, "projects").await;
        let named =
            |one: &Value| (text(one, "external_id").parse().unwrap(), text(one, "full_path").to_owned());
        let count = deliveries.len();
        let deliveries: BTreeMap<_, _> =
            deliveries.into_iter().map(|one| (text(&one, "external_id").to_owned(), one)).collect();
        assert_eq!(count, deliveries.len(), "a delivery is kept twice");
        return Kept { deliveries, projects: projects.iter().map(named).collect() };
    }
}

/// What should come of these deliveries: each repository is called what its latest statement says.
pub(crate) fn model<'a>(
    entries: &Entries,
    present: impl Iterator<Item = &'a String>,
) -> BTreeMap<u64, String> {
    let mut latest: BTreeMap<u64, &Entry> = BTreeMap::new();
    for entry in present.filter_map(|id| entries.get(id)) {
        let place = latest.entry(entry.repository).or_insert(entry);
        if entry.number > place.number {
            *place = entry;
        }
    }
    latest.into_iter().map(|(repository, entry)| (repository, entry.path.clone())).collect()
}

/// Everything that is wrong with what a daemon has, given what was sent and acknowledged.
pub(crate) async fn losses(entries: &Entries, daemon: &Daemon) -> Vec<String> {
    let kept = kept(entries, daemon).await;
    let mut wrong = Vec::new();
    for (id, entry) in entries.iter().filter(|(_, entry)| entry.answer.is_ack()) {
        if !kept.deliveries.contains_key(id) {
            wrong.push(format!("delivery {id} (number {}) was acknowledged and is lost", entry.number));
        }
    }
    for (id, one) in &kept.deliveries {
        match (entries.get(id), text(one, "state")) {
            (None, _) => wrong.push(format!("delivery {id} was never sent")),
            (_, "done" | "superseded") => {}
            (_, state) => wrong.push(format!("delivery {id} is {state}: {one}")),
        }
    }
    let expected = model(entries, kept.deliveries.keys());
    if expected != kept.projects {
        wrong.push(format!("projects are {:?} and should be {expected:?}", kept.projects));
    }
    wrong.extend(equation(&kept));
    wrong.extend(altered_documents(entries, &kept, &control(daemon).await).await);
    wrong
}

/// acked = done + ignored + superseded + pending + dead, as the metrics and the lists say it (R23).
fn equation(kept: &Kept) -> Option<String> {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for one in kept.deliveries.values() {
        *states.entry(text(one, "state")).or_default() += 1;
    }
    let known = FINAL.iter().chain(["queued", "working", "waiting"].iter());
    let sum: usize = known.filter_map(|state| states.get(state)).sum();
    (sum != kept.deliveries.len())
        .then(|| format!("{} deliveries, in states {states:?}", kept.deliveries.len()))
}

async fn altered_documents(entries: &Entries, kept: &Kept, control: &Control) -> Vec<String> {
    let mut wrong = Vec::new();
    let every = kept.deliveries.len().div_ceil(BODIES_ASKED_MAX).max(1);
    for (id, one) in kept.deliveries.iter().step_by(every) {
        let shown =
            control.get(&["deliveries", text(one, "id")], &[]).await.map_err(|failure| failure.message);
        let shown = match shown {
            Ok(shown) => shown,
            Err(why) => {
                wrong.push(format!("delivery {id} cannot be shown: {why}"));
                continue;
            }
        };
        let body = shown.pointer("/content/body").map(document_hash);
        if body.as_ref() != entries.get(id).map(|entry| &entry.document) {
            wrong.push(format!("delivery {id} has another body than was sent"));
        }
    }
    wrong
}

/// Fails when anything that was acknowledged is not there, unchanged, with its effect.
pub(crate) async fn assert_nothing_lost(ledger: &Ledger, daemon: &Daemon) {
    let wrong = losses(&ledger.entries(), daemon).await;
    let few: Vec<&str> = wrong.iter().take(8).map(String::as_str).collect();
    let of = (wrong.len(), ledger.summary());
    assert!(wrong.is_empty(), "{} wrong, {}: {}\n{}", of.0, of.1, few.join("\n"), daemon.output());
}

/// The bytes of every delivery in a store that nobody holds, compared with what was sent.
pub(crate) async fn altered_bytes(entries: &Entries, store: &Path, key: &Path) -> Vec<String> {
    let (dir, key) = (store.to_owned(), key.to_owned());
    let now = Timestamp::from_ms(1_780_000_000_000);
    let open = move || scm_connect::store::sled::open(&dir, &key, now);
    let store = tokio::task::spawn_blocking(open).await.unwrap().unwrap();
    let mut wrong = Vec::new();
    let mut page = Page { limit: 200, cursor: None };
    loop {
        let found = store.deliveries(&DeliveryFilter::default(), &page).await.unwrap();
        for record in found.items {
            let id: DeliveryId = record.id;
            let body =
                store.delivery_body(id).await.unwrap().map(|one| hex::encode(Sha256::digest(one.body())));
            if body.as_ref() != entries.get(&record.external_id).map(|entry| &entry.hash) {
                wrong.push(format!("delivery {} has other bytes than were sent", record.external_id));
            }
        }
        page.cursor = found.next;
        if page.cursor.is_none() {
            break;
        }
    }
    wrong.extend(store.verify(&|_, _| {}).await.unwrap());
    store.close().await.unwrap();
    wrong
}
