//! [`Rosters`] on PostgreSQL.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::PostgresStore;
use super::act::{Answer, act};
use super::delivery::text;
use super::find::{all, named, parsed, versioned};
use super::record::json;
use crate::domain::known::Versioned;
use crate::domain::organization::Member;
use crate::domain::project::Project;
use crate::domain::roster::{Hold, KeptPage, Reading, Subject};
use crate::domain::{ConnectionKey, Host, OrganizationSlug};
use crate::store::{Rosters, StoreError};

const READING: &str = "select record::text from list_reading where connection = $1 and subject = $2";
/// The first page begins a reading in place of an older one.
const BEGIN: &str = "
    insert into list_reading as t (connection, subject, generation, pages, record) values ($1, $2, $3, $4, $5::json)
    on conflict (connection, subject) do update set generation = excluded.generation, pages = excluded.pages,
        record = excluded.record where t.generation < excluded.generation
";
/// Every other one follows the last.
const GO_ON: &str = "
    update list_reading set pages = $4, record = $5::json
    where connection = $1 and subject = $2 and generation = $3 and pages + 1 = $4
";
const KEEP: &str = "
    insert into kept_page (connection, subject, generation, number, record) values ($1, $2, $3, $4, $5::json)
    on conflict (connection, subject, generation, number) do update set record = excluded.record
";
const KEPT: &str = "
    select record::text from kept_page
    where connection = $1 and subject = $2 and generation = $3 and number > $4 order by number limit $5
";
const FORGET: &str = "delete from list_reading where connection = $1 and subject = $2";
const FORGET_PAGES: &str = "delete from kept_page where connection = $1 and subject = $2";
const MEMBERS: &str = "
    select version, record::text from member
    where organization = $1 and host = $2 and external_id > $3 order by external_id limit $4
";
const PROJECTS: &str = "
    select version, record::text from project
    where organization = $1 and host = $2 and external_id > $3 order by external_id limit $4
";
const HOLD: &str = "select version, record::text from member_hold where organization = $1";

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

async fn keep_page(
    connection: &mut PgConnection,
    key: &ConnectionKey,
    subject: Subject,
    reading: &Reading,
    page: &KeptPage,
) -> Result<Answer<bool>, StoreError> {
    if reading.pages() != page.number {
        return Ok(Answer::Undo(false));
    }
    let written = sqlx::query(if page.number == 1 { BEGIN } else { GO_ON })
        .bind(key.as_str())
        .bind(subject.as_str())
        .bind(reading.generation.cast_signed())
        .bind(count(page.number))
        .bind(json(reading)?)
        .execute(&mut *connection)
        .await?;
    if written.rows_affected() == 0 {
        return Ok(Answer::Undo(false));
    }
    sqlx::query(KEEP)
        .bind(key.as_str())
        .bind(subject.as_str())
        .bind(reading.generation.cast_signed())
        .bind(count(page.number))
        .bind(json(page)?)
        .execute(connection)
        .await?;
    Ok(Answer::Keep(true))
}

pub(super) async fn put_hold(connection: &mut PgConnection, hold: &Hold) -> Result<(), StoreError> {
    let sql = "insert into member_hold as t (organization, version, record) values ($1, 1, $2::json)
        on conflict (organization) do update set version = t.version + 1, record = excluded.record";
    sqlx::query(sql).bind(hold.organization.as_str()).bind(json(hold)?).execute(connection).await?;
    Ok(())
}

pub(super) async fn drop_hold(
    connection: &mut PgConnection,
    organization: &OrganizationSlug,
) -> Result<(), StoreError> {
    let sql = "delete from member_hold where organization = $1";
    sqlx::query(sql).bind(organization.as_str()).execute(connection).await?;
    Ok(())
}

#[async_trait]
impl Rosters for PostgresStore {
    async fn reading_of(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
    ) -> Result<Option<Reading>, StoreError> {
        let query = sqlx::query(READING).bind(connection.as_str()).bind(subject.as_str());
        query.fetch_optional(&self.pool).await?.as_ref().map(parsed).transpose()
    }

    async fn keep_page(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        reading: &Reading,
        page: KeptPage,
    ) -> Result<bool, StoreError> {
        let (key, reading) = (connection.clone(), reading.clone());
        act(&self.pool, move |connection| {
            Box::pin(async move { keep_page(connection, &key, subject, &reading, &page).await })
        })
        .await
    }

    async fn kept_pages(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        generation: u64,
        after: u32,
        limit: usize,
    ) -> Result<Vec<KeptPage>, StoreError> {
        let rows = sqlx::query(KEPT)
            .bind(connection.as_str())
            .bind(subject.as_str())
            .bind(generation.cast_signed())
            .bind(count(after))
            .bind(most(limit))
            .fetch_all(&self.pool)
            .await?;
        all(&rows, parsed)
    }

    async fn forget_reading(&self, connection: &ConnectionKey, subject: Subject) -> Result<bool, StoreError> {
        let key = connection.clone();
        act(&self.pool, move |connection| {
            Box::pin(async move {
                for sql in [FORGET, FORGET_PAGES] {
                    sqlx::query(sql)
                        .bind(key.as_str())
                        .bind(subject.as_str())
                        .execute(&mut *connection)
                        .await?;
                }
                Ok(Answer::Keep(true))
            })
        })
        .await
    }

    async fn members_numbered(
        &self,
        organization: &OrganizationSlug,
        host: &Host,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Versioned<Member>>, StoreError> {
        let query = sqlx::query(MEMBERS).bind(organization.as_str()).bind(text(host.as_str()));
        let query = query.bind(after.map_or(-1, u64::cast_signed)).bind(most(limit));
        all(&query.fetch_all(&self.pool).await?, versioned)
    }

    async fn projects_numbered(
        &self,
        organization: &OrganizationSlug,
        host: &Host,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Versioned<Project>>, StoreError> {
        let query = sqlx::query(PROJECTS).bind(organization.as_str()).bind(text(host.as_str()));
        let query = query.bind(after.map_or(-1, u64::cast_signed)).bind(most(limit));
        all(&query.fetch_all(&self.pool).await?, versioned)
    }

    async fn hold(&self, organization: &OrganizationSlug) -> Result<Option<Versioned<Hold>>, StoreError> {
        named(&self.pool, HOLD, organization.as_str()).await
    }
}
