//! The audit log.

use serde::Serialize;

use super::query::Query;
use super::{Answer, listed, shown, walk};
use crate::domain::change::AuditEntry;
use crate::domain::id_of;
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

/// Entries have no number of their own; two that are equal in everything are one to a reader.
fn id(record: &AuditEntry) -> String {
    let organization = record.organization.as_ref().map_or("", |slug| slug.as_str());
    let at = record.at.ms().to_string();
    id_of(&["audit", &at, organization, &record.actor, &record.action, &record.subject, &record.detail])
}

fn view(record: &AuditEntry) -> AuditView {
    AuditView {
        id: id(record),
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
    let (store, own) = (&call.front.store, call.caller.organization());
    let pages = |page| async move { store.audit(own, &page).await };
    let found = walk(pages, |record| id(record) == call.id).await?;
    shown(found.filter(|record| call.caller.sees(record.organization.as_ref())), view)
}
