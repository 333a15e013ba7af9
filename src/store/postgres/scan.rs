//! Scans, their numbers and their findings; command lines that a person has let in.

use std::collections::BTreeSet;

use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Row};

use super::delivery::text;
use super::find::{all, parsed};
use super::record::{Version, json, number};
use super::{access, page};
use crate::domain::access::{Approval, TokenRecord};
use crate::domain::scan::{Branch, Finding, Scan};
use crate::domain::{OrganizationSlug, Timestamp};
use crate::store::{FindingFilter, Page, Paged, StoreError};

/// Findings looked at by one act at most.
const FINDINGS_MAX: i64 = 512;

/// Gives a number out.
pub(super) async fn next_number(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let sql = "update scan_counter set last = last + 1 returning last";
    let next: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(next.unsigned_abs())
}

/// Writes a scan. A number that came from elsewhere is not given out again.
pub(super) async fn put_scan(
    connection: &mut PgConnection,
    it: &Scan,
    version: Version,
) -> Result<(), StoreError> {
    let sql = "insert into scan as t (unique_id, number, opened_at, version, record)
        values ($1, $2, $3, coalesce($5, 1), $4::json)
        on conflict (unique_id) do update set version = coalesce($5, t.version + 1), record = excluded.record";
    sqlx::query(sql)
        .bind(text(&it.unique_id))
        .bind(it.number.cast_signed())
        .bind(it.opened_at.ms())
        .bind(json(it)?)
        .bind(number(version))
        .execute(&mut *connection)
        .await?;
    if version.is_some() {
        let keep = sqlx::query("update scan_counter set last = greatest(last, $1)");
        keep.bind(it.number.cast_signed()).execute(connection).await?;
    }
    Ok(())
}

/// Writes a finding as it is.
pub(super) async fn put_finding(
    connection: &mut PgConnection,
    it: &Finding,
    version: Version,
) -> Result<(), StoreError> {
    let sql = "insert into finding as t
            (organization, project, git_ref, fingerprint, path, rule, last_scan, is_open, version, record)
        values ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($10, 1), $9::json)
        on conflict (organization, project, git_ref, fingerprint) do update set path = excluded.path,
            rule = excluded.rule, last_scan = excluded.last_scan, is_open = excluded.is_open,
            version = coalesce($10, t.version + 1), record = excluded.record";
    sqlx::query(sql)
        .bind(it.organization.as_str())
        .bind(text(&it.project))
        .bind(text(&it.git_ref))
        .bind(text(&it.fingerprint))
        .bind(text(&it.full_path.to_lowercase()))
        .bind(text(&it.rule))
        .bind(it.last_scan.cast_signed())
        .bind(it.fixed_at.is_none())
        .bind(json(it)?)
        .bind(number(version))
        .execute(connection)
        .await?;
    Ok(())
}

const ONE: &str = "
    select record::text from finding
    where organization = $1 and project = $2 and git_ref = $3 and fingerprint = $4 for update
";

/// Writes findings over those of before.
pub(super) async fn record(connection: &mut PgConnection, findings: Vec<Finding>) -> Result<(), StoreError> {
    for finding in findings {
        let row = sqlx::query(ONE)
            .bind(finding.organization.as_str())
            .bind(text(&finding.project))
            .bind(text(&finding.git_ref))
            .bind(text(&finding.fingerprint))
            .fetch_optional(&mut *connection)
            .await?;
        let before: Option<Finding> = row.as_ref().map(parsed).transpose()?;
        put_finding(connection, &finding.seen_after(before.as_ref()), None).await?;
    }
    Ok(())
}

const UNSEEN: &str = "
    select fingerprint, record::text from finding
    where organization = $1 and project = $2 and git_ref = $3 and fingerprint > $4
        and is_open and last_scan < $5 and rule = any($6)
    order by fingerprint limit $7 for update
";

