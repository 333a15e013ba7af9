//! API tokens: shown once when made, kept as a hash.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};

use super::query::Query;
use super::{Answer, listed, note, parse, time, walk};
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::{OrganizationSlug, Timestamp};
use crate::web::auth::{Admin, Call};
use crate::web::error::Problem;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const LIFE_DEFAULT_MS: i64 = 90 * DAY_MS;
const LIFE_MAX_MS: i64 = 366 * DAY_MS;

#[derive(Serialize)]
struct TokenView {
    id: String,
    kind: &'static str,
    organization: String,
    name: Option<String>,
    created_at: String,
    expires_at: String,
    revoked_at: Option<String>,
}

fn view(record: &TokenRecord) -> TokenView {
    TokenView {
        id: record.id.clone(),
        kind: record.kind.as_str(),
        organization: record.organization.to_string(),
        name: record.name.clone(),
        created_at: record.created_at.rfc3339(),
        expires_at: record.expires_at.rfc3339(),
        revoked_at: time(record.revoked_at),
    }
}

#[derive(Serialize)]
struct MadeView {
    id: String,
    token: String,
    kind: &'static str,
    organization: String,
    expires_at: String,
}

pub(crate) async fn list(call: Call<Admin>) -> Answer {
    let query = Query::of_list(&call.query, &["organization", "kind"])?;
    let page = query.page()?;
    let organization = super::scope(&call, &query).await?;
    let kind = query.word("kind")?;
    Ok(listed(call.front.store.tokens(organization.as_ref(), kind, &page).await?, view))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    kind: TokenKind,
    name: Option<String>,
    expires_at: Option<String>,
}

pub(crate) async fn create(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &["organization"])?;
    let organization = super::scope(&call, &query).await?;
    let missing = || Problem::bad("organization-missing", "name the organization: ?organization=…");
    let organization = organization.ok_or_else(missing)?;
    let wish: NewToken = parse(&call.body)?;
    let (record, text) = make(&call, organization, wish)?;
    let detail = format!("kind {}, until {}", record.kind.as_str(), record.expires_at);
    note(&call, &record.organization, "token.created", &record.id, detail).await?;
    let made = MadeView {
        id: record.id.clone(),
        token: text,
        kind: record.kind.as_str(),
        organization: record.organization.to_string(),
        expires_at: record.expires_at.rfc3339(),
    };
    call.front.store.put_token(record).await?;
    Ok(HttpResponse::Created().json(made))
}

fn make(
    call: &Call<Admin>,
    organization: OrganizationSlug,
    wish: NewToken,
) -> Result<(TokenRecord, String), Problem> {
    let now = call.front.now();
    let named = |name: &String| name.chars().count() > 100 || name.chars().any(char::is_control);
    if wish.name.as_ref().is_some_and(named) {
        return Err(Problem::bad("name-invalid", "the name has at most 100 characters"));
    }
    let expires_at = expiry(now, wish.expires_at.as_deref())?;
    let (text, hash) = (call.front.token_mint)(wish.kind).ok_or_else(Problem::busy)?;
    let record = TokenRecord {
        id: call.front.fresh_id(),
        hash: hex::encode(hash),
        kind: wish.kind,
        organization,
        name: wish.name,
        created_at: now,
        expires_at,
        revoked_at: None,
        scope: None,
    };
    Ok((record, text))
}

fn expiry(now: Timestamp, text: Option<&str>) -> Result<Timestamp, Problem> {
    let invalid = || Problem::bad("expiry-invalid", "expires_at is an RFC 3339 time within the next year");
    let Some(text) = text else { return Ok(now.plus_ms(LIFE_DEFAULT_MS)) };
    let at = Timestamp::parse_rfc3339(text).ok_or_else(invalid)?;
    if at > now && at.since(now) <= LIFE_MAX_MS { Ok(at) } else { Err(invalid()) }
}

pub(crate) async fn revoke(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &[])?;
    let (store, own) = (&call.front.store, call.caller.organization());
    let pages = |page| async move { store.tokens(own, None, &page).await };
    let found = walk(pages, |record| record.id == call.id).await?;
    let seen = found.filter(|record| call.caller.sees(Some(&record.organization)));
    let record = seen.ok_or_else(Problem::not_found)?;
    note(&call, &record.organization, "token.revoked", &record.id, String::new()).await?;
    if store.revoke_token(&record.id, call.front.now()).await? {
        return Ok(HttpResponse::NoContent().finish());
    }
    Err(Problem::not_found())
}
