//! Random histories of acts, played on a store and on the model; every answer must be the same (R17).

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::bench::{LEASE_MS, NOON, from_hook};
use super::model::{AWAY, Came, ENDED, End, Model};
use super::records::organization;
use crate::domain::change::{Change, Changes, Reason, Verdict};
use crate::domain::delivery::{DeliveryState, Lane};
use crate::domain::known::RecordKey;
use crate::domain::{DeliveryId, Timestamp};
use crate::store::{
    Accepted, AuditFilter, Claim, DeliveryFilter, Indexed, Outcome, Page, Retention, Settled, Store,
};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const KEEP_MS: i64 = 90 * DAY_MS;
const WINDOW_MS: i64 = 10 * MINUTE_MS;
const LANES: [&str; 4] = ["red", "green", "blue", ENDED];

/// One act. Numbers choose among what there is.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Accept { id: u8, hook: u8, body: usize, windowed: bool },
    Index { blocks: bool },
    Wait(i64),
    Claim,
    Extend(usize),
    Settle(usize, u8),
    Replay(usize),
    Discard(usize),
    WakeUnbound,
    Purge,
    Apply { stale: bool },
}

fn act() -> impl Strategy<Value = Act> {
    let waits = [1, 5_000, LEASE_MS, 2 * MINUTE_MS, 16 * MINUTE_MS, DAY_MS, 91 * DAY_MS];
    prop_oneof![
        6 => (0..6_u8, 0..2_u8, 0..LANES.len(), any::<bool>())
            .prop_map(|(id, hook, body, windowed)| Act::Accept { id, hook, body, windowed }),
        4 => any::<bool>().prop_map(|blocks| Act::Index { blocks }),
        4 => proptest::sample::select(waits.to_vec()).prop_map(Act::Wait),
        5 => Just(Act::Claim),
        1 => any::<usize>().prop_map(Act::Extend),
        8 => (any::<usize>(), 0..8_u8).prop_map(|(which, how)| Act::Settle(which, how)),
        2 => any::<usize>().prop_map(Act::Replay),
        1 => any::<usize>().prop_map(Act::Discard),
        1 => Just(Act::WakeUnbound),
        1 => Just(Act::Purge),
        1 => any::<bool>().prop_map(|stale| Act::Apply { stale }),
    ]
}

/// A history under way.
struct Play {
    store: Arc<dyn Store>,
    model: Model,
    now: Timestamp,
    /// The store's name of each delivery.
    ids: Vec<DeliveryId>,
    held: Vec<(usize, Claim)>,
    versions_read: u64,
}

impl Play {
    fn number(&self, id: DeliveryId) -> usize {
        self.ids.iter().position(|known| *known == id).expect("an id that was never given out")
    }

    async fn accept(&mut self, id: u8, hook: u8, body: usize, windowed: bool) {
        let within = windowed.then_some(WINDOW_MS);
        // One key is always of one kind: a forge either names its deliveries or does not.
        let (name, hook) = (format!("{id}{}", if windowed { "w" } else { "" }), hook.to_string());
        let body = LANES[body];
        let delivery = from_hook(&name, &hook, within, body.as_bytes());
        let accepted = self.store.accept(delivery, self.now).await.unwrap();
        let came = self.model.accept((name, hook), within, body, self.now);
        if let Accepted::New(id) = accepted {
            self.ids.push(id);
        }
        let found = match accepted {
            Accepted::New(id) => Came::New(self.number(id)),
            Accepted::Duplicate(id) => Came::Duplicate(self.number(id)),
            Accepted::Woken(id) => Came::Woken(self.number(id)),
        };
        assert_eq!(found, came);
    }

    async fn index(&mut self, blocks: bool) {
        let found = self.store.unindexed(1000).await.unwrap();
        let numbers: Vec<usize> = found.iter().map(|one| self.number(one.id)).collect();
        assert_eq!(numbers, self.model.unindexed());
        let rows = found.into_iter().map(|one| {
            let body = String::from_utf8_lossy(one.delivery.body()).into_owned();
            let ended = (body == ENDED).then(|| (DeliveryState::Ignored, "unwanted".to_owned()));
            let lane = Lane { key: body, blocks };
            Indexed { id: one.id, event: "test".into(), action: None, provider: "github".into(), lane, ended }
        });
        self.store.index(rows.collect(), self.now).await.unwrap();
        self.model.index(blocks, self.now);
    }

