//! Connections.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, time};
use crate::domain::capability::of_installation;
use crate::domain::health::{Capability, Channel, MadeHook};
use crate::domain::organization::{Connection, ConnectionState, Forge, Kind};
use crate::domain::project::Proof;
use crate::domain::{ConnectionKey, Timestamp};
use crate::store::ConnectionFilter;
use crate::web::auth::{Call, Reader};
use crate::web::describe::{self, Operation, Parameter};
use crate::web::error::Problem;

/// One account at one forge, tied to one organization.
#[derive(Serialize, ToSchema)]
#[schema(as = Connection)]
pub(crate) struct ConnectionView {
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
    /// The last four characters of its token, when it is long enough to show them.
    #[schema(examples("5678"))]
    credential_last4: Option<String>,
    /// Whether it manages the organization's members.
    authority: bool,
    state: ConnectionState,
    /// Everything that is not well, worst first; `state` is the first of them.
    reasons: Vec<ConnectionState>,
    /// What each feature needs and has. Empty where the forge told us no permissions.
    capabilities: Vec<CapabilityView>,
    health: HealthView,
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
    /// When an admin paused it: nothing is asked of the forge until it is resumed.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    paused_at: Option<String>,
    /// Of one that is off: until when its members come in though nobody can be confirmed. An admin can extend it.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    access_ends_at: Option<String>,
    /// Of one that is gone: when its credentials are erased, unless it comes back before.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    erased_at: Option<String>,
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
#[schema(as = Capability)]
struct CapabilityView {
    /// The feature, as a stable word.
    #[schema(examples("members"))]
    feature: String,
    /// The permission or scope, as the forge calls it.
    #[schema(examples("members:read"))]
    needs: String,
    /// What was granted of it; null for nothing.
    #[schema(examples("read"))]
    granted: Option<String>,
    /// Whether that is enough.
    ok: bool,
}

/// What the checks have found.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionHealth)]
struct HealthView {
    /// When the forge was last asked.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    checked_at: Option<String>,
    /// Since when each reason holds.
    since: Vec<SinceView>,
    /// When the credential ends, where the forge says so.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    expires_at: Option<String>,
    /// The credential ends within so many days: 30, 7 or 1.
    #[schema(examples(7))]
    expires_within_days: Option<u8>,
    /// What was wrong the last time.
    #[schema(examples("the forge does not accept the credential"))]
    last_error: Option<String>,
    /// How events reach us: `group_hook`, `project_hooks`, `organization_hook`, `polling`, `unknown`.
    #[schema(examples("group_hook"))]
    events_by: &'static str,
    /// Hooks that we made.
    hooks: Vec<HookView>,
    /// Their secret was replaced; the one before still counts until then.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    old_secret_until: Option<String>,
}

/// A reason and since when it holds.
#[derive(Serialize, ToSchema)]
#[schema(as = ReasonSince)]
struct SinceView {
    state: ConnectionState,
    /// Since then.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    since: String,
}

/// A hook that we made.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeHook)]
struct HookView {
    /// `group`, `project` or `organization`.
    #[schema(examples("group"))]
    place: String,
    /// Its number.
    #[schema(examples("72"))]
    of: String,
    /// The hook's number there.
    #[schema(examples("9"))]
    id: String,
    /// The forge's word: `executable`, `temporarily_disabled`, `disabled`; empty where it says none.
    #[schema(examples("executable"))]
    alert_status: String,
}

pub(crate) const LIST: Operation = Operation::list(
    "listConnections",
    "List connections",
    &[describe::page::<ConnectionView>("One page of connections.")],
    &[
        describe::ORGANIZATION,
        Parameter::word::<ConnectionState>("state", "How it is."),
        Parameter::word::<Kind>("kind", "Which of the four it is."),
        Parameter::flag("authority", "Whether it manages the organization's members."),
    ],
);
pub(crate) const SHOW: Operation = Operation::new(
    "showConnection",
    "Show a connection",
    &[describe::json::<ConnectionView>(200, "The connection.")],
);

/// As the last check found it; before the first one, as the installation's events told.
fn capabilities(connection: &Connection) -> Vec<CapabilityView> {
    let known = &connection.health.capabilities;
    let told = match (known.is_empty(), connection.installation) {
        (true, Some(_)) if connection.kind.forge() == Forge::Github => {
            of_installation(&connection.permissions)
        }
        _ => known.clone(),
    };
    let view = |one: Capability| CapabilityView {
        feature: one.feature,
        needs: one.needs,
        granted: one.granted,
        ok: one.ok,
    };
    told.into_iter().map(view).collect()
}

fn health(connection: &Connection) -> HealthView {
    let health = &connection.health;
    let since =
        |(state, at): (&ConnectionState, &Timestamp)| SinceView { state: *state, since: at.rfc3339() };
    let hook = |it: &MadeHook| HookView {
        place: it.place.clone(),
        of: it.of.to_string(),
        id: it.id.to_string(),
        alert_status: it.alert_status.clone(),
    };
    HealthView {
        checked_at: time(health.checked_at),
        since: health.since.iter().map(since).collect(),
        expires_at: time(health.expires_at),
        expires_within_days: health.notice_days,
        last_error: health.last_error.clone(),
        events_by: match health.channel {
            Channel::Unknown => "unknown",
            Channel::GroupHook => "group_hook",
            Channel::ProjectHooks => "project_hooks",
            Channel::OrganizationHook => "organization_hook",
            Channel::Polling => "polling",
        },
        hooks: health.hooks.iter().map(hook).collect(),
        old_secret_until: time(health.old_secret_until),
    }
}

pub(crate) fn view(record: &Connection) -> ConnectionView {
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
        credential_last4: record.credential_last4.clone(),
        authority: record.authority,
        state: record.state(),
        reasons: record.reasons.clone(),
        capabilities: capabilities(record),
        health: health(record),
        repository_selection: record.repository_selection.clone(),
        last_event_at: time(record.last_event_at),
        last_sync_at: time(record.last_sync_at),
        created_by: record.created_by.clone(),
        created_at: record.created_at.rfc3339(),
        proof: record.proof,
        rejected_at: time(record.rejected_at),
        paused_at: time(record.paused_at),
        access_ends_at: time(record.access_ends_at()),
        erased_at: time(record.erased_at()),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let filter = ConnectionFilter {
        organization: super::scope(&call, &query).await?,
        state: query.word("state")?,
        kind: query.word("kind")?,
        authority: query.flag("authority")?,
    };
    Ok(listed(&query, call.front.store.connections(&filter, &page).await?, view))
}

/// The connection that a request names, if it is there for its caller.
pub(crate) async fn find<G>(call: &Call<G>) -> Result<Connection, Problem> {
    let key = ConnectionKey::parse(&call.id).map_err(|_| Problem::not_found())?;
    let found = call.front.store.connection(&key).await?;
    let seen = found.filter(|record| call.caller.sees(Some(&record.organization)));
    seen.ok_or_else(Problem::not_found)
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &SHOW)?;
    Ok(HttpResponse::Ok().json(view(&find(&call).await?)))
}