/// Closes what the scan did not see; gives back where to go on.
pub(super) async fn close(
    connection: &mut PgConnection,
    branch: &Branch,
    scan: u64,
    rules: &BTreeSet<String>,
    after: Option<String>,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let rows = sqlx::query(UNSEEN)
        .bind(branch.organization.as_str())
        .bind(text(&branch.project))
        .bind(text(&branch.git_ref))
        .bind(after.unwrap_or_default())
        .bind(scan.cast_signed())
        .bind(rules)
        .bind(FINDINGS_MAX)
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        let finding: Finding = parsed(row)?;
        put_finding(connection, &finding.fixed_by(scan, now), None).await?;
    }
    let is_full = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= FINDINGS_MAX;
    match rows.last().filter(|_| is_full) {
        Some(last) => Ok(Some(last.try_get("fingerprint")?)),
        None => Ok(None),
    }
}

const LIST: &str = "
    select project, git_ref, fingerprint, record::text from finding
    where organization = $1 and (project, git_ref, fingerprint) > ($2, $3, $4)
        and ($5::text is null or project = $5) and ($6::text is null or path = $6)
        and ($7::text is null or git_ref = $7) and ($8::boolean is null or is_open = $8)
    order by project, git_ref, fingerprint limit $9
";

/// A page of findings.
pub(super) async fn findings(
    pool: &PgPool,
    filter: &FindingFilter,
    page: &Page,
) -> Result<Paged<Finding>, StoreError> {
    let after: (String, String, String) = page::after(page).unwrap_or_default();
    let rows = sqlx::query(LIST)
        .bind(filter.organization.as_str())
        .bind(after.0)
        .bind(after.1)
        .bind(after.2)
        .bind(filter.project.as_deref().map(text))
        .bind(filter.full_path.as_ref().map(|path| text(&path.to_lowercase())))
        .bind(filter.git_ref.as_deref().map(text))
        .bind(filter.is_open)
        .bind(page::rows(page))
        .fetch_all(pool)
        .await?;
    let found = all(&rows, |row| {
        let place: (String, String, String) =
            (row.try_get("project")?, row.try_get("git_ref")?, row.try_get("fingerprint")?);
        Ok((place, parsed(row)?))
    })?;
    Ok(page::cut(page, found))
}

/// Remembers an approval, and forgets those that were never fetched.
pub(super) async fn approve(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    approval: &Approval,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("delete from approval where expires_at <= $1")
        .bind(now.ms())
        .execute(&mut *connection)
        .await?;
    let sql = "insert into approval (hash, organization, approved_by, expires_at) values ($1, $2, $3, $4)
        on conflict (hash) do update set organization = excluded.organization,
            approved_by = excluded.approved_by, expires_at = excluded.expires_at";
    sqlx::query(sql)
        .bind(hash.as_slice())
        .bind(approval.organization.as_str())
        .bind(text(&approval.by))
        .bind(approval.expires_at.ms())
        .execute(connection)
        .await?;
    Ok(())
}

/// The approval of a request, as long as it counts.
pub(super) async fn approval(
    pool: &PgPool,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Approval>, StoreError> {
    let sql =
        "select organization, approved_by, expires_at from approval where hash = $1 and expires_at > $2";
    let row = sqlx::query(sql).bind(hash.as_slice()).bind(now.ms()).fetch_optional(pool).await?;
    let Some(row) = row else { return Ok(None) };
    let organization: String = row.try_get("organization")?;
    let damaged = |_| StoreError::Corrupt("an approval in the database has no valid organization".into());
    Ok(Some(Approval {
        organization: OrganizationSlug::parse(&organization).map_err(damaged)?,
        by: row.try_get("approved_by")?,
        expires_at: Timestamp::from_ms(row.try_get("expires_at")?),
    }))
}

/// Uses an approval up and keeps its token.
pub(super) async fn redeem(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    token: &TokenRecord,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "delete from approval where hash = $1 and organization = $2 and expires_at > $3";
    let used = sqlx::query(sql)
        .bind(hash.as_slice())
        .bind(token.organization.as_str())
        .bind(now.ms())
        .execute(&mut *connection)
        .await?;
    if used.rows_affected() == 0 {
        return Ok(false);
    }
    access::put_token(connection, token).await.map(|()| true)
}
