//! Deliveries: the list, and one with its attempts and, for admins, its headers and body.

use actix_web::HttpResponse;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::query::Query;
use super::redact::{self, Shown};
use super::{Answer, listed, time};
use crate::domain::DeliveryId;
use crate::domain::delivery::{Attempt, Delivery, DeliveryRecord, DeliveryState};
use crate::domain::organization::Forge;
use crate::store::DeliveryFilter;
use crate::web::auth::{Call, Caller, Reader};
use crate::web::describe::{self, Operation, Parameter};
use crate::web::error::Problem;
use crate::web::refused::harmless;

pub(crate) const LIST: Operation = Operation::list(
    "listDeliveries",
    "List deliveries, newest first",
    &[describe::page::<DeliveryView>("One page of deliveries.")],
    &[
        describe::ORGANIZATION,
        Parameter::slug("source", "The key of the source it came from."),
        Parameter::slug("connection", "The key of the connection it is about."),
        Parameter::word::<Forge>("provider", "The family of the forge that sent it."),
        Parameter::word::<DeliveryState>("state", "Where it stands."),
        Parameter::text("event", "The forge's name of the event.", "push"),
        Parameter::text("action", "The event's action.", "opened"),
        Parameter::text("reason", "Why it is ignored, waiting, superseded or dead.", "unreadable"),
        Parameter::text(
            "external_id",
            "The forge's own delivery id.",
            "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        ),
        Parameter::time("since", "Received then or later."),
        Parameter::time("until", "Received before."),
    ],
);
pub(crate) const SHOW: Operation = Operation::new(
    "showDelivery",
    "Show a delivery with its attempts",
    &[describe::json::<DetailView>(200, "The delivery.")],
)
.help("Headers and body are shown to admins only; secrets and e-mail addresses in them are hidden.");

/// One request of a forge.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryView {
    /// Our id.
    #[schema(format = "uuid", examples("0197a3b0-4c9e-7e2a-9d3c-5a1b2c3d4e5f"))]
    id: String,
    /// The key of the source it came from.
    #[schema(examples("acme-github"))]
    source: String,
    /// Whose it turned out to be; null as long as nobody's.
    #[schema(examples("acme"))]
    organization: Option<String>,
    /// The key of the connection it is about.
    #[schema(examples("acme-github"))]
    connection: Option<String>,
    #[schema(value_type = Forge)]
    provider: String,
    /// The forge's name of the event.
    #[schema(examples("pull_request"))]
    event: String,
    /// The event's action, where it has one.
    #[schema(examples("opened"))]
    action: Option<String>,
    /// The forge's own delivery id.
    #[schema(examples("72d3162e-cc78-11e3-81ab-4c9367dc0958"))]
    external_id: String,
    /// When it reached us.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    received_at: String,
    state: DeliveryState,
    /// How often a worker has begun with it.
    #[schema(examples(1))]
    attempts: u32,
    /// How many copies came after the first.
    #[schema(examples(0))]
    duplicates: u32,
    /// What the last attempt met, at most 1 KiB.
    last_error: Option<String>,
    /// Why it is ignored, waiting, superseded or dead: a stable word.
    #[schema(examples("no-authority"))]
    reason: Option<String>,
    /// The same body came before under another id.
    replay_suspected: bool,
    /// Size of the raw body, in bytes.
    #[schema(examples(7423))]
    body_bytes: u64,
    /// Which of the source's secrets proved it, counted from 0.
    #[schema(examples(0))]
    secret_slot: u8,
    /// When it came to rest.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    finished_at: Option<String>,
    /// When it will be tried next.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    due_at: Option<String>,
}

fn view(record: &DeliveryRecord) -> DeliveryView {
    DeliveryView {
        id: record.id.to_string(),
        source: record.source.to_string(),
        organization: record.organization.as_ref().map(ToString::to_string),
        connection: record.connection.as_ref().map(ToString::to_string),
        provider: record.provider.clone(),
        event: record.event.clone(),
        action: record.action.clone(),
        external_id: record.external_id.clone(),
        received_at: record.received_at.rfc3339(),
        state: record.state,
        attempts: record.attempts,
        duplicates: record.duplicates,
        last_error: record.last_error.clone(),
        reason: record.reason.clone(),
        replay_suspected: record.replay_suspected,
        body_bytes: record.body_bytes,
        secret_slot: record.secret_slot,
        finished_at: time(record.finished_at),
        due_at: time(record.due_at),
    }
}

