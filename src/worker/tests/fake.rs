//! A store in memory that answers as it is told, and remembers what it was asked.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use tokio::sync::Notify;

use crate::domain::access::{Approval, TokenKind, TokenRecord};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::ci::{JobKnown, JobLookup};
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, SealedCredential};
use crate::domain::delivery::{Attempt, Delivery, DeliveryRecord, DeliveryState, Encoding, Envelope};
use crate::domain::event::About;
use crate::domain::known::{Candidates, Known, Lookup, RecordKey, Versioned};
use crate::domain::organization::{Connection, Forge, Member, Organization, Source};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::scan::{Branch, Finding, Scan};
use crate::domain::task::Task;
use crate::domain::ticket::{Ticket, TicketPurpose};
use crate::domain::{ConnectionKey, DeliveryId, Host, OrganizationSlug, SourceKey, Timestamp};
use crate::store::*;
use crate::worker::inbox::lock;

pub(super) type Answer<T> = Result<T, StoreError>;

pub(in crate::worker) fn id(n: u128) -> DeliveryId {
    DeliveryId::from_bytes(n.to_be_bytes())
}

pub(in crate::worker) fn source() -> Source {
    let url = url::Url::parse("https://github.com").unwrap();
    Source {
        key: SourceKey::parse("our-app").unwrap(),
        forge: Forge::Github,
        host: Host::of(&url).unwrap(),
        url,
        organizations: vec![OrganizationSlug::parse("acme").unwrap()],
        created_by: "config".into(),
        removed: false,
        app: None,
    }
}

/// A delivery whose body is a word to the rules of the tests.
pub(in crate::worker) fn delivery(body: &str) -> Delivery {
    let envelope = Envelope {
        external_id: "e".into(),
        hook_id: String::new(),
        event: "pu\u{1b}sh".into(),
        encoding: Encoding::Json,
        secret_slot: 0,
        same_within_ms: None,
    };
    Delivery::restore(source().key, envelope, Vec::new(), Bytes::from(body.to_owned()))
}

pub(in crate::worker) fn record(attempts: u32, received_at: Timestamp) -> DeliveryRecord {
    DeliveryRecord {
        id: id(1),
        source: source().key,
        provider: "github".into(),
        organization: None,
        connection: None,
        event: "push".into(),
        action: None,
        external_id: "e".into(),
        hook_id: String::new(),
        received_at,
        state: DeliveryState::Working,
        attempts,
        duplicates: 0,
        last_error: None,
        reason: None,
        replay_suspected: false,
        body_bytes: 0,
        secret_slot: 0,
        finished_at: None,
        due_at: None,
        lane: "l".into(),
    }
}

pub(in crate::worker) fn claim(n: u128, attempts: u32, body: &str) -> Claim {
    let record = DeliveryRecord { id: id(n), ..record(attempts, Timestamp::from_ms(0)) };
    Claim { delivery: delivery(body), record, tries: 1, fence: 1 }
}

pub(in crate::worker) fn unindexed(n: u128, body: &str) -> Unindexed {
    Unindexed { id: id(n), received_at: Timestamp::from_ms(0), delivery: delivery(body), deaths: 0 }
}

/// What it was told, and what it has seen.
#[derive(Default)]
pub(in crate::worker) struct Script {
    pub(in crate::worker) unindexed: Vec<Unindexed>,
    pub(in crate::worker) due: VecDeque<Claim>,
    pub(in crate::worker) attempts: HashMap<DeliveryId, Vec<Attempt>>,
    pub(in crate::worker) no_source: bool,
    pub(in crate::worker) removed: bool,
    /// Errors to give, by verb, in order.
    pub(in crate::worker) faults: VecDeque<(&'static str, StoreError)>,
    /// Verbs that never answer.
    pub(in crate::worker) hung: BTreeSet<&'static str>,
    /// Claims that somebody else has by now.
    pub(in crate::worker) lost: BTreeSet<DeliveryId>,
    /// So many settlements find a changed record.
    pub(in crate::worker) changes: u32,
    pub(in crate::worker) pieces: u32,
    pub(in crate::worker) figures: StoreFigures,
    /// What the next pieces of a scrub find; a piece that finds nothing is a pass's last.
    pub(in crate::worker) damages: VecDeque<String>,
    pub(in crate::worker) rows: Vec<Indexed>,
    pub(in crate::worker) deliveries: Vec<DeliveryRecord>,
    /// What was noted as being read, call by call.
    pub(in crate::worker) read: Vec<Vec<DeliveryId>>,
    pub(in crate::worker) settled: Vec<(DeliveryId, Outcome)>,
    pub(in crate::worker) calls: BTreeMap<&'static str, u32>,
    pub(in crate::worker) tasks: VecDeque<Task>,
    pub(in crate::worker) tasks_lost: bool,
    pub(in crate::worker) tasks_settled: Vec<(String, TaskOutcome)>,
}

#[derive(Default)]
pub(in crate::worker) struct Fake {
    script: Mutex<Script>,
    moved: Notify,
}

impl Fake {
    pub(in crate::worker) fn with<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        let done = act(&mut lock(&self.script));
        self.moved.notify_waiters();
        done
    }

