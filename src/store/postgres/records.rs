//! [`Records`] on PostgreSQL.

use async_trait::async_trait;

use super::act::{Answer, act, lock};
use super::{PostgresStore, find, keys, list, record, version};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::event::About;
use crate::domain::known::{Candidates, Known, Lookup, RecordKey};
use crate::domain::organization::{Connection, Member, Organization, Source};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::{ConnectionKey, Host, OrganizationSlug, SourceKey};
use crate::store::{
    AuditFilter, ConnectionFilter, MemberFilter, Page, Paged, ProjectFilter, Records, StoreError,
};

#[async_trait]
impl Records for PostgresStore {
    async fn candidates(
        &self,
        source: &SourceKey,
        host: &Host,
        about: &About,
    ) -> Result<Candidates, StoreError> {
        find::candidates(&self.pool, source, host, about).await
    }

    async fn known(
        &self,
        source: &Source,
        connection: &Connection,
        lookup: &Lookup,
    ) -> Result<Option<Known>, StoreError> {
        find::known(&self.pool, source, connection, lookup).await
    }

    async fn apply(&self, changes: Vec<Change>, expects: Vec<(RecordKey, u64)>) -> Result<bool, StoreError> {
        let ring = self.keyring.clone();
        act(&self.pool, move |connection| {
            Box::pin(async move {
                // What a forge has just given must not be lost to a change of keys.
                let changes = keys::sealed_by_the_newest(connection, &ring, changes).await?;
                lock(connection, &record::stripes(&expects, &changes)).await?;
                if !version::hold(connection, &expects).await? {
                    return Ok(Answer::Undo(false));
                }
                record::apply(connection, changes).await?;
                Ok(Answer::Keep(true))
            })
        })
        .await
    }

    async fn source(&self, key: &SourceKey) -> Result<Option<Source>, StoreError> {
        Ok(find::named(&self.pool, find::SOURCE, key.as_str()).await?.map(|found| found.value))
    }

    async fn sources(&self) -> Result<Vec<Source>, StoreError> {
        find::sources(&self.pool).await
    }

    async fn organization(&self, slug: &OrganizationSlug) -> Result<Option<Organization>, StoreError> {
        Ok(find::named(&self.pool, find::ORGANIZATION, slug.as_str()).await?.map(|found| found.value))
    }

    async fn organizations(&self, page: &Page) -> Result<Paged<Organization>, StoreError> {
        find::organizations(&self.pool, page).await
    }

    async fn connection(&self, key: &ConnectionKey) -> Result<Option<Connection>, StoreError> {
        Ok(find::named(&self.pool, find::CONNECTION, key.as_str()).await?.map(|found| found.value))
    }

    async fn connections(
        &self,
        filter: &ConnectionFilter,
        page: &Page,
    ) -> Result<Paged<Connection>, StoreError> {
        list::connections(&self.pool, filter, page).await
    }

    async fn project(&self, id: &str) -> Result<Option<Project>, StoreError> {
        Ok(find::named(&self.pool, find::PROJECT, id).await?.map(|found| found.value))
    }

    async fn projects(&self, filter: &ProjectFilter, page: &Page) -> Result<Paged<Project>, StoreError> {
        list::projects(&self.pool, filter, page).await
    }

    async fn member(&self, id: &str) -> Result<Option<Member>, StoreError> {
        Ok(find::named(&self.pool, find::MEMBER, id).await?.map(|found| found.value))
    }

    async fn members(&self, filter: &MemberFilter, page: &Page) -> Result<Paged<Member>, StoreError> {
        list::members(&self.pool, filter, page).await
    }

    async fn pipelines(&self, project: &Project, page: &Page) -> Result<Paged<Pipeline>, StoreError> {
        list::pipelines(&self.pool, project, page).await
    }

    async fn audit_entry(&self, id: &str) -> Result<Option<AuditEntry>, StoreError> {
        list::audit_entry(&self.pool, id).await
    }

    async fn audit(&self, filter: &AuditFilter, page: &Page) -> Result<Paged<AuditEntry>, StoreError> {
        list::audit(&self.pool, filter, page).await
    }
}
