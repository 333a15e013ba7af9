//! A store in memory that keeps nothing and tells the truth about it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use super::fake_roster::has_changed;
use super::sample::{audit, connection, hold, host, member, organization, project, record, slug, task};
use super::{NOW, token};
use crate::domain::access::{Approval, TokenKind, TokenRecord};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::ci::{JobKnown, JobLookup};
use crate::domain::delivery::{Attempt, Delivery, DeliveryRecord, DeliveryState, Encoding, Envelope};
use crate::domain::event::About;
use crate::domain::known::{Candidates, Known, Lookup, RecordKey, Versioned};
use crate::domain::organization::*;
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::roster::Hold;
use crate::domain::scan::{Branch, Finding, Scan};
use crate::domain::task::Task;
use crate::domain::ticket::Ticket;
use crate::domain::*;
use crate::store::*;

type Found<T> = Result<Option<Versioned<T>>, StoreError>;

/// How `accept` behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Fine,
    Full,
    Broken,
    Slow(Duration),
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) mood: Mood,
    pub(super) accepted: Vec<(DeliveryId, Delivery)>,
    pub(super) wakes: bool,
    pub(super) organizations: Vec<Organization>,
    pub(super) sources: Vec<Source>,
    pub(super) connections: Vec<Connection>,
    pub(super) projects: Vec<Project>,
    pub(super) members: Vec<Member>,
    pub(super) audit: Vec<AuditEntry>,
    pub(super) deliveries: Vec<DeliveryRecord>,
    pub(super) tokens: Vec<TokenRecord>,
    pub(super) holds: Vec<Hold>,
    pub(super) tasks: Vec<Task>,
    pub(super) setup: Option<([u8; 32], Timestamp)>,
    pub(super) tickets: Vec<([u8; 32], Ticket)>,
}

#[derive(Debug, Default)]
pub(super) struct Fake {
    state: Mutex<State>,
    next: AtomicU64,
}

