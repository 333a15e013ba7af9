//! [`Rosters`] and [`Trail`] on the embedded store.

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use super::SledStore;
use super::act::record::{Row, find};
use super::act::{roster, trail};
use super::key::{self, Key, behind};
use super::stage::Rows;
use crate::domain::change::AuditEntry;
use crate::domain::known::Versioned;
use crate::domain::organization::Member;
use crate::domain::project::Project;
use crate::domain::roster::{Hold, KeptPage, Reading, Subject};
use crate::domain::{ConnectionKey, Host, OrganizationSlug};
use crate::store::{Chain, Rosters, StoreError, Trail};

#[async_trait]
impl Rosters for SledStore {
    async fn reading_of(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
    ) -> Result<Option<Reading>, StoreError> {
        let key = key::reading(connection, subject);
        self.read(move |inner| inner.tree.read(&key)).await
    }

    async fn keep_page(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        reading: &Reading,
        page: KeptPage,
    ) -> Result<bool, StoreError> {
        let (connection, reading) = (connection.clone(), reading.clone());
        let keep = self
            .inner
            .committer
            .act(move |stage| roster::keep_page(stage, &connection, subject, &reading, &page));
        keep.await
    }

    async fn kept_pages(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        generation: u64,
        after: u32,
        limit: usize,
    ) -> Result<Vec<KeptPage>, StoreError> {
        let connection = connection.clone();
        self.read(move |inner| {
            roster::kept_pages(&inner.tree, &connection, subject, generation, after, limit)
        })
        .await
    }

    async fn forget_reading(&self, connection: &ConnectionKey, subject: Subject) -> Result<bool, StoreError> {
        let connection = connection.clone();
        self.inner.committer.act(move |stage| roster::forget(stage, &connection, subject)).await
    }

    async fn members_numbered(
        &self,
        organization: &OrganizationSlug,
        host: &Host,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Versioned<Member>>, StoreError> {
        let (all, from) = range(after, |id| key::member(organization, host, id));
        self.read(move |inner| numbered(&inner.tree, &all, &from, limit)).await
    }

    async fn projects_numbered(
        &self,
        organization: &OrganizationSlug,
        host: &Host,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Versioned<Project>>, StoreError> {
        let (all, from) = range(after, |id| key::project(organization, host, id));
        self.read(move |inner| numbered(&inner.tree, &all, &from, limit)).await
    }

    async fn hold(&self, organization: &OrganizationSlug) -> Result<Option<Versioned<Hold>>, StoreError> {
        let key = key::hold(organization);
        self.read(move |inner| find(&inner.tree, &key)).await
    }
}

#[async_trait]
impl Trail for SledStore {
    async fn chains(&self) -> Result<Vec<Chain>, StoreError> {
        self.read(|inner| trail::chains(&inner.tree)).await
    }

    async fn chained(
        &self,
        organization: Option<&OrganizationSlug>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let organization = organization.cloned();
        self.read(move |inner| trail::chained(&inner.tree, organization.as_ref(), after, limit)).await
    }
}

/// The prefix of all these records, and the first key behind the number.
fn range(after: Option<u64>, key: impl Fn(u64) -> Key) -> (Key, Vec<u8>) {
    let first = key(0);
    let prefix = first.as_bytes().split_last_chunk::<8>().map_or(&[][..], |(prefix, _)| prefix).to_vec();
    let from = after.map_or_else(|| prefix.clone(), |after| [key(after).as_bytes(), &[0]].concat());
    (Key::raw(prefix), from)
}

fn numbered<R: Rows, T: DeserializeOwned>(
    rows: &R,
    all: &Key,
    from: &[u8],
    limit: usize,
) -> Result<Vec<Versioned<T>>, StoreError> {
    let found = rows.scan(from, behind(all.as_bytes()).as_deref(), limit)?;
    let record = |(row, value): (Vec<u8>, Vec<u8>)| {
        let found: Row<T> = rows.decode(&row, value)?;
        Ok(Versioned { version: found.v, value: found.r })
    };
    found.into_iter().map(record).collect()
}
