//! [`Rosters`] and [`Trail`] of the stand-in store: no loop of these tests reads lists.

use async_trait::async_trait;

use super::fake::Fake;
use crate::domain::change::AuditEntry;
use crate::domain::known::Versioned;
use crate::domain::organization::Member;
use crate::domain::project::Project;
use crate::domain::roster::{Hold, KeptPage, Reading, Subject};
use crate::domain::{ConnectionKey, Host, OrganizationSlug};
use crate::store::{Chain, Marks, Rosters, StoreError, Trail};

type Answer<T> = Result<T, StoreError>;

#[async_trait]
#[rustfmt::skip]
impl Marks for Fake {
    async fn mark(&self, _: &str) -> Answer<Option<Versioned<String>>> { Ok(None) }
    async fn set_mark(&self, _: &str, _: u64, _: String) -> Answer<bool> { Ok(true) }
}

#[async_trait]
#[rustfmt::skip]
impl Rosters for Fake {
    async fn reading_of(&self, _: &ConnectionKey, _: Subject) -> Answer<Option<Reading>> { unimplemented!() }
    async fn keep_page(&self, _: &ConnectionKey, _: Subject, _: &Reading, _: KeptPage) -> Answer<bool> { unimplemented!() }
    async fn kept_pages(&self, _: &ConnectionKey, _: Subject, _: u64, _: u32, _: usize) -> Answer<Vec<KeptPage>> { unimplemented!() }
    async fn forget_reading(&self, _: &ConnectionKey, _: Subject) -> Answer<bool> { unimplemented!() }
    async fn members_numbered(&self, _: &OrganizationSlug, _: &Host, _: Option<u64>, _: usize) -> Answer<Vec<Versioned<Member>>> { unimplemented!() }
    async fn projects_numbered(&self, _: &OrganizationSlug, _: &Host, _: Option<u64>, _: usize) -> Answer<Vec<Versioned<Project>>> { unimplemented!() }
    async fn hold(&self, _: &OrganizationSlug) -> Answer<Option<Versioned<Hold>>> { unimplemented!() }
}

#[async_trait]
#[rustfmt::skip]
impl Trail for Fake {
    async fn chains(&self) -> Answer<Vec<Chain>> { unimplemented!() }
    async fn chained(&self, _: Option<&OrganizationSlug>, _: u64, _: usize) -> Answer<Vec<AuditEntry>> { unimplemented!() }
}
