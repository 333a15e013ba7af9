//! The audit log.

use serde::Serialize;

use super::query::Query;
use super::{Answer, listed, shown};
use crate::domain::change::AuditEntry;
use crate::web::auth::{Call, Reader};

#[derive(Serialize)]
struct AuditView {
    id: String,
    at: String,
    organization: Option<String>,
    actor: String,
    action: String,
    subject: String,
    detail: String,
}

fn view(record: &AuditEntry) -> AuditView {
    AuditView {
        id: record.id(),
        at: record.at.rfc3339(),
        organization: record.organization.as_ref().map(ToString::to_string),
        actor: record.actor.clone(),
        action: record.action.clone(),
        subject: record.subject.clone(),
        detail: record.detail.clone(),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of_list(&call.query, &["organization"])?;
    let page = query.page()?;
    let organization = super::scope(&call, &query).await?;
    Ok(listed(call.front.store.audit(organization.as_ref(), &page).await?, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &[])?;
    let found = call.front.store.audit_entry(&call.id).await?;
    shown(found.filter(|record| call.caller.sees(record.organization.as_ref())), view)
}
