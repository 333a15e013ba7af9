//! [`Jobs`] on PostgreSQL.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::PgConnection;
use sqlx::postgres::PgPool;

use super::act::{Answer, act};
use super::delivery::text;
use super::find::{self, BY_ACCOUNT, all, by_number, named, parsed, versioned};
use super::record::{Version, json, number};
use super::{PostgresStore, scan};
use crate::domain::access::{Approval, TokenRecord};
use crate::domain::change::Change;
use crate::domain::ci::{CheckIn, JobKnown, JobLookup, holders_version};
use crate::domain::event::About;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, Organization};
use crate::domain::project::Project;
use crate::domain::scan::{Branch, Finding, Scan};
use crate::domain::{ConnectionKey, Host, OrganizationSlug, Timestamp};
use crate::store::{FindingFilter, Jobs, Page, Paged, StoreError};

/// More connections to one account, or projects of one number, are no deployment's.
const SAME_MAX: i64 = 256;

/// The part of an account's name that its holders are found by.
pub(super) fn login_of(login: &str) -> String {
    login.split('/').next().unwrap_or_default().to_lowercase()
}

/// The accounts whose holders a change changes.
pub(super) fn accounts_of(change: &Change) -> Vec<RecordKey> {
    let Change::PutConnection(it) = change else { return Vec::new() };
    let number = it.account.external_id.map(|id| RecordKey::Account(it.host.clone(), id));
    number.into_iter().chain([RecordKey::Login(it.host.clone(), login_of(&it.account.login))]).collect()
}

fn keys(found: Vec<String>) -> Result<Vec<ConnectionKey>, StoreError> {
    let damaged = |_| StoreError::Corrupt("a connection in the database has no valid key".into());
    found.iter().map(|key| ConnectionKey::parse(key).map_err(damaged)).collect()
}

/// Who holds an account's number, as a version.
pub(super) async fn account_version(
    connection: &mut PgConnection,
    host: &Host,
    id: u64,
) -> Result<u64, StoreError> {
    let sql = "select key from connection where host = $1 and account = $2 and holds order by key limit 1";
    let query = sqlx::query_scalar(sql).bind(text(host.as_str())).bind(id.cast_signed());
    Ok(holders_version(&keys(query.fetch_all(connection).await?)?))
}

/// Who holds an account's name, as a version.
pub(super) async fn login_version(
    connection: &mut PgConnection,
    host: &Host,
    login: &str,
) -> Result<u64, StoreError> {
    let sql = "select key from connection where host = $1 and login = $2 and holds order by key limit $3";
    let query = sqlx::query_scalar(sql).bind(text(host.as_str())).bind(text(&login_of(login))).bind(SAME_MAX);
    Ok(holders_version(&keys(query.fetch_all(connection).await?)?))
}

