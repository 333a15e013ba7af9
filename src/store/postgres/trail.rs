//! The audit log: each line gets its place in its organization's chain. Its head is the last thing an act locks, so that
//! nobody waits for it in a circle.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::PostgresStore;
use super::delivery::text;
use crate::domain::audit::{self, Link};
use crate::domain::change::AuditEntry;
use crate::domain::{OrganizationSlug, Timestamp};
use crate::store::{Chain, StoreError, Trail};

/// The columns of a line, and its place in the log.
macro_rules! line {
    () => {
        "at, sequence, organization, actor, action, subject, detail, was, became, why, number, hash"
    };
}
pub(super) use line;

fn named(name: &str) -> Result<OrganizationSlug, StoreError> {
    OrganizationSlug::parse(name)
        .map_err(|_| StoreError::Corrupt("an audit line names no valid organization".into()))
}

/// Reads a line, and its place in the log.
pub(super) fn entry(row: &PgRow) -> Result<((i64, i64), AuditEntry), StoreError> {
    let organization: Option<String> = row.try_get("organization")?;
    let at: i64 = row.try_get("at")?;
    let (number, hash): (Option<i64>, Option<String>) = (row.try_get("number")?, row.try_get("hash")?);
    let entry = AuditEntry {
        at: Timestamp::from_ms(at),
        organization: organization.as_deref().map(named).transpose()?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        detail: row.try_get("detail")?,
        before: row.try_get("was")?,
        after: row.try_get("became")?,
        why: row.try_get("why")?,
        link: number.zip(hash).map(|(number, hash)| Link { number: number.unsigned_abs(), hash }),
    };
    Ok(((at, row.try_get("sequence")?), entry))
}

const FIRST: &str =
    "insert into audit_head (organization, number, hash) values ($1, 0, '') on conflict do nothing";
const HEAD: &str = "select number, hash from audit_head where organization = $1 for update";
const MOVE: &str = "update audit_head set number = $2, hash = $3 where organization = $1 and number < $2";
const PUT: &str = "
    insert into audit (at, organization, actor, action, subject, detail, was, became, why, number, hash)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
";

/// Adds a line. One that comes from another store has its place already.
pub(super) async fn put(connection: &mut PgConnection, entry: AuditEntry) -> Result<(), StoreError> {
    let chain = entry.organization.as_ref().map_or("", |slug| slug.as_str()).to_owned();
    sqlx::query(FIRST).bind(&chain).execute(&mut *connection).await?;
    let head = sqlx::query(HEAD).bind(&chain).fetch_one(&mut *connection).await?;
    let (entry, link) = match entry.link.clone() {
        Some(link) => (entry, link),
        None => {
            let last = link_of(&head)?;
            let entry = audit::clean(entry);
            let link = audit::link(last.as_ref(), &entry);
            (entry, link)
        }
    };
    sqlx::query(MOVE)
        .bind(&chain)
        .bind(link.number.cast_signed())
        .bind(&link.hash)
        .execute(&mut *connection)
        .await?;
    sqlx::query(PUT)
        .bind(entry.at.ms())
        .bind(entry.organization.as_ref().map(OrganizationSlug::as_str))
        .bind(text(&entry.actor))
        .bind(text(&entry.action))
        .bind(text(&entry.subject))
        .bind(text(&entry.detail))
        .bind(entry.before.as_deref().map(text))
        .bind(entry.after.as_deref().map(text))
        .bind(entry.why.as_deref().map(text))
        .bind(link.number.cast_signed())
        .bind(&link.hash)
        .execute(connection)
        .await?;
    Ok(())
}

/// The last line of a chain; `None`: it has none yet.
fn link_of(head: &PgRow) -> Result<Option<Link>, StoreError> {
    let number = head.try_get::<i64, _>("number")?.unsigned_abs();
    Ok((number > 0).then_some(Link { number, hash: head.try_get("hash")? }))
}

const CHAINS: &str =
    "select organization, number, hash from audit_head where number > 0 order by organization";
const CHAINED: &str = concat!(
    "select ",
    line!(),
    " from audit where coalesce(organization, '') = $1 and number > $2 order by number limit $3"
);

#[async_trait]
impl Trail for PostgresStore {
    async fn chains(&self) -> Result<Vec<Chain>, StoreError> {
        let mut chains = Vec::new();
        for row in sqlx::query(CHAINS).fetch_all(&self.pool).await? {
            let name: String = row.try_get("organization")?;
            let organization = if name.is_empty() { None } else { Some(named(&name)?) };
            chains.extend(link_of(&row)?.map(|link| (organization, link)));
        }
        Ok(chains)
    }

    async fn chained(
        &self,
        organization: Option<&OrganizationSlug>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query(CHAINED)
            .bind(organization.map_or("", |slug| slug.as_str()))
            .bind(after.cast_signed())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| entry(row).map(|(_, line)| line)).collect()
    }
}