    pub(in crate::worker) fn calls(&self, verb: &str) -> u32 {
        self.with(|script| script.calls.get(verb).copied().unwrap_or(0))
    }

    /// Waits until what is asked for holds; an hour of the test's own time is enough for all that is asked here.
    pub(in crate::worker) async fn until(&self, holds: impl Fn(&Script) -> bool) {
        let began = tokio::time::Instant::now();
        loop {
            assert!(
                began.elapsed() < Duration::from_secs(3_600),
                "what was waited for did not come in an hour"
            );
            let moved = self.moved.notified();
            if holds(&lock(&self.script)) {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), moved).await;
        }
    }

    async fn ask<T>(&self, verb: &'static str, act: impl FnOnce(&mut Script) -> T) -> Answer<T> {
        let (hangs, fault) = self.with(|script| {
            *script.calls.entry(verb).or_default() += 1;
            let at = script.faults.iter().position(|(of, _)| *of == verb);
            (script.hung.contains(verb), at.and_then(|at| script.faults.remove(at)))
        });
        if hangs {
            std::future::pending::<()>().await;
        }
        fault.map_or_else(|| Ok(self.with(act)), |(_, error)| Err(error))
    }
}

#[async_trait]
#[rustfmt::skip]
impl Inbox for Fake {
    async fn accept(&self, _: Delivery, _: Timestamp) -> Answer<Accepted> { unimplemented!() }
    async fn unindexed(&self, limit: usize) -> Answer<Vec<Unindexed>> {
        self.ask("unindexed", |script| script.unindexed.iter().take(limit).cloned().collect()).await
    }
    async fn reading(&self, ids: &[DeliveryId]) -> Answer<()> {
        self.ask("reading", |script| script.read.push(ids.to_vec())).await
    }
    async fn index(&self, rows: Vec<Indexed>, _: Timestamp) -> Answer<()> {
        self.ask("index", |script| {
            script.unindexed.retain(|one| rows.iter().all(|row| row.id != one.id));
            script.rows.extend(rows);
        }).await
    }
    async fn claim_deliveries(&self, _: Timestamp, _: i64, limit: usize) -> Answer<Vec<Claim>> {
        self.ask("claim", |script| {
            let count = script.due.len().min(limit);
            script.due.drain(..count).collect()
        }).await
    }
    async fn extend_claim(&self, claim: &Claim, _: Timestamp) -> Answer<bool> {
        self.ask("extend", |script| !script.lost.contains(&claim.record.id)).await
    }
    async fn settle_delivery(&self, mut claim: Claim, outcome: Outcome, _: Timestamp) -> Answer<Settled> {
        self.ask("settle", |script| {
            if script.lost.contains(&claim.record.id) {
                return Settled::LeaseLost;
            }
            if script.changes > 0 && matches!(outcome, Outcome::Apply(_)) {
                script.changes -= 1;
                claim.fence += 1;
                return Settled::Changed(Box::new(claim));
            }
            script.settled.push((claim.record.id, outcome));
            Settled::Done
        }).await
    }
    async fn replay(&self, _: DeliveryId, _: &str, _: Timestamp) -> Answer<bool> { unimplemented!() }
    async fn discard(&self, _: DeliveryId, _: &str, _: Timestamp) -> Answer<bool> { unimplemented!() }
    async fn wake_unbound(&self, _: Timestamp) -> Answer<u64> { unimplemented!() }
    async fn purge(&self, _: Retention, _: Timestamp) -> Answer<Purged> {
        self.ask("purge", |script| {
            let records = u64::from(script.pieces > 0);
            script.pieces = script.pieces.saturating_sub(1);
            Purged { records, bytes: 0 }
        }).await
    }
    async fn delivery(&self, _: DeliveryId) -> Answer<Option<DeliveryRecord>> { unimplemented!() }
    async fn delivery_body(&self, _: DeliveryId) -> Answer<Option<Delivery>> { unimplemented!() }
    async fn attempts(&self, id: DeliveryId) -> Answer<Vec<Attempt>> {
        self.ask("attempts", |script| script.attempts.get(&id).cloned().unwrap_or_default()).await
    }
    async fn deliveries(&self, filter: &DeliveryFilter, page: &Page) -> Answer<Paged<DeliveryRecord>> { self.listed(filter, page).await }
    async fn wait(&self, at_most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(at_most_ms)).await;
    }
}