/// A delivery with everything that is known of it.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryDetail)]
struct DetailView {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// Every attempt, first to last.
    history: Vec<AttemptView>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentView>,
}

/// One try at a delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    /// Counted from 1.
    #[schema(examples(1))]
    number: u32,
    /// When a worker took it.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    started_at: String,
    /// How long it took, in milliseconds; null while it runs or when the process died in it.
    #[schema(examples(3))]
    took_ms: Option<u64>,
    led_to: Option<DeliveryState>,
    /// What went wrong, at most 1 KiB.
    error: Option<String>,
}

/// What was sent; for admins and the operator.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryContent)]
struct ContentView {
    /// Names and values, repeats kept; those that prove or authorize are not kept at all.
    headers: Vec<(String, String)>,
    /// The document, secrets and e-mail addresses hidden.
    #[schema(value_type = Option<Object>)]
    body: Option<Value>,
    /// The bytes, where they are no document; for the operator alone.
    body_base64: Option<String>,
    /// Why there is no body here: `expired`, `too-large` or `unreadable`.
    #[schema(examples("expired"))]
    body_omitted: Option<&'static str>,
}

fn attempt(record: &Attempt) -> AttemptView {
    AttemptView {
        number: record.number,
        started_at: record.started_at.rfc3339(),
        took_ms: record.took_ms,
        led_to: record.led_to,
        error: record.error.clone(),
    }
}

/// The filter of a list, from its parameters.
pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let filter = DeliveryFilter {
        organization: super::scope(&call, &query).await?,
        source: query.word("source")?,
        connection: query.word("connection")?,
        provider: query.word("provider")?,
        state: query.word("state")?,
        event: query.owned("event"),
        action: query.owned("action"),
        reason: query.owned("reason"),
        external_id: query.owned("external_id"),
        since: query.time("since")?,
        until: query.time("until")?,
        behind: None,
    };
    Ok(listed(&query, call.front.store.deliveries(&filter, &page).await?, view))
}

/// The delivery that a request names, if it is there for its caller.
pub(crate) async fn find<G>(call: &Call<G>) -> Result<DeliveryRecord, Problem> {
    let id = DeliveryId::parse(&call.id).ok_or_else(Problem::not_found)?;
    let found = call.front.store.delivery(id).await?;
    let seen = found.filter(|record| call.caller.sees(record.organization.as_ref()));
    seen.ok_or_else(Problem::not_found)
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &SHOW)?;
    let record = find(&call).await?;
    let history = call.front.store.attempts(record.id).await?.iter().map(attempt).collect();
    let content = if call.caller.is_admin() { Some(content(&call, record.id).await?) } else { None };
    Ok(HttpResponse::Ok().json(DetailView { delivery: view(&record), history, content }))
}

async fn content(call: &Call<Reader>, id: DeliveryId) -> Result<ContentView, Problem> {
    let Some(delivery) = call.front.store.delivery_body(id).await? else {
        let (body, body_base64, body_omitted) = (None, None, Some("expired"));
        return Ok(ContentView { headers: Vec::new(), body, body_base64, body_omitted });
    };
    let headers = headers(&delivery);
    let (bytes, encoding) = (delivery.body().clone(), delivery.envelope().encoding);
    let operator = call.caller == Caller::Operator;
    let work = actix_web::web::block(move || redact::body(&bytes, encoding, operator)).await;
    let (body, body_base64, body_omitted) = match work.unwrap_or(Shown::Omitted("unreadable")) {
        Shown::Json(document) => (Some(document), None, None),
        Shown::Opaque(text) => (None, Some(text), None),
        Shown::Omitted(why) => (None, None, Some(why)),
    };
    Ok(ContentView { headers, body, body_base64, body_omitted })
}

fn headers(delivery: &Delivery) -> Vec<(String, String)> {
    let pair = |(name, value): &(String, Bytes)| (name.clone(), harmless(&String::from_utf8_lossy(value)));
    delivery.headers().iter().map(pair).collect()
}
