//! The ledger against what the database holds, read by the store itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use scm_connect::domain::delivery::{Attempt, DeliveryRecord, DeliveryState};
use scm_connect::domain::{DeliveryId, Timestamp};
use scm_connect::store::postgres::{PostgresStore, open};
use scm_connect::store::{DeliveryFilter, Health as _, Inbox as _, Page, ProjectFilter, Records as _};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::harness::check::{Entries, model};
use crate::harness::ledger::Ledger;

const NOW: Timestamp = Timestamp::from_ms(1_780_000_000_000);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks into the database beside the daemons.
pub(super) struct Book(PostgresStore);

impl Book {
    pub(super) async fn open(url: &Url, key: &Path) -> Self {
        Self(open(url, key, NOW).await.unwrap())
    }

    pub(super) async fn close(self) {
        self.0.close().await.unwrap();
    }

    /// Every delivery that an index knows.
    pub(super) async fn deliveries(&self) -> Vec<DeliveryRecord> {
        let (mut all, mut page) = (Vec::new(), Page { limit: 200, cursor: None });
        loop {
            let found = self.0.deliveries(&DeliveryFilter::default(), &page).await.unwrap();
            all.extend(found.items);
            page.cursor = found.next;
            if page.cursor.is_none() {
                return all;
            }
        }
    }

    /// How many deliveries are in this state.
    pub(super) async fn count(&self, state: DeliveryState) -> u64 {
        let figures = self.0.figures().await.unwrap();
        figures.by_state.into_iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| count)
    }

    /// Waits until so many deliveries are in this state; `false` when the time is over.
    pub(super) async fn await_count(&self, state: DeliveryState, count: u64, within: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < within {
            if self.count(state).await >= count {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Waits until nothing is unfinished; says how long it took.
    pub(super) async fn await_end(&self, within: Duration) -> Duration {
        let began = Instant::now();
        loop {
            let figures = self.0.figures().await.unwrap();
            let open = figures.by_state.iter().filter(|(state, _)| !state.is_final());
            let open = open.map(|(_, count)| count).sum::<u64>() + figures.unindexed;
            if open == 0 {
                return began.elapsed();
            }
            assert!(
                began.elapsed() < within,
                "{open} deliveries are unfinished after {within:?}: {figures:?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The attempts of one.
    pub(super) async fn attempts(&self, id: DeliveryId) -> Vec<Attempt> {
        self.0.attempts(id).await.unwrap()
    }

    /// Everything that is wrong with what is kept, given what was sent and acknowledged.
    pub(super) async fn wrong(&self, ledger: &Ledger) -> Vec<String> {
        self.wrong_after(ledger, 1).await
    }

    /// The same, when each was to be brought to its end so many times.
    pub(super) async fn wrong_after(&self, ledger: &Ledger, times: usize) -> Vec<String> {
        let entries = ledger.entries();
        let mut kept = BTreeMap::new();
        let mut wrong = Vec::new();
        for record in self.deliveries().await {
            if let Some(other) = kept.insert(record.external_id.clone(), record) {
                wrong.push(format!("delivery {} is kept twice", other.external_id));
            }
        }
        for (id, _) in entries.iter().filter(|(id, entry)| entry.answer.is_ack() && !kept.contains_key(*id)) {
            wrong.push(format!("delivery {id} was acknowledged and is lost"));
        }
        for record in kept.values() {
            wrong.extend(self.wrong_with(record, &entries, times).await);
        }
        let listed =
            self.0.projects(&ProjectFilter::default(), &Page { limit: 200, cursor: None }).await.unwrap();
        let projects: BTreeMap<u64, String> =
            listed.items.into_iter().map(|project| (project.external_id, project.full_path)).collect();
        let expected = model(&entries, kept.keys());
        if projects != expected {
            wrong.push(format!("projects are {projects:?} and should be {expected:?}"));
        }
        wrong.extend(self.0.verify(&|_, _| {}).await.unwrap());
        wrong
    }

    async fn wrong_with(&self, record: &DeliveryRecord, entries: &Entries, times: usize) -> Vec<String> {
        let (id, mut wrong) = (&record.external_id, Vec::new());
        if !matches!(record.state, DeliveryState::Done | DeliveryState::Superseded) {
            wrong.push(format!("delivery {id} is {}: {:?}", record.state.as_str(), record.last_error));
        }
        let body = self.0.delivery_body(record.id).await.unwrap();
        let body = body.map(|one| hex::encode(Sha256::digest(one.body())));
        if body.as_ref() != entries.get(id).map(|entry| &entry.hash) {
            wrong.push(format!("delivery {id} has other bytes than were sent"));
        }
        let ended = self.attempts(record.id).await;
        let ended =
            ended.iter().filter(|attempt| attempt.led_to.is_some_and(DeliveryState::is_final)).count();
        if ended != times {
            wrong.push(format!("delivery {id} was brought to its end {ended} times, not {times}"));
        }
        wrong
    }
}