#[async_trait]
#[rustfmt::skip]
impl Records for Fake {
    async fn candidates(&self, _: &SourceKey, _: &Host, _: &About) -> Answer<Candidates> {
        self.ask("candidates", |_| Candidates::default()).await
    }
    async fn known(&self, source: &Source, connection: &Connection, _: &Lookup) -> Answer<Option<Known>> {
        self.ask("known", |_| Some(Known {
            received_at: Timestamp::from_ms(-1), replay_suspected: false, source: source.clone(),
            organization: Versioned { version: 1, value: super::organization() },
            connection: Versioned { version: 1, value: connection.clone() },
            projects: Vec::new(), members: Vec::new(), runs: Vec::new(),
        })).await
    }
    async fn apply(&self, _: Vec<Change>, _: Vec<(RecordKey, u64)>) -> Answer<bool> { unimplemented!() }
    async fn source(&self, _: &SourceKey) -> Answer<Option<Source>> {
        self.ask("source", |script| {
            (!script.no_source).then(|| Source { removed: script.removed, ..source() })
        }).await
    }
    async fn sources(&self) -> Answer<Vec<Source>> { unimplemented!() }
    async fn organization(&self, _: &OrganizationSlug) -> Answer<Option<Organization>> { unimplemented!() }
    async fn organizations(&self, _: &Page) -> Answer<Paged<Organization>> { unimplemented!() }
    async fn connection(&self, _: &ConnectionKey) -> Answer<Option<Connection>> { unimplemented!() }
    async fn connections(&self, _: &ConnectionFilter, _: &Page) -> Answer<Paged<Connection>> { unimplemented!() }
    async fn project(&self, _: &str) -> Answer<Option<Project>> { unimplemented!() }
    async fn projects(&self, _: &ProjectFilter, _: &Page) -> Answer<Paged<Project>> { unimplemented!() }
    async fn member(&self, _: &str) -> Answer<Option<Member>> { unimplemented!() }
    async fn members(&self, _: &MemberFilter, _: &Page) -> Answer<Paged<Member>> { unimplemented!() }
    async fn pipelines(&self, _: &Project, _: &Page) -> Answer<Paged<Pipeline>> { unimplemented!() }
    async fn audit_entry(&self, _: &str) -> Answer<Option<AuditEntry>> { unimplemented!() }
    async fn audit(&self, _: &AuditFilter, _: &Page) -> Answer<Paged<AuditEntry>> { unimplemented!() }
}

#[async_trait]
impl Jobs for Fake {
    async fn next_scan_number(&self) -> Answer<u64> {
        unimplemented!()
    }
    async fn scan(&self, _: &str) -> Answer<Option<Versioned<Scan>>> {
        unimplemented!()
    }
    async fn scan_numbered(&self, _: u64) -> Answer<Option<Versioned<Scan>>> {
        unimplemented!()
    }
    async fn record_findings(&self, _: Vec<Finding>) -> Answer<()> {
        unimplemented!()
    }
    async fn close_findings(
        &self,
        _: &Branch,
        _: u64,
        _: &BTreeSet<String>,
        _: Option<String>,
        _: Timestamp,
    ) -> Answer<Option<String>> {
        unimplemented!()
    }
    async fn findings(&self, _: &FindingFilter, _: &Page) -> Answer<Paged<Finding>> {
        unimplemented!()
    }
    async fn put_approval(&self, _: &[u8; 32], _: Approval, _: Timestamp) -> Answer<()> {
        unimplemented!()
    }
    async fn approval(&self, _: &[u8; 32], _: Timestamp) -> Answer<Option<Approval>> {
        unimplemented!()
    }
    async fn redeem_approval(&self, _: &[u8; 32], _: TokenRecord, _: Timestamp) -> Answer<bool> {
        unimplemented!()
    }
    async fn known_to_job(&self, _: &JobLookup) -> Answer<JobKnown> {
        unimplemented!()
    }
    async fn versioned_connection(&self, _: &ConnectionKey) -> Answer<Option<Versioned<Connection>>> {
        unimplemented!()
    }
    async fn versioned_organization(&self, _: &OrganizationSlug) -> Answer<Option<Versioned<Organization>>> {
        unimplemented!()
    }
}

