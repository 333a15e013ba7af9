//! The audit log.

use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, shown};
use crate::domain::change::AuditEntry;
use crate::store::AuditFilter;
use crate::web::auth::{Call, Reader};
use crate::web::describe::{self, Operation, Parameter};

/// One line of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct AuditView {
    /// Names the entry.
    id: String,
    /// When.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    at: String,
    /// Whom it is about; null for what is about the daemon.
    #[schema(examples("acme"))]
    organization: Option<String>,
    /// Who: `cli`, `config`, `setup`, `api_token:…` or a source.
    #[schema(examples("api_token:0123456789abcdef01234567"))]
    actor: String,
    /// What, as a stable word.
    #[schema(examples("token.created"))]
    action: String,
    /// To what: an id, a key or a slug.
    subject: String,
    /// More, in words.
    detail: String,
    /// What it was before.
    before: Option<String>,
    /// What it is since.
    after: Option<String>,
    /// What led to it.
    why: Option<String>,
}

pub(crate) const LIST: Operation = Operation::list(
    "listAudit",
    "List who changed what, newest first",
    &[describe::page::<AuditView>("One page of the audit log.")],
    &[
        describe::ORGANIZATION,
        Parameter::text("actor", "Who: `cli`, `config`, `setup`, `api_token:…` or a source.", "cli"),
        Parameter::text("action", "What, as its stable word.", "connection.created"),
        Parameter::time("since", "Written then or later."),
        Parameter::time("until", "Written before."),
    ],
);
pub(crate) const SHOW: Operation = Operation::new(
    "showAudit",
    "Show one line of the audit log",
    &[describe::json::<AuditView>(200, "The entry.")],
);

fn view(record: &AuditEntry) -> AuditView {
    AuditView {
        id: record.id(),
        at: record.at.rfc3339(),
        organization: record.organization.as_ref().map(ToString::to_string),
        actor: record.actor.clone(),
        action: record.action.clone(),
        subject: record.subject.clone(),
        detail: record.detail.clone(),
        before: record.before.clone(),
        after: record.after.clone(),
        why: record.why.clone(),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let filter = AuditFilter {
        organization: super::scope(&call, &query).await?,
        actor: query.owned("actor"),
        action: query.owned("action"),
        since: query.time("since")?,
        until: query.time("until")?,
    };
    Ok(listed(&query, call.front.store.audit(&filter, &page).await?, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &SHOW)?;
    let found = call.front.store.audit_entry(&call.id).await?;
    shown(found.filter(|record| call.caller.sees(record.organization.as_ref())), view)
}
