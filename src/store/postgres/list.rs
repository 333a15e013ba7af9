//! Pages of connections, projects, members, runs and the audit log: each by an index, from the place where the last one ended.

use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};

use super::delivery::text;
use super::find::{all, parsed};
use super::page;
use super::record::{member_state, project_state};
use super::trail::{entry, line};
use crate::domain::change::AuditEntry;
use crate::domain::organization::{Connection, Member};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::{ConnectionKey, OrganizationSlug, Timestamp};
use crate::store::{AuditFilter, ConnectionFilter, MemberFilter, Page, Paged, ProjectFilter, StoreError};

const CONNECTIONS: &str =
    "select key, record::text from connection where key > $1 and $3::text is null order by key limit $2";
const CONNECTIONS_OF: &str =
    "select key, record::text from connection where organization = $3 and key > $1 order by key limit $2";

/// A page of connections, by key.
pub(super) async fn connections(
    pool: &PgPool,
    filter: &ConnectionFilter,
    page: &Page,
) -> Result<Paged<Connection>, StoreError> {
    let sql = if filter.organization.is_some() { CONNECTIONS_OF } else { CONNECTIONS };
    page::sift(
        page,
        |connection| filter.wants(connection),
        async |after: Option<String>, limit: i64| {
            let rows = sqlx::query(sql)
                .bind(after.unwrap_or_default())
                .bind(limit)
                .bind(filter.organization.as_ref().map(OrganizationSlug::as_str))
                .fetch_all(pool)
                .await?;
            all(&rows, |row| Ok((row.try_get("key")?, parsed(row)?)))
        },
    )
    .await
}

/// Projects through one index; what comes before them in it is fixed by `$index`.
macro_rules! projects {
    ($index:literal) => {
        concat!(
            "select organization, path, id, record::text from project where ",
            $index,
            " and ($4::text is null or organization = $4) and ($5::text is null or connection = $5) \
             and ($6::text is null or state = $6) and ($7::text is null or position($7 in path) > 0) \
             order by organization, path, id limit $8"
        )
    };
}
const PROJECTS: &str = projects!("(organization, path, id) > ($1, $2, $3)");
const PROJECTS_OF: &str = projects!("organization = $4 and (organization, path, id) > ($1, $2, $3)");
const PROJECTS_THROUGH: &str = projects!("connection = $5 and (organization, path, id) > ($1, $2, $3)");

type ProjectKey = (String, String, String);

fn project(row: &PgRow) -> Result<(ProjectKey, Project), StoreError> {
    Ok(((row.try_get("organization")?, row.try_get("path")?, row.try_get("id")?), parsed(row)?))
}

/// A page of projects, by path.
pub(super) async fn projects(
    pool: &PgPool,
    filter: &ProjectFilter,
    page: &Page,
) -> Result<Paged<Project>, StoreError> {
    let sql = match (&filter.connection, &filter.organization) {
        (Some(_), _) => PROJECTS_THROUGH,
        (None, Some(_)) => PROJECTS_OF,
        (None, None) => PROJECTS,
    };
    page::sift(
        page,
        |project| filter.wants(project),
        async |after: Option<ProjectKey>, limit: i64| {
            let (organization, path, id) = after.unwrap_or_default();
            let rows = sqlx::query(sql)
                .bind(organization)
                .bind(path)
                .bind(id)
                .bind(filter.organization.as_ref().map(OrganizationSlug::as_str))
                .bind(filter.connection.as_ref().map(ConnectionKey::as_str))
                .bind(filter.state.map(project_state))
                .bind(filter.search.as_ref().map(|search| text(&search.to_lowercase())))
                .bind(limit)
                .fetch_all(pool)
                .await?;
            all(&rows, project)
        },
    )
    .await
}

macro_rules! members {
    ($index:literal) => {
        concat!(
            "select organization, login, host, external_id, record::text from member where ",
            $index,
            " and (organization, login, host, external_id) > ($1, $2, $3, $4) \
             and ($5::text is null or organization = $5) and ($6::text is null or state = $6) \
             and ($7::text is null or login = $7) order by organization, login, host, external_id limit $8"
        )
    };
}
const MEMBERS: &str = members!("true");
const MEMBERS_OF: &str = members!("organization = $5");
const MEMBERS_NAMED: &str = members!("organization = $5 and login = $7");

type MemberKey = (String, String, String, i64);

fn member(row: &PgRow) -> Result<(MemberKey, Member), StoreError> {
    let (organization, login) = (row.try_get("organization")?, row.try_get("login")?);
    Ok(((organization, login, row.try_get("host")?, row.try_get("external_id")?), parsed(row)?))
}

