//! The audit log as chains, for whoever checks or exports it.

use serde::Serialize;
use utoipa::ToSchema;

use super::query::{Query, invalid};
use super::{Answer, listed};
use crate::domain::change::AuditEntry;
use crate::store::{Chain, Paged};
use crate::web::auth::{Call, Reader};
use crate::web::describe::{self, Operation};

/// One chain of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditChain)]
struct ChainView {
    /// Whose; null for the operator's own.
    #[schema(examples("acme"))]
    organization: Option<String>,
    /// How many lines it has.
    lines: u64,
    /// The hash of the last one, in hex. Kept elsewhere, it proves later that nothing before it was touched.
    hash: String,
}

/// One line of a chain, with all that its hash covers.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditLine)]
struct LineView {
    /// Its place in the chain, from 1.
    number: u64,
    /// SHA-256, in hex, over the hash before, the number and the fields of the line.
    hash: String,
    /// When.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    at: String,
    /// Whose chain; null for the operator's own.
    #[schema(examples("acme"))]
    organization: Option<String>,
    /// Who.
    #[schema(examples("sync"))]
    actor: String,
    /// What, as a stable word.
    #[schema(examples("member.removed"))]
    action: String,
    /// To what.
    subject: String,
    /// More, in words.
    detail: String,
    /// What it was.
    before: Option<String>,
    /// What it is since.
    after: Option<String>,
    /// What led to it.
    why: Option<String>,
}

pub(crate) const CHAINS: Operation = Operation::list(
    "listAuditChains",
    "List the chains of the audit log",
    &[describe::page::<ChainView>("One for each organization that has lines; a token sees its own only.")],
    &[describe::ORGANIZATION],
);
pub(crate) const LINES: Operation = Operation::list(
    "listAuditLines",
    "List the lines of one chain in their order",
    &[describe::page::<LineView>("One page of lines, oldest first.")],
    &[describe::ORGANIZATION],
)
.help("The operator's own chain without an organization. `scm-connect audit verify` checks what this gives.");

fn chain(chain: &Chain) -> ChainView {
    let (organization, head) = chain;
    ChainView {
        organization: organization.as_ref().map(ToString::to_string),
        lines: head.number,
        hash: head.hash.clone(),
    }
}

fn line(entry: &AuditEntry) -> LineView {
    LineView {
        number: entry.link.as_ref().map_or(0, |link| link.number),
        hash: entry.link.as_ref().map(|link| link.hash.clone()).unwrap_or_default(),
        at: entry.at.rfc3339(),
        organization: entry.organization.as_ref().map(ToString::to_string),
        actor: entry.actor.clone(),
        action: entry.action.clone(),
        subject: entry.subject.clone(),
        detail: entry.detail.clone(),
        before: entry.before.clone(),
        after: entry.after.clone(),
        why: entry.why.clone(),
    }
}

pub(crate) async fn chains(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &CHAINS)?;
    // All are in one page.
    if query.page()?.cursor.is_some() {
        return Err(invalid("cursor"));
    }
    let organization = super::scope(&call, &query).await?;
    let mut items = call.front.store.chains().await?;
    items.retain(|(of, _)| organization.is_none() || *of == organization);
    Ok(listed(&query, Paged { items, next: None }, chain))
}

pub(crate) async fn lines(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LINES)?;
    let page = query.page()?;
    let organization = super::scope(&call, &query).await?;
    let after = page.cursor.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| invalid("cursor"))?.unwrap_or(0_u64);
    let items = call.front.store.chained(organization.as_ref(), after, page.limit).await?;
    let last = items.last().and_then(|entry| entry.link.as_ref()).map(|link| link.number.to_string());
    let next = last.filter(|_| items.len() == page.limit);
    Ok(listed(&query, Paged { items, next }, line))
}