    async fn claim(&mut self) {
        let claims = self.store.claim_deliveries(self.now, LEASE_MS, 1000).await.unwrap();
        let (due, suspects) = (self.model.due(self.now), self.model.is_anybody_suspect(self.now));
        let mut found: Vec<(usize, Claim)> =
            claims.into_iter().map(|claim| (self.number(claim.record.id), claim)).collect();
        found.sort_by_key(|(at, _)| *at);
        let given: Vec<usize> = found.iter().map(|(at, _)| *at).collect();
        // A store may give a suspect alone, and hold the others back meanwhile.
        let holds_back = suspects && given.len() < due.len() && given.iter().all(|at| due.contains(at));
        assert!(given == due || holds_back, "{given:?} were given, {due:?} are due");
        self.model.claim(&given, self.now);
        for (at, claim) in &found {
            assert_eq!((claim.tries, claim.fence), (self.model.tries(*at), self.model.entries[*at].fence));
            assert_eq!(self.model.record(*at, claim.record.id).as_ref(), Some(&claim.record));
        }
        self.held.extend(found);
    }

    async fn extend(&mut self, which: usize) {
        if self.held.is_empty() {
            return;
        }
        let (at, claim) = &self.held[which % self.held.len()];
        let until = self.now.plus_ms(LEASE_MS);
        let kept = self.store.extend_claim(claim, until).await.unwrap();
        assert_eq!(kept, self.model.extend(*at, claim.fence, until));
    }

    async fn settle(&mut self, which: usize, how: u8) {
        if self.held.is_empty() {
            return;
        }
        let (at, claim) = self.held.swap_remove(which % self.held.len());
        let fence = claim.fence;
        let again = self.now.plus_ms(2 * MINUTE_MS);
        let done = End::Final(DeliveryState::Done, None, None);
        let plain = |verdict| Outcome::Apply(Changes::none(verdict));
        let (outcome, end) = match how {
            0 | 1 => (plain(Verdict::Done), done),
            2 => {
                let end = End::Final(DeliveryState::Ignored, Some("foreign-tenant"), None);
                (plain(Verdict::Ignored(Reason::ForeignTenant)), end)
            }
            3 => {
                let end = End::Final(DeliveryState::Superseded, Some("superseded"), Some("newer"));
                (plain(Verdict::Superseded("newer".into())), end)
            }
            4 => (plain(Verdict::Unbound), End::Unbound),
            5 => (Outcome::Retry { at: again, error: AWAY.into() }, End::Retry(again)),
            6 => {
                let end = End::Final(DeliveryState::Dead, Some("exhausted"), Some(AWAY));
                (Outcome::Park { reason: "exhausted".into(), error: AWAY.into() }, end)
            }
            _ => (Outcome::Apply(self.writes(Verdict::Done)), done),
        };
        let expected = self.versions_read == self.version();
        let holds = self.model.holds(at, fence);
        match self.store.settle_delivery(claim, outcome, self.now).await.unwrap() {
            Settled::Done => {
                assert!(holds && (how < 7 || expected));
                self.model.settle(at, &end, self.now);
                if how >= 7 {
                    self.wrote();
                }
            }
            Settled::LeaseLost => assert!(!holds),
            Settled::Changed(claim) => {
                assert!(holds && how >= 7 && !expected);
                self.held.push((at, *claim));
                self.versions_read = self.version();
            }
        }
    }

    fn version(&self) -> u64 {
        self.model.versions.get("acme").copied().unwrap_or(0)
    }

    fn wrote(&mut self) {
        *self.model.versions.entry("acme".into()).or_default() += 1;
    }

    /// Writes a record that was read some time ago.
    fn writes(&self, verdict: Verdict) -> Changes {
        let record = organization("acme");
        let expects = vec![(RecordKey::Organization(record.slug.clone()), self.versions_read)];
        Changes { expects, changes: vec![Change::PutOrganization(record)], ..Changes::none(verdict) }
    }

    async fn apply(&mut self, stale: bool) {
        if !stale {
            self.versions_read = self.version();
        }
        let Changes { expects, changes, .. } = self.writes(Verdict::Done);
        let holds = self.versions_read == self.version();
        assert_eq!(self.store.apply(changes, expects).await.unwrap(), holds);
        if holds {
            self.wrote();
        }
    }

    async fn purge(&mut self) {
        let keep = Retention { payload_ms: KEEP_MS, metadata_ms: KEEP_MS };
        // A round goes on where the one before ended; some rounds see all of so few.
        for _ in 0..4 {
            self.store.purge(keep, self.now).await.unwrap();
        }
        self.model.purge(self.now.plus_ms(-KEEP_MS));
    }

