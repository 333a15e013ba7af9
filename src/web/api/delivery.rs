//! Deliveries: the list, and one with its attempts and, for admins, its headers and body.

use actix_web::HttpResponse;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::query::Query;
use super::redact::{self, Shown};
use super::{Answer, listed, time, word};
use crate::domain::DeliveryId;
use crate::domain::delivery::{Attempt, Delivery, DeliveryRecord};
use crate::store::DeliveryFilter;
use crate::web::auth::{Call, Caller, Reader};
use crate::web::error::Problem;
use crate::web::refused::harmless;

const FILTERS: [&str; 9] =
    ["organization", "source", "connection", "state", "event", "reason", "external_id", "since", "until"];

#[derive(Serialize)]
struct DeliveryView {
    id: String,
    source: String,
    organization: Option<String>,
    connection: Option<String>,
    provider: String,
    event: String,
    action: Option<String>,
    external_id: String,
    received_at: String,
    state: &'static str,
    attempts: u32,
    duplicates: u32,
    last_error: Option<String>,
    reason: Option<String>,
    replay_suspected: bool,
    body_bytes: u64,
    secret_slot: u8,
    finished_at: Option<String>,
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
        state: record.state.as_str(),
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

#[derive(Serialize)]
struct DetailView {
    #[serde(flatten)]
    delivery: DeliveryView,
    history: Vec<AttemptView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentView>,
}

#[derive(Serialize)]
struct AttemptView {
    number: u32,
    started_at: String,
    took_ms: Option<u64>,
    led_to: Value,
    error: Option<String>,
}

/// For admins and the operator.
#[derive(Serialize)]
struct ContentView {
    headers: Vec<(String, String)>,
    body: Option<Value>,
    body_base64: Option<String>,
    body_omitted: Option<&'static str>,
}

fn attempt(record: &Attempt) -> AttemptView {
    AttemptView {
        number: record.number,
        started_at: record.started_at.rfc3339(),
        took_ms: record.took_ms,
        led_to: word(record.led_to),
        error: record.error.clone(),
    }
}

/// The filter of a list, from its parameters.
pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of_list(&call.query, &FILTERS)?;
    let page = query.page()?;
    let filter = DeliveryFilter {
        organization: super::scope(&call, &query).await?,
        source: query.word("source")?,
        connection: query.word("connection")?,
        state: query.word("state")?,
        event: query.owned("event"),
        reason: query.owned("reason"),
        external_id: query.owned("external_id"),
        since: query.time("since")?,
        until: query.time("until")?,
    };
    Ok(listed(call.front.store.deliveries(&filter, &page).await?, view))
}

/// The delivery that a request names, if it is there for its caller.
pub(crate) async fn find<G>(call: &Call<G>) -> Result<DeliveryRecord, Problem> {
    let id = DeliveryId::parse(&call.id).ok_or_else(Problem::not_found)?;
    let found = call.front.store.delivery(id).await?;
    let seen = found.filter(|record| call.caller.sees(record.organization.as_ref()));
    seen.ok_or_else(Problem::not_found)
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &[])?;
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