impl Fake {
    /// `acme` and `other`, each with one of everything.
    pub(super) fn with_two_tenants() -> Self {
        let fake = Self::default();
        {
            let mut state = fake.state();
            for (n, name) in [(1, "acme"), (2, "other")] {
                state.organizations.push(organization(name));
                state.connections.push(connection(name));
                state.projects.push(project(name));
                state.members.push(member(name));
                state.audit.push(audit(name));
                state.holds.push(hold(name));
                state.tasks.push(task(name));
                state.deliveries.push(record(n, Some(name), DeliveryState::Dead));
                for text in ["read", "admin", "ci", "admin-expired", "admin-revoked"] {
                    let (kind, rest) = text.split_once('-').unwrap_or((text, ""));
                    state.tokens.push(token(format!("{kind}-{name}-{rest}").trim_end_matches('-'), name));
                }
                state.sources.push(Source {
                    key: connection(name).source,
                    forge: Forge::Github,
                    host: host(),
                    url: "https://github.com".parse().unwrap(),
                    organizations: vec![slug(name)],
                    created_by: "config".to_owned(),
                    removed: false,
                    app: None,
                });
            }
        }
        fake
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Cursors are positions.
pub(super) fn paged<T: Clone>(all: Vec<T>, page: &Page) -> Paged<T> {
    let from: usize = page.cursor.as_ref().map_or(0, |cursor| cursor.parse().unwrap());
    let end = from + page.limit;
    let next = (end < all.len()).then(|| end.to_string());
    Paged { items: all.into_iter().skip(from).take(page.limit).collect(), next }
}

#[async_trait]
impl Inbox for Fake {
    async fn accept(&self, delivery: Delivery, _now: Timestamp) -> Result<Accepted, StoreError> {
        let mood = self.state().mood;
        match mood {
            Mood::Fine => {}
            Mood::Full => return Err(StoreError::Unavailable("/var/secret-path is full".into())),
            Mood::Broken => return Err(StoreError::Failed("sync".into())),
            Mood::Slow(time) => tokio::time::sleep(time).await,
        }
        let mut state = self.state();
        let same =
            |(_, d): &&(DeliveryId, Delivery)| d.envelope().external_id == delivery.envelope().external_id;
        if let Some((id, _)) = state.accepted.iter().find(same) {
            return Ok(if state.wakes { Accepted::Woken(*id) } else { Accepted::Duplicate(*id) });
        }
        let n = self.next.fetch_add(1, Ordering::Relaxed) + 100;
        let id = DeliveryId::from_bytes(u128::from(n).to_be_bytes());
        state.accepted.push((id, delivery));
        Ok(Accepted::New(id))
    }
    async fn reading(&self, _: &[DeliveryId]) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn unindexed(&self, _: usize) -> Result<Vec<Unindexed>, StoreError> {
        unimplemented!()
    }
    async fn index(&self, _: Vec<Indexed>, _: Timestamp) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn claim_deliveries(&self, _: Timestamp, _: i64, _: usize) -> Result<Vec<Claim>, StoreError> {
        unimplemented!()
    }
    async fn extend_claim(&self, _: &Claim, _: Timestamp) -> Result<bool, StoreError> {
        unimplemented!()
    }
    async fn settle_delivery(&self, _: Claim, _: Outcome, _: Timestamp) -> Result<Settled, StoreError> {
        unimplemented!()
    }
    async fn replay(&self, id: DeliveryId, _: &str, _: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.state();
        let found = state.deliveries.iter_mut().find(|record| record.id == id);
        Ok(found.map(|record| record.state = DeliveryState::Queued).is_some())
    }
    async fn discard(&self, id: DeliveryId, _: &str, _: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.state();
        let dead = |r: &&mut DeliveryRecord| r.id == id && r.state == DeliveryState::Dead;
        Ok(state.deliveries.iter_mut().find(dead).map(|r| r.state = DeliveryState::Ignored).is_some())
    }
    async fn wake_unbound(&self, _: Timestamp) -> Result<u64, StoreError> {
        unimplemented!()
    }
    async fn purge(&self, _: Retention, _: Timestamp) -> Result<Purged, StoreError> {
        unimplemented!()
    }
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        Ok(self.state().deliveries.iter().find(|record| record.id == id).cloned())
    }
    async fn delivery_body(&self, _: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let envelope = Envelope {
            external_id: "1".into(),
            hook_id: String::new(),
            event: "push".into(),
            encoding: Encoding::Json,
            secret_slot: 0,
            same_within_ms: None,
        };
        let headers = vec![("x-github-event".to_owned(), "push\u{1b}".as_bytes().to_vec().into())];
        let body = br#"{"email":"someone@example.com","ref":"main"}"#.as_slice().into();
        Ok(Some(Delivery::restore(SourceKey::parse("acme-github").unwrap(), envelope, headers, body)))
    }
    async fn attempts(&self, _: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let led_to = Some(DeliveryState::Dead);
        Ok(vec![Attempt { number: 1, started_at: NOW, took_ms: Some(3), led_to, error: None }])
    }
    async fn deliveries(&self, f: &DeliveryFilter, page: &Page) -> Result<Paged<DeliveryRecord>, StoreError> {
        let mut all = self.state().deliveries.clone();
        all.retain(|record| f.wants(record));
        Ok(paged(all, page))
    }
    async fn wait(&self, _: u64) {}
}

#[async_trait]
impl Records for Fake {
    async fn candidates(&self, _: &SourceKey, _: &Host, _: &About) -> Result<Candidates, StoreError> {
        unimplemented!()
    }
    async fn known(&self, _: &Source, _: &Connection, _: &Lookup) -> Result<Option<Known>, StoreError> {
        unimplemented!()
    }
    async fn apply(&self, changes: Vec<Change>, expects: Vec<(RecordKey, u64)>) -> Result<bool, StoreError> {
        let mut state = self.state();
        for (key, version) in expects {
            let slug = match key {
                RecordKey::Organization(slug) => slug,
                RecordKey::Member(..) if has_changed(&state.members, &key, version) => return Ok(false),
                _ => continue,
            };
            if state.organizations.iter().any(|known| known.slug == slug) {
                return Ok(false);
            }
        }
        for change in changes {
            match change {
                Change::PutOrganization(organization) => state.organizations.push(organization),
                Change::Audit(entry) => state.audit.push(entry),
                Change::PutHold(new) => {
                    state.holds.retain(|old| old.organization != new.organization);
                    state.holds.push(*new);
                }
                Change::PutMember(new) => {
                    state.members.retain(|old| old.id() != new.id());
                    state.members.push(*new);
                }
                Change::PutConnection(new) => {
                    state.connections.retain(|old| old.key != new.key);
                    state.connections.push(*new);
                }
                Change::PutProject(new) => {
                    state.projects.retain(|old| old.id() != new.id());
                    state.projects.push(*new);
                }
                Change::Wish(wish) => {
                    let before = state.tasks.iter().position(|old| old.id == wish.id());
                    let before = before.map(|at| state.tasks.remove(at));
                    state.tasks.push(Task::wished(before, &wish));
                }
                _ => unimplemented!(),
            }
        }
        Ok(true)
    }
    async fn source(&self, key: &SourceKey) -> Result<Option<Source>, StoreError> {
        Ok(self.state().sources.iter().find(|source| source.key == *key).cloned())
    }
    async fn sources(&self) -> Result<Vec<Source>, StoreError> {
        Ok(self.state().sources.clone())
    }
    async fn organization(&self, slug: &OrganizationSlug) -> Result<Option<Organization>, StoreError> {
        Ok(self.state().organizations.iter().find(|known| known.slug == *slug).cloned())
    }
    async fn organizations(&self, page: &Page) -> Result<Paged<Organization>, StoreError> {
        Ok(paged(self.state().organizations.clone(), page))
    }
    async fn connection(&self, key: &ConnectionKey) -> Result<Option<Connection>, StoreError> {
        Ok(self.state().connections.iter().find(|known| known.key == *key).cloned())
    }
    async fn connections(
        &self,
        filter: &ConnectionFilter,
        page: &Page,
    ) -> Result<Paged<Connection>, StoreError> {
        let mut all = self.state().connections.clone();
        all.retain(|known| filter.wants(known));
        Ok(paged(all, page))
    }
    async fn project(&self, id: &str) -> Result<Option<Project>, StoreError> {
        Ok(self.state().projects.iter().find(|known| known.id() == id).cloned())
    }
    async fn projects(&self, f: &ProjectFilter, page: &Page) -> Result<Paged<Project>, StoreError> {
        let mut all = self.state().projects.clone();
        all.retain(|known| f.wants(known));
        Ok(paged(all, page))
    }
    async fn member(&self, id: &str) -> Result<Option<Member>, StoreError> {
        Ok(self.state().members.iter().find(|known| known.id() == id).cloned())
    }
    async fn members(&self, f: &MemberFilter, page: &Page) -> Result<Paged<Member>, StoreError> {
        let mut all = self.read_members().await;
        all.retain(|known| f.wants(known));
        Ok(paged(all, page))
    }
    async fn pipelines(&self, _: &Project, _: &Page) -> Result<Paged<Pipeline>, StoreError> {
        unimplemented!()
    }
    async fn audit_entry(&self, id: &str) -> Result<Option<AuditEntry>, StoreError> {
        Ok(self.state().audit.iter().find(|known| known.id() == id).cloned())
    }
    async fn audit(&self, filter: &AuditFilter, page: &Page) -> Result<Paged<AuditEntry>, StoreError> {
        let mut all = self.state().audit.clone();
        all.retain(|known| filter.wants(known));
        Ok(paged(all, page))
    }
}

#[async_trait]
impl Jobs for Fake {
    async fn next_scan_number(&self) -> Result<u64, StoreError> {
        unimplemented!()
    }
    async fn scan(&self, _: &str) -> Result<Option<Versioned<Scan>>, StoreError> {
        unimplemented!()
    }
    async fn scan_numbered(&self, _: u64) -> Result<Option<Versioned<Scan>>, StoreError> {
        unimplemented!()
    }
    async fn record_findings(&self, _: Vec<Finding>) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn close_findings(
        &self,
        _: &Branch,
        _: u64,
        _: &BTreeSet<String>,
        _: Option<String>,
        _: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        unimplemented!()
    }
    async fn findings(&self, filter: &FindingFilter, page: &Page) -> Result<Paged<Finding>, StoreError> {
        Ok(paged(vec![super::sample::finding(filter.organization.as_str())], page))
    }
    async fn put_approval(&self, _: &[u8; 32], _: Approval, _: Timestamp) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn approval(&self, _: &[u8; 32], _: Timestamp) -> Result<Option<Approval>, StoreError> {
        unimplemented!()
    }
    async fn redeem_approval(&self, _: &[u8; 32], _: TokenRecord, _: Timestamp) -> Result<bool, StoreError> {
        unimplemented!()
    }
    async fn known_to_job(&self, _: &JobLookup) -> Result<JobKnown, StoreError> {
        unimplemented!()
    }
    async fn versioned_connection(&self, key: &ConnectionKey) -> Found<Connection> {
        let found = self.connection(key).await?;
        Ok(found.map(|value| Versioned { version: 1, value }))
    }
    async fn versioned_organization(&self, slug: &OrganizationSlug) -> Found<Organization> {
        let found = self.organization(slug).await?;
        Ok(found.map(|value| Versioned { version: 1, value }))
    }
}

#[async_trait]
impl Access for Fake {
    async fn put_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        self.state().tokens.push(token);
        Ok(())
    }
    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError> {
        let hash = hex::encode(hash);
        Ok(self.state().tokens.iter().find(|token| token.hash == hash).cloned())
    }
    async fn tokens(
        &self,
        of: Option<&OrganizationSlug>,
        _: Option<TokenKind>,
        page: &Page,
    ) -> Result<Paged<TokenRecord>, StoreError> {
        let mut all = self.state().tokens.clone();
        all.retain(|known| of.is_none_or(|of| known.organization == *of));
        Ok(paged(all, page))
    }
    async fn revoke_token(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.state();
        let found = state.tokens.iter_mut().find(|token| token.id == id);
        Ok(found.map(|token| token.revoked_at = Some(now)).is_some())
    }
    async fn put_setup_code(&self, hash: &[u8; 32], expires_at: Timestamp) -> Result<(), StoreError> {
        self.state().setup = Some((*hash, expires_at));
        Ok(())
    }
    async fn redeem_setup_code(
        &self,
        hash: &[u8; 32],
        organization: Organization,
        token: TokenRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        tokio::task::yield_now().await;
        let mut state = self.state();
        if !state.setup.is_some_and(|(kept, until)| kept == *hash && now < until) {
            return Ok(false);
        }
        state.setup = None;
        state.organizations.push(organization);
        state.tokens.push(token);
        Ok(true)
    }
}