    async fn step(&mut self, act: Act) {
        let some = |which: usize, all: usize| (all > 0).then(|| which % all);
        match act {
            Act::Accept { id, hook, body, windowed } => self.accept(id, hook, body, windowed).await,
            Act::Index { blocks } => self.index(blocks).await,
            Act::Wait(ms) => self.now = self.now.plus_ms(ms),
            Act::Claim => self.claim().await,
            Act::Extend(which) => self.extend(which).await,
            Act::Settle(which, how) => self.settle(which, how).await,
            Act::Replay(which) => {
                let Some(at) = some(which, self.ids.len()) else { return };
                let done = self.store.replay(self.ids[at], "cli", self.now).await.unwrap();
                assert_eq!(done, self.model.replay(at, self.now));
            }
            Act::Discard(which) => {
                let Some(at) = some(which, self.ids.len()) else { return };
                let done = self.store.discard(self.ids[at], "cli", self.now).await.unwrap();
                assert_eq!(done, self.model.discard(at, self.now));
            }
            Act::WakeUnbound => {
                let woken = self.store.wake_unbound(self.now).await.unwrap();
                assert_eq!(woken, self.model.wake_unbound(self.now));
            }
            Act::Purge => self.purge().await,
            Act::Apply { stale } => self.apply(stale).await,
        }
    }

    /// Everything that can be asked.
    async fn look(&self) {
        for (at, id) in self.ids.iter().enumerate() {
            let expected = self.model.record(at, *id);
            let attempts =
                if expected.is_some() { self.model.entries[at].attempts.clone() } else { Vec::new() };
            assert_eq!(self.store.delivery(*id).await.unwrap(), expected);
            assert_eq!(self.store.attempts(*id).await.unwrap(), attempts);
        }
        for state in DeliveryState::ALL {
            let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
            let (mut found, mut page) = (Vec::new(), Page { limit: 3, cursor: None });
            loop {
                let part = self.store.deliveries(&filter, &page).await.unwrap();
                found.extend(part.items.iter().map(|record| self.number(record.id)));
                page.cursor = part.next;
                if page.cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, self.model.list(state), "{state:?}");
        }
        let mut figures = self.store.figures().await.unwrap();
        (figures.size_bytes, figures.free_bytes) = (0, None);
        assert_eq!(figures, self.model.figures());
        let found = self
            .store
            .audit(&AuditFilter::default(), &Page { limit: 1000, cursor: None })
            .await
            .unwrap()
            .items;
        let found: Vec<_> =
            found.into_iter().rev().map(|line| (line.at, line.action, line.subject)).collect();
        let lines = self.model.audit.iter().map(|(at, action, subject)| {
            (*at, (*action).to_owned(), subject.map_or(String::new(), |at| self.ids[at].to_string()))
        });
        assert_eq!(found, lines.collect::<Vec<_>>());
        assert!(self.store.verify(&|_, _| {}).await.unwrap().is_empty());
    }
}

async fn play(store: Arc<dyn Store>, acts: Vec<Act>) {
    let (ids, held) = (Vec::new(), Vec::new());
    let mut play = Play { store, model: Model::default(), now: NOON, ids, held, versions_read: 0 };
    for (number, act) in acts.into_iter().enumerate() {
        play.step(act).await;
        if number % 16 == 15 {
            play.look().await;
        }
    }
    play.look().await;
}

/// Histories on all stores together: bounded, or all that are asked for (`SCM_CONNECT_FULL=1`).
#[expect(clippy::disallowed_methods, reason = "a test's own setting")]
fn histories() -> u32 {
    let full = std::env::var("SCM_CONNECT_FULL").is_ok_and(|value| value == "1");
    if full { 10_000 } else { 256 }
}

/// Plays this share of the random histories, in quarters, each on a store that `empty` gives.
pub(in crate::store) fn compare<Fut>(name: &str, quarters: u32, empty: impl Fn() -> Fut)
where
    Fut: Future<Output = Arc<dyn Store>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cases = histories() / 4 * quarters;
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let acts = proptest::collection::vec(act(), 1..60);
    let played = TestRunner::new(config).run(&acts, |acts| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async { play(empty().await, acts).await });
        }));
        caught.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            TestCaseError::fail(text)
        })
    });
    println!("r17: {cases} histories on {name}");
    if let Err(failed) = played {
        panic!("{failed}");
    }
}
