//! Pages of projects, members, runs and the audit log: each by an index, from the place where the last one ended.

use sqlx::Row;
use sqlx::postgres::PgPool;

use super::delivery::text;
use super::find::parsed;
use super::page;
use super::record::{member_state, project_state};
use super::trail::{entry, line};
use crate::domain::change::AuditEntry;
use crate::domain::organization::Member;
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::{ConnectionKey, OrganizationSlug};
use crate::store::{MemberFilter, Page, Paged, ProjectFilter, StoreError};

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
    let (organization, path, id) = page::after::<(String, String, String)>(page).unwrap_or_default();
    let rows = sqlx::query(sql)
        .bind(organization)
        .bind(path)
        .bind(id)
        .bind(filter.organization.as_ref().map(OrganizationSlug::as_str))
        .bind(filter.connection.as_ref().map(ConnectionKey::as_str))
        .bind(filter.state.map(project_state))
        .bind(filter.search.as_ref().map(|search| text(&search.to_lowercase())))
        .bind(page::rows(page))
        .fetch_all(pool)
        .await?;
    let found = rows.iter().map(|row| {
        let key: (String, String, String) =
            (row.try_get("organization")?, row.try_get("path")?, row.try_get("id")?);
        Ok((key, parsed(row)?))
    });
    Ok(page::cut(page, found.collect::<Result<_, StoreError>>()?))
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
    let (organization, login, host, id) =
        page::after::<(String, String, String, i64)>(page).unwrap_or_else(start);
    let rows = sqlx::query(sql)
        .bind(organization)
        .bind(login)
        .bind(host)
        .bind(id)
        .bind(filter.organization.as_ref().map(OrganizationSlug::as_str))
        .bind(filter.state.map(member_state))
        .bind(filter.login.as_ref().map(|login| text(&login.to_lowercase())))
        .bind(page::rows(page))
        .fetch_all(pool)
        .await?;
    let found = rows.iter().map(|row| {
        let id: i64 = row.try_get("external_id")?;
        let key: (String, String, String, i64) =
            (row.try_get("organization")?, row.try_get("login")?, row.try_get("host")?, id);
        Ok((key, parsed(row)?))
    });
    Ok(page::cut(page, found.collect::<Result<_, StoreError>>()?))
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
    " from audit where (at, sequence) < ($1, $2) and $3::text is null order by at desc, sequence desc limit $4"
);
const AUDIT_OF: &str = concat!(
    "select ",
    line!(),
    " from audit where organization = $3 and (at, sequence) < ($1, $2) order by at desc, sequence desc limit $4"
);

/// A page of the audit log, newest first.
pub(super) async fn audit(
    pool: &PgPool,
    organization: Option<&OrganizationSlug>,
    page: &Page,
) -> Result<Paged<AuditEntry>, StoreError> {
    let sql = if organization.is_some() { AUDIT_OF } else { AUDIT };
    let (at, sequence) = page::after::<(i64, i64)>(page).unwrap_or((i64::MAX, i64::MAX));
    let rows = sqlx::query(sql)
        .bind(at)
        .bind(sequence)
        .bind(organization.map(OrganizationSlug::as_str))
        .bind(page::rows(page))
        .fetch_all(pool)
        .await?;
    Ok(page::cut(page, rows.iter().map(entry).collect::<Result<_, _>>()?))
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
