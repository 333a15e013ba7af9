//! API tokens: shown once when made, kept as a hash.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, note, parse, time, walk};
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::organization::{Member, MemberState};
use crate::domain::{OrganizationSlug, Timestamp};
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Body, Content, Good, Name, Operation, Parameter, Shape};
use crate::web::error::Problem;
use crate::web::{name, person};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const LIFE_DEFAULT_MS: i64 = 90 * DAY_MS;
const LIFE_MAX_MS: i64 = 366 * DAY_MS;

/// What is kept of a token: never the token.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenView {
    /// Names it when it is revoked.
    #[schema(examples("0123456789abcdef01234567"))]
    id: String,
    kind: TokenKind,
    /// The only organization it sees.
    #[schema(examples("acme"))]
    organization: String,
    /// A name for people.
    #[schema(examples("ci of the site"))]
    name: Option<String>,
    /// When it was made.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    created_at: String,
    /// When it ends.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    expires_at: String,
    /// When it was revoked.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    revoked_at: Option<String>,
    /// The id of the member for whom it stands; null for a program's.
    #[schema(examples("0123456789abcdef01234567"))]
    member: Option<String>,
}

fn view(record: &TokenRecord) -> TokenView {
    TokenView {
        id: record.id.clone(),
        kind: record.kind,
        organization: record.organization.to_string(),
        name: record.name.clone(),
        created_at: record.created_at.rfc3339(),
        expires_at: record.expires_at.rfc3339(),
        revoked_at: time(record.revoked_at),
        member: record.member.clone(),
    }
}

/// A new token.
#[derive(Serialize, ToSchema)]
#[schema(as = NewTokenMade)]
struct MadeView {
    /// Names it when it is revoked.
    #[schema(examples("0123456789abcdef01234567"))]
    id: String,
    /// The token itself, shown only now.
    #[schema(examples("scmc_rd_…"))]
    token: String,
    kind: TokenKind,
    /// The only organization it sees.
    #[schema(examples("acme"))]
    organization: String,
    /// When it ends.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    expires_at: String,
}

pub(crate) const LIST: Operation = Operation::list(
    "listTokens",
    "List tokens",
    &[describe::page::<TokenView>("One page of tokens.")],
    &[describe::ORGANIZATION, Parameter::word::<TokenKind>("kind", "What it may do.")],
);
pub(crate) const CREATE: Operation =
    Operation::new("createToken", "Make a token", &[describe::json::<MadeView>(201, "It was made.")])
        .parameters(&[describe::ORGANIZATION])
        .body(Body::Json(Shape::of::<NewToken>()))
        .codes(&["organization-missing", "name-invalid", "expiry-invalid", "member-invalid"]);
pub(crate) const REVOKE: Operation = Operation::new(
    "revokeToken",
    "Revoke a token",
    &[Good { status: 204, help: "It opens nothing any more.", content: Content::None }],
);

pub(crate) async fn list(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let organization = super::scope(&call, &query).await?;
    let kind = query.word("kind")?;
    Ok(listed(&query, call.front.store.tokens(organization.as_ref(), kind, &page).await?, view))
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    kind: TokenKind,
    #[schema(value_type = Option<Name>)]
    name: Option<String>,
    /// When it ends: within the next 366 days; in 90 days without this.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The id of the member for whom it stands: it ends with their membership, and opens no more than their role.
    #[schema(examples("0123456789abcdef01234567"))]
    member: Option<String>,
}

pub(crate) async fn create(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &CREATE)?;
    let organization = super::within(&call, &query).await?;
    let wish: NewToken = parse(&call.body)?;
    owner(&call, &organization, &wish).await?;
    let (record, text) = make(&call, organization, wish)?;
    let detail = format!("kind {}, until {}", record.kind.as_str(), record.expires_at);
    note(&call, &record.organization, "token.created", &record.id, detail).await?;
    let made = MadeView {
        id: record.id.clone(),
        token: text,
        kind: record.kind,
        organization: record.organization.to_string(),
        expires_at: record.expires_at.rfc3339(),
    };
    call.front.store.put_token(record).await?;
    Ok(HttpResponse::Created().json(made))
}

/// Whoever the token shall stand for belongs, and may do so much.
async fn owner(call: &Call<Admin>, organization: &OrganizationSlug, wish: &NewToken) -> Result<(), Problem> {
    let Some(id) = &wish.member else { return Ok(()) };
    let found = call.front.store.member(id).await?.filter(|member| member.organization == *organization);
    let fits =
        |member: &Member| member.state == MemberState::Active && person::carries(member.role, wish.kind);
    if found.as_ref().is_some_and(fits) {
        return Ok(());
    }
    let message = "there is no such active member here, or their role does not carry a token of this kind";
    Err(Problem::bad("member-invalid", message).help("scm-connect members list shows ids and roles"))
}

fn make(
    call: &Call<Admin>,
    organization: OrganizationSlug,
    wish: NewToken,
) -> Result<(TokenRecord, String), Problem> {
    let now = call.front.now();
    if wish.name.as_deref().is_some_and(|text| !name::is_fine(text)) {
        return Err(Problem::bad("name-invalid", name::WRONG));
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
        member: wish.member,
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
    Query::of(&call.query, &REVOKE)?;
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
