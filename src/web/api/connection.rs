//! Connections.

use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, shown, time};
use crate::domain::ConnectionKey;
use crate::domain::organization::{Connection, ConnectionState, Forge, Kind};
use crate::domain::project::Proof;
use crate::web::auth::{Call, Reader};
use crate::web::describe::{self, Operation};
use crate::web::error::Problem;

/// One account at one forge, tied to one organization.
#[derive(Serialize, ToSchema)]
#[schema(as = Connection)]
struct ConnectionView {
    /// The same as `key`.
    #[schema(examples("acme-github"))]
    id: String,
    /// Names it for ever; part of the hook's address when the connection is its own source.
    #[schema(examples("acme-github"))]
    key: String,
    /// The organization's slug.
    #[schema(examples("acme"))]
    organization: String,
    kind: Kind,
    /// The forge's base address.
    #[schema(format = "uri", examples("https://github.com/"))]
    url: String,
    /// The same without scheme and last slash; what records are told apart by.
    #[schema(examples("github.com"))]
    host: String,
    /// The key of the source that its deliveries come from.
    #[schema(examples("acme-github"))]
    source: String,
    account: AccountView,
    /// By what we call the forge: `app`, `token`, or `none`.
    #[schema(examples("app"))]
    credential: String,
    /// Whether it manages the organization's members.
    authority: bool,
    state: ConnectionState,
    /// Everything that is not well, worst first; `state` is the first of them.
    reasons: Vec<ConnectionState>,
    /// What each feature needs and has. Empty where the forge told us no permissions.
    capabilities: Vec<Capability>,
    /// `all` or `selected`, where the forge says so.
    #[schema(examples("selected"))]
    repository_selection: Option<String>,
    /// When it was last heard of.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    last_event_at: Option<String>,
    /// When it was last compared with the forge.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    last_sync_at: Option<String>,
    /// Who made it: `config`, a person, or a delivery.
    #[schema(examples("config"))]
    created_by: String,
    /// When.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    created_at: String,
    proof: Proof,
    /// When an admin rejected it: it is blocked from making itself again.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    rejected_at: Option<String>,
}

/// An org, user or group at a forge.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountView {
    /// Its name there today.
    #[schema(examples("acme"))]
    login: String,
    /// Its number there, for ever; null until the forge has told us.
    #[schema(examples("4242"))]
    external_id: Option<String>,
}

/// One permission that a feature needs, and what was granted.
#[derive(Serialize, ToSchema)]
struct Capability {
    /// The feature, as a stable word.
    #[schema(examples("members"))]
    feature: &'static str,
    /// `permission:level`.
    #[schema(examples("members:read"))]
    needs: String,
    /// The level that was granted; null for none.
    #[schema(examples("read"))]
    granted: Option<String>,
    /// Whether that is enough.
    ok: bool,
}

pub(crate) const LIST: Operation = Operation::list(
    "listConnections",
    "List connections",
    &[describe::page::<ConnectionView>("One page of connections.")],
    &[describe::ORGANIZATION],
);
pub(crate) const SHOW: Operation = Operation::new(
    "showConnection",
    "Show a connection",
    &[describe::json::<ConnectionView>(200, "The connection.")],
);

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
        kind: record.kind,
        url: record.url.to_string(),
        host: record.host.to_string(),
        source: record.source.to_string(),
        account: AccountView {
            login: record.account.login.clone(),
            external_id: record.account.external_id.map(|id| id.to_string()),
        },
        credential: record.credential.clone(),
        authority: record.authority,
        state: record.state(),
        reasons: record.reasons.clone(),
        capabilities: capabilities(record),
        repository_selection: record.repository_selection.clone(),
        last_event_at: time(record.last_event_at),
        last_sync_at: time(record.last_sync_at),
        created_by: record.created_by.clone(),
        created_at: record.created_at.rfc3339(),
        proof: record.proof,
        rejected_at: time(record.rejected_at),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let organization = super::scope(&call, &query).await?;
    Ok(listed(call.front.store.connections(organization.as_ref(), &page).await?, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &SHOW)?;
    let key = ConnectionKey::parse(&call.id).map_err(|_| Problem::not_found())?;
    let found = call.front.store.connection(&key).await?;
    shown(found.filter(|record| call.caller.sees(Some(&record.organization))), view)
}