#[async_trait]
#[rustfmt::skip]
impl Access for Fake {
    async fn put_token(&self, _: TokenRecord) -> Answer<()> { unimplemented!() }
    async fn token_by_hash(&self, _: &[u8; 32]) -> Answer<Option<TokenRecord>> { unimplemented!() }
    async fn tokens(&self, _: Option<&OrganizationSlug>, _: Option<TokenKind>, _: &Page) -> Answer<Paged<TokenRecord>> { unimplemented!() }
    async fn revoke_token(&self, _: &str, _: Timestamp) -> Answer<bool> { unimplemented!() }
    async fn put_setup_code(&self, _: &[u8; 32], _: Timestamp) -> Answer<()> { unimplemented!() }
    async fn redeem_setup_code(&self, _: &[u8; 32], _: Organization, _: TokenRecord, _: Timestamp) -> Answer<bool> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Tickets for Fake {
    async fn put_ticket(&self, _: &[u8; 32], _: Ticket, _: Timestamp) -> Answer<()> { unimplemented!() }
    async fn ticket(&self, _: &[u8; 32], _: TicketPurpose, _: Timestamp) -> Answer<Option<Ticket>> { unimplemented!() }
    async fn redeem_ticket(&self, _: &[u8; 32], _: TicketPurpose, _: Timestamp) -> Answer<Option<Ticket>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Credentials for Fake {
    async fn seal_credential(&self, _: CredentialAbout, _: &SecretString, _: Timestamp) -> Answer<SealedCredential> { unimplemented!() }
    async fn credential(&self, _: &CredentialOwner, _: CredentialKind) -> Answer<Option<Credential>> { unimplemented!() }
    async fn credentials(&self, _: &CredentialOwner) -> Answer<Vec<CredentialAbout>> { unimplemented!() }
    async fn versioned_source(&self, _: &SourceKey) -> Answer<Option<Versioned<Source>>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Tasks for Fake {
    async fn claim_tasks(&self, _: Timestamp, _: i64, limit: usize) -> Answer<Vec<TaskClaim>> {
        self.ask("claim_tasks", |script| {
            let count = limit.min(script.tasks.len());
            script.tasks.drain(..count).map(|task| TaskClaim { task }).collect()
        }).await
    }
    async fn extend_task(&self, _: &TaskClaim, _: Timestamp) -> Answer<bool> {
        self.ask("extend_task", |script| !script.tasks_lost).await
    }
    async fn settle_task(&self, claim: &TaskClaim, outcome: TaskOutcome, _: Timestamp) -> Answer<TaskSettled> {
        self.ask("settle_task", |script| {
            if script.changes > 0 {
                script.changes -= 1;
                return TaskSettled::Changed;
            }
            script.tasks_settled.push((claim.task.id.clone(), outcome));
            TaskSettled::Done
        }).await
    }
    async fn cancel_task(&self, _: &str, _: &str, _: Timestamp) -> Answer<Option<Task>> { unimplemented!() }
    async fn task(&self, _: &str) -> Answer<Option<Task>> { unimplemented!() }
    async fn tasks(&self, _: &TaskFilter, _: &Page) -> Answer<Paged<Task>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Health for Fake {
    async fn probe(&self, _: Timestamp) -> Answer<()> { self.ask("probe", |_| ()).await }
    async fn figures(&self) -> Answer<StoreFigures> { self.ask("figures", |script| script.figures.clone()).await }
    async fn verify(&self, _: &(dyn Fn(u64, u64) + Send + Sync)) -> Answer<Vec<String>> { unimplemented!() }
    async fn scrub(&self) -> Answer<Scrubbed> {
        self.ask("scrub", |script| {
            let found: Vec<String> = script.damages.pop_front().into_iter().collect();
            Scrubbed { done: 1, all: 2, is_last: found.is_empty(), found }
        }).await
    }
    async fn close(&self) -> Answer<()> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Keep for Fake {
    fn keyring(&self) -> &keep::Keyring { unimplemented!() }
    async fn freeze(&self) -> Answer<Box<dyn Frozen>> { unimplemented!() }
    async fn is_empty(&self) -> Answer<bool> { unimplemented!() }
    async fn import_mark(&self) -> Answer<Option<keep::ImportMark>> { unimplemented!() }
    async fn import(&self, _: Vec<keep::Item>, _: keep::ImportMark) -> Answer<()> { unimplemented!() }
    async fn end_import(&self) -> Answer<()> { unimplemented!() }
    async fn rotate_keys(&self, _: bool, _: Timestamp, _: &keep::Tell) -> Answer<keep::Rotated> { unimplemented!() }
}