/// A page of members, by login.
pub(super) async fn members(
    pool: &PgPool,
    filter: &MemberFilter,
    page: &Page,
) -> Result<Paged<Member>, StoreError> {
    let sql = match (&filter.organization, &filter.login) {
        (None, _) => MEMBERS,
        (Some(_), None) => MEMBERS_OF,
        (Some(_), Some(_)) => MEMBERS_NAMED,
    };
    let start = || (String::new(), String::new(), String::new(), i64::MIN);
    page::sift(
        page,
        |member| filter.wants(member),
        async |after: Option<MemberKey>, limit: i64| {
            let (organization, login, host, id) = after.unwrap_or_else(start);
            let rows = sqlx::query(sql)
                .bind(organization)
                .bind(login)
                .bind(host)
                .bind(id)
                .bind(filter.organization.as_ref().map(OrganizationSlug::as_str))
                .bind(filter.state.map(member_state))
                .bind(filter.login.as_ref().map(|login| text(&login.to_lowercase())))
                .bind(limit)
                .fetch_all(pool)
                .await?;
            all(&rows, member)
        },
    )
    .await
}

const PIPELINES: &str = "
    select external_id, kind, record::text from pipeline
    where organization = $1 and host = $2 and project = $3 and (external_id, kind) < ($4, $5)
    order by external_id desc, kind desc limit $6
";

/// A page of a project's runs. Run numbers rise at both forges, so the newest has the greatest.
pub(super) async fn pipelines(
    pool: &PgPool,
    project: &Project,
    page: &Page,
) -> Result<Paged<Pipeline>, StoreError> {
    let (id, kind) = page::after::<(i64, String)>(page).unwrap_or_else(|| (i64::MAX, "~".into()));
    let rows = sqlx::query(PIPELINES)
        .bind(project.organization.as_str())
        .bind(text(project.host.as_str()))
        .bind(project.external_id.cast_signed())
        .bind(id)
        .bind(kind)
        .bind(page::rows(page))
        .fetch_all(pool)
        .await?;
    let found = rows.iter().map(|row| {
        let key: (i64, String) = (row.try_get("external_id")?, row.try_get("kind")?);
        Ok((key, parsed(row)?))
    });
    Ok(page::cut(page, found.collect::<Result<_, StoreError>>()?))
}

const AUDIT: &str = concat!(
    "select ",
    line!(),
    " from audit where (at, sequence) < ($1, $2) and at >= $3 and $4::text is null \
     order by at desc, sequence desc limit $5"
);
const AUDIT_OF: &str = concat!(
    "select ",
    line!(),
    " from audit where organization = $4 and (at, sequence) < ($1, $2) and at >= $3 \
     order by at desc, sequence desc limit $5"
);

/// A page of the audit log, newest first. Of a span of time, its index gives the lines of that span alone.
pub(super) async fn audit(
    pool: &PgPool,
    filter: &AuditFilter,
    page: &Page,
) -> Result<Paged<AuditEntry>, StoreError> {
    let sql = if filter.organization.is_some() { AUDIT_OF } else { AUDIT };
    // The first line that is not meant; no line has that number.
    let end = filter.until.map_or((i64::MAX, i64::MAX), |until| (until.ms(), i64::MIN));
    page::sift(
        page,
        |line| filter.wants(line),
        async |after: Option<(i64, i64)>, limit: i64| {
            let (at, sequence) = after.unwrap_or(end);
            let rows = sqlx::query(sql)
                .bind(at)
                .bind(sequence)
                .bind(filter.since.map_or(i64::MIN, Timestamp::ms))
                .bind(filter.organization.as_ref().map(OrganizationSlug::as_str))
                .bind(limit)
                .fetch_all(pool)
                .await?;
            all(&rows, entry)
        },
    )
    .await
}

const AUDIT_AT: &str =
    concat!("select ", line!(), " from audit where at = $1 and sequence > $2 order by sequence limit $3");
/// Lines of one moment looked at together.
const STEP: i64 = 256;

/// The line with this id: it begins with the time.
pub(super) async fn audit_entry(pool: &PgPool, id: &str) -> Result<Option<AuditEntry>, StoreError> {
    let Some(at) = AuditEntry::time_in(id) else { return Ok(None) };
    let mut last = i64::MIN;
    loop {
        let rows = sqlx::query(AUDIT_AT).bind(at.ms()).bind(last).bind(STEP).fetch_all(pool).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        for row in &rows {
            let ((_, sequence), line) = entry(row)?;
            if line.id() == id {
                return Ok(Some(line));
            }
            last = sequence;
        }
    }
}
