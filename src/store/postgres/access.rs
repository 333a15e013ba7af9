//! [`Access`] on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::act::{Answer, act, lock};
use super::delivery::text;
use super::{PostgresStore, page, record, version};
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::RecordKey;
use crate::domain::organization::Organization;
use crate::domain::{OrganizationSlug, Timestamp};
use crate::store::{Access, Page, Paged, StoreError};

const PUT: &str = "
    insert into token (id, hash, kind, organization, name, created_at, expires_at, revoked_at, scope, member)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10)
    on conflict (id) do update set hash = excluded.hash, kind = excluded.kind,
        organization = excluded.organization, name = excluded.name, created_at = excluded.created_at,
        expires_at = excluded.expires_at, revoked_at = excluded.revoked_at, scope = excluded.scope,
        member = excluded.member
";
const BY_HASH: &str = "select *, scope::text as scope_text from token where hash = $1";
const LIST: &str = "
    select *, scope::text as scope_text from token where id > $1 and ($2::text is null or organization = $2)
        and ($3::text is null or kind = $3) order by id limit $4
";
const REVOKE: &str = "update token set revoked_at = coalesce(revoked_at, $2) where id = $1";
const END_ACCESS: &str = "update token set revoked_at = $2 where member = $1 and revoked_at is null";
const PUT_CODE: &str = "
    insert into setup_code (hash, expires_at) values ($1, $2)
    on conflict (one) do update set hash = excluded.hash, expires_at = excluded.expires_at
";
/// Used up by whoever deletes it.
const USE_CODE: &str = "delete from setup_code where hash = $1 and expires_at > $2";

/// Reads a token's row.
pub(super) fn token(row: &PgRow) -> Result<TokenRecord, StoreError> {
    let damaged = |what: &str| StoreError::Corrupt(format!("a token in the database has no valid {what}"));
    let (kind, organization): (String, String) = (row.try_get("kind")?, row.try_get("organization")?);
    let kinds = [TokenKind::Ci, TokenKind::Read, TokenKind::Admin];
    let kind = kinds.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| damaged("kind"))?;
    let scope: Option<String> = row.try_get("scope_text")?;
    Ok(TokenRecord {
        id: row.try_get("id")?,
        hash: hex::encode(row.try_get::<Vec<u8>, _>("hash")?),
        kind,
        organization: OrganizationSlug::parse(&organization).map_err(|_| damaged("organization"))?,
        name: row.try_get("name")?,
        created_at: Timestamp::from_ms(row.try_get("created_at")?),
        expires_at: Timestamp::from_ms(row.try_get("expires_at")?),
        revoked_at: row.try_get::<Option<i64>, _>("revoked_at")?.map(Timestamp::from_ms),
        scope: scope.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| damaged("scope"))?,
        member: row.try_get("member")?,
    })
}

/// Keeps a token's record.
pub(super) async fn put_token(connection: &mut PgConnection, token: &TokenRecord) -> Result<(), StoreError> {
    let hash = hex::decode(&token.hash)
        .map_err(|_| StoreError::Unavailable("a token's hash is no hex text".into()))?;
    sqlx::query(PUT)
        .bind(text(&token.id))
        .bind(hash)
        .bind(token.kind.as_str())
        .bind(token.organization.as_str())
        .bind(token.name.as_deref().map(text))
        .bind(token.created_at.ms())
        .bind(token.expires_at.ms())
        .bind(token.revoked_at.map(Timestamp::ms))
        .bind(token.scope.as_ref().map(record::json).transpose()?)
        .bind(token.member.as_deref())
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends the tokens that stand for this member.
pub(super) async fn end_access(
    connection: &mut PgConnection,
    member: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(END_ACCESS).bind(member).bind(now.ms()).execute(connection).await?;
    Ok(())
}

/// Remembers the setup code's hash, in place of any before.
pub(super) async fn put_setup_code(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(PUT_CODE).bind(hash.as_slice()).bind(expires_at.ms()).execute(connection).await?;
    Ok(())
}

/// Uses the code up, and makes organization and token with it; or changes nothing.
async fn redeem(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    organization: Organization,
    token: &TokenRecord,
    now: Timestamp,
) -> Result<Answer<bool>, StoreError> {
    let absent = [(RecordKey::Organization(organization.slug.clone()), 0)];
    let entry = AuditEntry {
        at: now,
        organization: Some(organization.slug.clone()),
        actor: "setup".into(),
        action: "organization.created".into(),
        subject: organization.slug.to_string(),
        detail: "with its first admin token".into(),
        ..AuditEntry::default()
    };
    let changes = vec![Change::PutOrganization(organization), Change::Audit(entry)];
    lock(connection, &record::stripes(&absent, &changes)).await?;
    let used = sqlx::query(USE_CODE).bind(hash.as_slice()).bind(now.ms()).execute(&mut *connection).await?;
    if used.rows_affected() == 0 || !version::hold(connection, &absent).await? {
        return Ok(Answer::Undo(false));
    }
    put_token(connection, token).await?;
    record::apply(connection, changes).await?;
    Ok(Answer::Keep(true))
}

#[async_trait]
impl Access for PostgresStore {
    async fn put_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        act(&self.pool, move |connection| {
            Box::pin(async move { put_token(connection, &token).await.map(Answer::Keep) })
        })
        .await
    }

    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError> {
        let row = sqlx::query(BY_HASH).bind(hash.as_slice()).fetch_optional(&self.pool).await?;
        row.as_ref().map(token).transpose()
    }

    async fn tokens(
        &self,
        organization: Option<&OrganizationSlug>,
        kind: Option<TokenKind>,
        page: &Page,
    ) -> Result<Paged<TokenRecord>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(page::after::<String>(page).unwrap_or_default())
            .bind(organization.map(OrganizationSlug::as_str))
            .bind(kind.map(TokenKind::as_str))
            .bind(page::rows(page))
            .fetch_all(&self.pool)
            .await?;
        let found = rows.iter().map(|row| token(row).map(|token| (token.id.clone(), token)));
        Ok(page::cut(page, found.collect::<Result<_, _>>()?))
    }

    async fn revoke_token(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let id = text(id);
        act(&self.pool, move |connection| {
            Box::pin(async move {
                let done = sqlx::query(REVOKE).bind(id).bind(now.ms()).execute(connection).await?;
                Ok(Answer::Keep(done.rows_affected() > 0))
            })
        })
        .await
    }

    async fn put_setup_code(&self, hash: &[u8; 32], expires_at: Timestamp) -> Result<(), StoreError> {
        let hash = *hash;
        act(&self.pool, move |connection| {
            Box::pin(async move { put_setup_code(connection, &hash, expires_at).await.map(Answer::Keep) })
        })
        .await
    }

    async fn redeem_setup_code(
        &self,
        hash: &[u8; 32],
        organization: Organization,
        token: TokenRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let hash = *hash;
        act(&self.pool, move |connection| {
            Box::pin(async move { redeem(connection, &hash, organization, &token, now).await })
        })
        .await
    }
}
