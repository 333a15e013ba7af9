//! [`Rosters`] and [`Trail`] of the stand-in store: removals that wait, and chains of one line.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use async_trait::async_trait;
use serde_json::json;

use super::fake::Fake;
use crate::domain::audit::Link;
use crate::domain::change::AuditEntry;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::Member;
use crate::domain::project::Project;
use crate::domain::roster::{Hold, KeptPage, Reading, Subject};
use crate::domain::{ConnectionKey, Host, OrganizationSlug};
use crate::store::{Chain, Marks, Rosters, StoreError, Trail};

type Answer<T> = Result<T, StoreError>;

/// A member's version: another one for every other content.
fn version_of(member: &Member) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(member).unwrap().hash(&mut hasher);
    hasher.finish()
}

/// Whether a member is not what somebody stands on. 0: there is none.
pub(super) fn has_changed(members: &[Member], key: &RecordKey, version: u64) -> bool {
    let RecordKey::Member(of, _, id) = key else { return false };
    let found = members.iter().find(|member| member.external_id == *id && member.organization == *of);
    found.map_or(0, version_of) != version
}

impl Fake {
    /// Others get their turn before what was read is answered.
    pub(super) async fn read_members(&self) -> Vec<Member> {
        let all = self.state().members.clone();
        tokio::task::yield_now().await;
        all
    }
}

#[async_trait]
#[rustfmt::skip]
impl Marks for Fake {
    async fn mark(&self, name: &str) -> Answer<Option<Versioned<String>>> {
        let gap = json!({"from": 0, "until": 60_000, "cause": "not_listening", "missed": 2, "recovered": 2, "lost": 0,
            "has_log": true, "closed_at": 90_000});
        let value = json!({ "gaps": [gap] }).to_string();
        Ok(name.starts_with("catch-up ").then_some(Versioned { version: 1, value }))
    }
    async fn set_mark(&self, _: &str, _: u64, _: String) -> Answer<bool> { Ok(true) }
}

#[async_trait]
#[rustfmt::skip]
impl Rosters for Fake {
    async fn reading_of(&self, _: &ConnectionKey, _: Subject) -> Answer<Option<Reading>> { unimplemented!() }
    async fn keep_page(&self, _: &ConnectionKey, _: Subject, _: &Reading, _: KeptPage) -> Answer<bool> { unimplemented!() }
    async fn kept_pages(&self, _: &ConnectionKey, _: Subject, _: u64, _: u32, _: usize) -> Answer<Vec<KeptPage>> { unimplemented!() }
    async fn forget_reading(&self, _: &ConnectionKey, _: Subject) -> Answer<bool> { unimplemented!() }
    async fn members_numbered(&self, of: &OrganizationSlug, at: &Host, after: Option<u64>, limit: usize) -> Answer<Vec<Versioned<Member>>> {
        let mut all = self.read_members().await;
        all.retain(|it| it.organization == *of && it.host == *at && after.is_none_or(|after| it.external_id > after));
        all.sort_by_key(|it| it.external_id);
        Ok(all.into_iter().take(limit).map(|value| Versioned { version: version_of(&value), value }).collect())
    }
    async fn projects_numbered(&self, of: &OrganizationSlug, at: &Host, after: Option<u64>, limit: usize) -> Answer<Vec<Versioned<Project>>> {
        let mut all = self.state().projects.clone();
        all.retain(|it| it.organization == *of && it.host == *at && after.is_none_or(|after| it.external_id > after));
        all.sort_by_key(|it| it.external_id);
        Ok(all.into_iter().take(limit).map(|value| Versioned { version: 1, value }).collect())
    }
    async fn hold(&self, of: &OrganizationSlug) -> Answer<Option<Versioned<Hold>>> {
        let found = self.state().holds.iter().find(|hold| hold.organization == *of).cloned();
        Ok(found.map(|value| Versioned { version: 1, value }))
    }
}

#[async_trait]
#[rustfmt::skip]
impl Trail for Fake {
    async fn chains(&self) -> Answer<Vec<Chain>> {
        let link = |line: &AuditEntry| (line.organization.clone(), Link { number: 1, hash: line.id() });
        Ok(self.state().audit.iter().map(link).collect())
    }
    async fn chained(&self, of: Option<&OrganizationSlug>, after: u64, _: usize) -> Answer<Vec<AuditEntry>> {
        let mut all = self.state().audit.clone();
        all.retain(|line| line.organization.as_ref() == of && after == 0);
        Ok(all)
    }
}
