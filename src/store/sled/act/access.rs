//! Tokens and the setup code.

use super::super::key::{self, Key, Table};
use super::super::stage::{Rows, Stage};
use super::record;
use crate::domain::Timestamp;
use crate::domain::access::TokenRecord;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::RecordKey;
use crate::domain::organization::Organization;
use crate::store::StoreError;
use crate::store::keep::SetupCode;

/// More tokens nobody has.
const TOKENS_MAX: usize = 10_000;

/// The row of a token.
pub(in super::super) fn token(id: &str) -> Key {
    Key::of(Table::Token).text(id)
}

/// The row that finds a token by its hash.
pub(in super::super) fn by_hash(hash: &[u8]) -> Key {
    Key::of(Table::TokenByHash).bytes(hash)
}

pub(in super::super) fn put_token(stage: &mut Stage<'_>, record: &TokenRecord) -> Result<(), StoreError> {
    let hash = hex::decode(&record.hash)
        .map_err(|_| StoreError::Unavailable("a token's hash is no hex text".into()))?;
    stage.mark(by_hash(&hash), record.id.as_bytes());
    if record.scope.is_some() {
        stage.mark(Key::of(Table::TokenByEnd).time(record.expires_at).text(&record.id), record.id.as_bytes());
    }
    if let Some(member) = &record.member {
        stage.mark(key::tokens_of(member).text(&record.id), record.id.as_bytes());
    }
    stage.put(token(&record.id), record)
}

/// Ends the tokens that stand for this member.
pub(super) fn end_access(stage: &mut Stage<'_>, member: &str, now: Timestamp) -> Result<(), StoreError> {
    for (_, id) in stage.with_prefix(&key::tokens_of(member), TOKENS_MAX)? {
        revoke(stage, &String::from_utf8_lossy(&id), now)?;
    }
    Ok(())
}

/// Forgets jobs' tokens that ended before `before`, up to `limit`. Returns how many.
pub(super) fn forget_ended(
    stage: &mut Stage<'_>,
    before: Timestamp,
    limit: usize,
) -> Result<u64, StoreError> {
    let (from, to) = (Key::of(Table::TokenByEnd), Key::of(Table::TokenByEnd).time(before));
    let mut gone: u64 = 0;
    for (row, id) in stage.scan(from.as_bytes(), Some(to.as_bytes()), limit)? {
        let key = token(&String::from_utf8_lossy(&id));
        if let Some(record) = stage.read::<TokenRecord>(&key)? {
            stage.delete(by_hash(&hex::decode(&record.hash).unwrap_or_default()))?;
            stage.delete(key)?;
        }
        stage.delete(Key::raw(row))?;
        gone = gone.saturating_add(1);
    }
    Ok(gone)
}

pub(in super::super) fn revoke(stage: &mut Stage<'_>, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let Some(mut record) = stage.read::<TokenRecord>(&token(id))? else { return Ok(false) };
    record.revoked_at.get_or_insert(now);
    stage.put(token(id), &record)?;
    Ok(true)
}

/// The row of the setup code.
pub(in super::super) fn setup_code() -> Key {
    key::meta("setup-code")
}

pub(in super::super) fn put_setup_code(
    stage: &mut Stage<'_>,
    hash: [u8; 32],
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    stage.put(setup_code(), &SetupCode { hash, expires_at })
}

/// Uses the code up, and makes organization and token with it; or changes nothing.
pub(in super::super) fn redeem(
    stage: &mut Stage<'_>,
    hash: &[u8; 32],
    organization: Organization,
    record: &TokenRecord,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(code) = stage.read::<SetupCode>(&setup_code())? else { return Ok(false) };
    let absent = record::hold(stage, &[(RecordKey::Organization(organization.slug.clone()), 0)])?;
    if code.hash != *hash || now >= code.expires_at || !absent {
        return Ok(false);
    }
    stage.delete(setup_code())?;
    let entry = AuditEntry {
        at: now,
        organization: Some(organization.slug.clone()),
        actor: "setup".into(),
        action: "organization.created".into(),
        subject: organization.slug.to_string(),
        detail: "with its first admin token".into(),
        ..AuditEntry::default()
    };
    record::apply(stage, vec![Change::PutOrganization(organization), Change::Audit(entry)])?;
    put_token(stage, record)?;
    Ok(true)
}
