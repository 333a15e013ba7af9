//! Connections.

use serde::Serialize;
use serde_json::Value;

use super::query::Query;
use super::{Answer, listed, shown, time, word};
use crate::domain::ConnectionKey;
use crate::domain::organization::{Connection, Forge};
use crate::web::auth::{Call, Reader};
use crate::web::error::Problem;

#[derive(Serialize)]
struct ConnectionView {
    id: String,
    key: String,
    organization: String,
    kind: &'static str,
    url: String,
    host: String,
    source: String,
    account: AccountView,
    credential: String,
    authority: bool,
    state: Value,
    reasons: Value,
    capabilities: Vec<Capability>,
    repository_selection: Option<String>,
    last_event_at: Option<String>,
    last_sync_at: Option<String>,
    created_by: String,
    created_at: String,
}

#[derive(Serialize)]
struct AccountView {
    login: String,
    external_id: Option<String>,
}

/// One permission that a feature needs, and what was granted.
#[derive(Serialize)]
struct Capability {
    feature: &'static str,
    needs: String,
    granted: Option<String>,
    ok: bool,
}

/// What each feature needs of a GitHub installation.
const NEEDS: [(&str, &str, &str); 8] = [
    ("connect", "metadata", "read"),
    ("members", "members", "read"),
    ("comments", "pull_requests", "write"),
    ("assistant", "contents", "read"),
    ("onboarding", "contents", "write"),
    ("onboarding", "workflows", "write"),
    ("onboarding", "pull_requests", "write"),
    ("onboarding_secrets", "secrets", "write"),
];

fn rank(level: &str) -> u8 {
    match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

/// Of the permissions that were granted, not of those that were asked for. Empty where the forge told us none.
fn capabilities(connection: &Connection) -> Vec<Capability> {
    if connection.kind.forge() != Forge::Github || connection.installation.is_none() {
        return Vec::new();
    }
    let judge = |&(feature, permission, level): &(&'static str, &str, &str)| {
        let granted = connection.permissions.get(permission).cloned();
        let ok = granted.as_deref().is_some_and(|granted| rank(granted) >= rank(level));
        Capability { feature, needs: format!("{permission}:{level}"), granted, ok }
    };
    NEEDS.iter().map(judge).collect()
}

fn view(record: &Connection) -> ConnectionView {
    ConnectionView {
        id: record.key.to_string(),
        key: record.key.to_string(),
        organization: record.organization.to_string(),
        kind: record.kind.as_str(),
        url: record.url.to_string(),
        host: record.host.to_string(),
        source: record.source.to_string(),
        account: AccountView {
            login: record.account.login.clone(),
            external_id: record.account.external_id.map(|id| id.to_string()),
        },
        credential: record.credential.clone(),
        authority: record.authority,
        state: word(record.state()),
        reasons: word(&record.reasons),
        capabilities: capabilities(record),
        repository_selection: record.repository_selection.clone(),
        last_event_at: time(record.last_event_at),
        last_sync_at: time(record.last_sync_at),
        created_by: record.created_by.clone(),
        created_at: record.created_at.rfc3339(),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of_list(&call.query, &["organization"])?;
    let page = query.page()?;
    let organization = super::scope(&call, &query).await?;
    Ok(listed(call.front.store.connections(organization.as_ref(), &page).await?, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &[])?;
    let key = ConnectionKey::parse(&call.id).map_err(|_| Problem::not_found())?;
    let found = call.front.store.connection(&key).await?;
    shown(found.filter(|record| call.caller.sees(Some(&record.organization))), view)
}
