//! Reading records: single ones, those of an event, and pages of them.

use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};

use super::delivery::text;
use super::error::unreadable;
use super::record::kind_letter;
use super::{job, page};
use crate::domain::event::About;
use crate::domain::known::{Candidates, Known, Lookup, Versioned};
use crate::domain::organization::{Connection, Member, Organization, Source};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::{Host, OrganizationSlug, SourceKey, Timestamp};
use crate::store::{Page, Paged, StoreError};

/// Records that one event may look at through "all of the connection".
const ALL_MAX: i64 = 100_000;

/// The record in a row's document.
pub(super) fn parsed<T: DeserializeOwned>(row: &PgRow) -> Result<T, StoreError> {
    let document: String = row.try_get("record")?;
    serde_json::from_str(&document).map_err(|error| unreadable("record", &error))
}

/// The record in a row, and its version.
pub(super) fn versioned<T: DeserializeOwned>(row: &PgRow) -> Result<Versioned<T>, StoreError> {
    Ok(Versioned { version: row.try_get::<i64, _>("version")?.unsigned_abs(), value: parsed(row)? })
}

pub(super) fn all<T>(
    rows: &[PgRow],
    read: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(read).collect()
}

/// One record by the name that is its key.
pub(super) async fn named<T: DeserializeOwned>(
    pool: &PgPool,
    sql: &'static str,
    name: &str,
) -> Result<Option<Versioned<T>>, StoreError> {
    sqlx::query(sql).bind(name).fetch_optional(pool).await?.as_ref().map(versioned).transpose()
}

pub(super) const ORGANIZATION: &str = "select version, record::text from organization where slug = $1";
pub(super) const SOURCE: &str = "select version, record::text from source where key = $1";
pub(super) const CONNECTION: &str = "select version, record::text from connection where key = $1";
pub(super) const MEMBER: &str = "select version, record::text from member where id = $1";
pub(super) const PROJECT: &str = "select version, record::text from project where id = $1";

/// All sources, by key.
pub(super) async fn sources(pool: &PgPool) -> Result<Vec<Source>, StoreError> {
    let rows = sqlx::query("select record::text from source order by key").fetch_all(pool).await?;
    all(&rows, parsed)
}

pub(super) async fn by_number(
    pool: &PgPool,
    sql: &'static str,
    host: &Host,
    number: Option<u64>,
) -> Result<Option<Connection>, StoreError> {
    let Some(number) = number else { return Ok(None) };
    let row =
        sqlx::query(sql).bind(text(host.as_str())).bind(number.cast_signed()).fetch_optional(pool).await?;
    row.as_ref().map(parsed).transpose()
}

const BY_INSTALLATION: &str = "select record::text from connection where host = $1 and installation = $2 and holds order by key limit 1";
pub(super) const BY_ACCOUNT: &str =
    "select record::text from connection where host = $1 and account = $2 and holds order by key limit 1";
const BY_PROJECT: &str = "
    select c.record::text
    from unnest($1::text[]) with ordinality as o(slug, place)
    join project p on p.organization = o.slug and p.host = $2 and p.external_id = $3
    left join connection c on c.key = p.connection
    order by o.place limit 1
";
const OF_SOURCE: &str = "select record::text from connection where source = $1 order by key limit $2";

/// The connections that may hold the event's account.
pub(super) async fn candidates(
    pool: &PgPool,
    source: &SourceKey,
    host: &Host,
    about: &About,
) -> Result<Candidates, StoreError> {
    let account = about.group.or_else(|| about.account.as_ref().and_then(|account| account.id));
    let of_source = sqlx::query(OF_SOURCE).bind(source.as_str()).bind(ALL_MAX).fetch_all(pool).await?;
    Ok(Candidates {
        by_installation: by_number(pool, BY_INSTALLATION, host, about.installation).await?,
        by_account: by_number(pool, BY_ACCOUNT, host, account).await?,
        by_project: by_project(pool, source, host, about.project).await?,
        of_source: all(&of_source, parsed)?,
        by_login: job::by_login(pool, host, about).await?,
    })
}