pub(super) async fn drop_project(
    connection: &mut PgConnection,
    organization: &OrganizationSlug,
    host: &Host,
    id: u64,
) -> Result<(), StoreError> {
    sqlx::query("delete from project where organization = $1 and host = $2 and external_id = $3")
        .bind(organization.as_str())
        .bind(text(host.as_str()))
        .bind(id.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn put_check_in(
    connection: &mut PgConnection,
    it: &CheckIn,
    version: Version,
) -> Result<(), StoreError> {
    let sql = "insert into check_in as t (id, at, version, record) values ($1, $2, coalesce($4, 1), $3::json)
        on conflict (id) do update set at = excluded.at, version = coalesce($4, t.version + 1),
            record = excluded.record";
    let query = sqlx::query(sql).bind(it.id.as_str()).bind(it.at.ms()).bind(json(it)?).bind(number(version));
    query.execute(connection).await?;
    Ok(())
}

const NAMED: &str = "
    select record::text from connection
    where host = $1 and login = $2 and not rejected and (holds or not $3) order by key limit $4
";

async fn with_login(
    pool: &PgPool,
    host: &Host,
    login: &str,
    holders_only: bool,
) -> Result<Vec<Connection>, StoreError> {
    let query = sqlx::query(NAMED).bind(text(host.as_str())).bind(text(&login_of(login)));
    all(&query.bind(holders_only).bind(SAME_MAX).fetch_all(pool).await?, parsed)
}

/// The connections to the event's account by its name, claimed ones too.
pub(super) async fn by_login(
    pool: &PgPool,
    host: &Host,
    about: &About,
) -> Result<Vec<Connection>, StoreError> {
    let login = about.account.as_ref().map_or("", |account| account.login.as_str());
    if login.is_empty() { Ok(Vec::new()) } else { with_login(pool, host, login, false).await }
}

/// The project's own number first, then its namespace's.
const BY_NUMBER: &str = "
    select distinct on (place, c.key) c.record::text
    from (
        select 0 as place, connection from project where counts and host = $1 and external_id = $2
        union all
        select 1, connection from project where counts and host = $1 and namespace = $3
    ) p join connection c on c.key = p.connection
    where c.holds order by place, c.key limit $4
";
const TAKEN: &str = "select key from connection where key = any($1) order by key";
const OWN: &str =
    "select version, record::text from connection where organization = $1 and host = $2 order by key";
const NUMBERED: &str = "
    select version, record::text from connection where organization = $1 and host = $2 and key = any($3) order by key
";
const PROJECT: &str = "
    select version, record::text from project where organization = $1 and host = $2 and external_id = $3
";
const AT_PATH: &str = "
    select version, record::text from project
    where organization = $1 and path = $2 and host = $3 and counts order by id limit 1
";
const SCAN: &str = "select version, record::text from scan where unique_id = $1";
const SCAN_NUMBERED: &str = "select version, record::text from scan where number = $1";
const CHECK_IN: &str = "select version, record::text from check_in where id = $1";

#[async_trait]
impl Jobs for PostgresStore {
    async fn known_to_job(&self, lookup: &JobLookup) -> Result<JobKnown, StoreError> {
        let (pool, host) = (&self.pool, &lookup.host);
        let wanted: Vec<&str> = lookup.keys.iter().map(ConnectionKey::as_str).collect();
        let mut known = JobKnown {
            by_account: by_number(pool, BY_ACCOUNT, host, lookup.namespace).await?,
            by_login: with_login(pool, host, &lookup.login, true).await?,
            by_number: recorded(pool, lookup).await?,
            before: named(pool, CHECK_IN, &lookup.check_in).await?,
            taken: keys(sqlx::query_scalar(TAKEN).bind(wanted).fetch_all(pool).await?)?,
            ..JobKnown::default()
        };
        if let Some(slug) = lookup.organization.clone().or_else(|| known.holder()) {
            own(pool, lookup, &slug, &mut known).await?;
        }
        Ok(known)
    }

    async fn next_scan_number(&self) -> Result<u64, StoreError> {
        act(&self.pool, |c| Box::pin(async move { scan::next_number(c).await.map(Answer::Keep) })).await
    }

    async fn scan(&self, unique_id: &str) -> Result<Option<Versioned<Scan>>, StoreError> {
        named(&self.pool, SCAN, unique_id).await
    }

    async fn scan_numbered(&self, number: u64) -> Result<Option<Versioned<Scan>>, StoreError> {
        let row = sqlx::query(SCAN_NUMBERED).bind(number.cast_signed()).fetch_optional(&self.pool).await?;
        row.as_ref().map(versioned).transpose()
    }

    async fn record_findings(&self, findings: Vec<Finding>) -> Result<(), StoreError> {
        act(&self.pool, move |c| Box::pin(async move { scan::record(c, findings).await.map(Answer::Keep) }))
            .await
    }

    async fn close_findings(
        &self,
        branch: &Branch,
        scan: u64,
        rules: &BTreeSet<String>,
        after: Option<String>,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let (branch, rules) = (branch.clone(), rules.clone());
        act(&self.pool, move |c| {
            Box::pin(async move { scan::close(c, &branch, scan, &rules, after, now).await.map(Answer::Keep) })
        })
        .await
    }

    async fn findings(&self, filter: &FindingFilter, page: &Page) -> Result<Paged<Finding>, StoreError> {
        scan::findings(&self.pool, filter, page).await
    }

    async fn put_approval(
        &self,
        hash: &[u8; 32],
        approval: Approval,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let hash = *hash;
        act(&self.pool, move |c| {
            Box::pin(async move { scan::approve(c, &hash, &approval, now).await.map(Answer::Keep) })
        })
        .await
    }

    async fn approval(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<Approval>, StoreError> {
        scan::approval(&self.pool, hash, now).await
    }

    async fn redeem_approval(
        &self,
        hash: &[u8; 32],
        token: TokenRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let hash = *hash;
        act(&self.pool, move |c| {
            Box::pin(async move { scan::redeem(c, &hash, &token, now).await.map(Answer::Keep) })
        })
        .await
    }

    async fn versioned_connection(
        &self,
        key: &ConnectionKey,
    ) -> Result<Option<Versioned<Connection>>, StoreError> {
        named(&self.pool, find::CONNECTION, key.as_str()).await
    }

    async fn versioned_organization(
        &self,
        slug: &OrganizationSlug,
    ) -> Result<Option<Versioned<Organization>>, StoreError> {
        named(&self.pool, find::ORGANIZATION, slug.as_str()).await
    }
}

/// The connections through which the numbers are recorded.
async fn recorded(pool: &PgPool, lookup: &JobLookup) -> Result<Vec<Connection>, StoreError> {
    let rows = sqlx::query(BY_NUMBER)
        .bind(text(lookup.host.as_str()))
        .bind(lookup.project.map(u64::cast_signed))
        .bind(lookup.namespace.map(u64::cast_signed))
        .bind(SAME_MAX)
        .fetch_all(pool)
        .await?;
    let mut found: Vec<Connection> = Vec::new();
    for row in &rows {
        let connection: Connection = parsed(row)?;
        if found.iter().all(|old| old.key != connection.key) {
            found.push(connection);
        }
    }
    Ok(found)
}

async fn project(
    pool: &PgPool,
    slug: &OrganizationSlug,
    host: &Host,
    id: u64,
) -> Result<Option<Versioned<Project>>, StoreError> {
    let query = sqlx::query(PROJECT).bind(slug.as_str()).bind(text(host.as_str())).bind(id.cast_signed());
    query.fetch_optional(pool).await?.as_ref().map(versioned).transpose()
}

/// What the organization itself has.
async fn own(
    pool: &PgPool,
    lookup: &JobLookup,
    slug: &OrganizationSlug,
    known: &mut JobKnown,
) -> Result<(), StoreError> {
    let host = &lookup.host;
    known.organization = named(pool, find::ORGANIZATION, slug.as_str()).await?;
    if let Some(number) = lookup.project {
        known.project = project(pool, slug, host, number).await?;
    }
    known.claimed = project(pool, slug, host, lookup.claim()).await?;
    let numbered: Vec<&str> = known.numbered().map(ConnectionKey::as_str).collect();
    let mut found = Vec::new();
    if !numbered.is_empty() {
        let query = sqlx::query(NUMBERED).bind(slug.as_str()).bind(text(host.as_str())).bind(numbered);
        found = query.fetch_all(pool).await?;
    }
    if found.is_empty() {
        found = sqlx::query(OWN).bind(slug.as_str()).bind(text(host.as_str())).fetch_all(pool).await?;
    }
    known.own = all(&found, versioned)?;
    if lookup.project.is_none() {
        let path = text(&lookup.full_path.to_lowercase());
        let at_path = sqlx::query(AT_PATH).bind(slug.as_str()).bind(path).bind(text(host.as_str()));
        known.at_path = at_path.fetch_optional(pool).await?.as_ref().map(versioned).transpose()?;
    }
    Ok(())
}