async fn by_project(
    pool: &PgPool,
    source: &SourceKey,
    host: &Host,
    project: Option<u64>,
) -> Result<Option<Connection>, StoreError> {
    let Some(project) = project else { return Ok(None) };
    let Some(source) = named::<Source>(pool, SOURCE, source.as_str()).await? else { return Ok(None) };
    let slugs: Vec<&str> = source.value.organizations.iter().map(OrganizationSlug::as_str).collect();
    let row = sqlx::query(BY_PROJECT)
        .bind(slugs)
        .bind(text(host.as_str()))
        .bind(project.cast_signed())
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    // A project's connection may be one that is not recorded.
    let recorded: Option<String> = row.try_get("record")?;
    if recorded.is_none() { Ok(None) } else { parsed(&row).map(Some) }
}

const PROJECTS: &str = "
    select version, record::text from project where organization = $1 and host = $2 and external_id = any($3)
    union all
    select version, record::text from project where $4 and connection = $5 limit $6
";
const MEMBERS: &str = "
    select version, record::text from member where organization = $1 and host = $2 and external_id = any($3)
    union all
    select version, record::text from member where $4 and connection = $5 limit $6
";
const RUNS: &str = "
    select p.version, p.record::text
    from unnest($3::int8[], $4::text[], $5::int8[]) as l(project, kind, id)
    join pipeline p on p.organization = $1 and p.host = $2 and p.project = l.project and p.external_id = l.id
        and p.kind = l.kind
";

fn numbers(ids: &[u64]) -> Vec<i64> {
    ids.iter().map(|id| id.cast_signed()).collect()
}

async fn of_event<T: DeserializeOwned>(
    pool: &PgPool,
    sql: &'static str,
    connection: &Connection,
    ids: &[u64],
    all_of_connection: bool,
) -> Result<Vec<Versioned<T>>, StoreError> {
    if ids.is_empty() && !all_of_connection {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sql)
        .bind(connection.organization.as_str())
        .bind(text(connection.host.as_str()))
        .bind(numbers(ids))
        .bind(all_of_connection)
        .bind(connection.key.as_str())
        .bind(ALL_MAX)
        .fetch_all(pool)
        .await?;
    all(&rows, versioned)
}

async fn runs(
    pool: &PgPool,
    connection: &Connection,
    lookup: &Lookup,
) -> Result<Vec<Versioned<Pipeline>>, StoreError> {
    if lookup.runs.is_empty() {
        return Ok(Vec::new());
    }
    let (projects, ids): (Vec<i64>, Vec<i64>) =
        lookup.runs.iter().map(|(project, _, id)| (project.cast_signed(), id.cast_signed())).unzip();
    let kinds: Vec<&str> = lookup.runs.iter().map(|(_, kind, _)| kind_letter(*kind)).collect();
    let rows = sqlx::query(RUNS)
        .bind(connection.organization.as_str())
        .bind(text(connection.host.as_str()))
        .bind(projects)
        .bind(kinds)
        .bind(ids)
        .fetch_all(pool)
        .await?;
    all(&rows, versioned)
}

/// Reads what a handler needs.
pub(super) async fn known(
    pool: &PgPool,
    source: &Source,
    connection: &Connection,
    lookup: &Lookup,
) -> Result<Option<Known>, StoreError> {
    let organization = named::<Organization>(pool, ORGANIZATION, connection.organization.as_str()).await?;
    let Some(organization) = organization else { return Ok(None) };
    let projects =
        of_event::<Project>(pool, PROJECTS, connection, &lookup.projects, lookup.all_projects_of_connection);
    let members =
        of_event::<Member>(pool, MEMBERS, connection, &lookup.members, lookup.all_members_of_connection);
    let recorded = named(pool, CONNECTION, connection.key.as_str()).await?;
    Ok(Some(Known {
        received_at: Timestamp::default(),
        replay_suspected: false,
        source: source.clone(),
        organization,
        connection: recorded.unwrap_or_else(|| Versioned { version: 0, value: connection.clone() }),
        projects: projects.await?,
        members: members.await?,
        runs: runs(pool, connection, lookup).await?,
    }))
}

const ORGANIZATIONS: &str =
    "select slug, record::text from organization where slug > $1 order by slug limit $2";

/// A page of organizations, by slug.
pub(super) async fn organizations(pool: &PgPool, page: &Page) -> Result<Paged<Organization>, StoreError> {
    let rows = sqlx::query(ORGANIZATIONS)
        .bind(page::after::<String>(page).unwrap_or_default())
        .bind(page::rows(page))
        .fetch_all(pool)
        .await?;
    let found = all(&rows, |row| Ok((row.try_get::<String, _>("slug")?, parsed(row)?)))?;
    Ok(page::cut(page, found))
}
