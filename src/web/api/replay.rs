//! Replays and discards: a person decides about deliveries again.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, LIMIT_MAX, delivery, parse};
use crate::domain::delivery::DeliveryState;
use crate::domain::{ConnectionKey, DeliveryId, SourceKey, Timestamp};
use crate::store::{DeliveryFilter, Page};
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Body, Operation, Shape, Slug};
use crate::web::error::Problem;

/// Deliveries that one request may queue again.
const MATCHES_MAX: usize = 10_000;

/// What became of one delivery.
#[derive(Serialize, ToSchema)]
struct Decided {
    /// The delivery's id.
    #[schema(format = "uuid")]
    id: String,
    state: DeliveryState,
}

pub(crate) const REPLAY: Operation = Operation::new(
    "replayDelivery",
    "Handle a delivery again",
    &[describe::json::<Decided>(202, "It is queued.")],
)
.codes(&["body-expired"]);
pub(crate) const DISCARD: Operation = Operation::new(
    "discardDelivery",
    "Let a dead delivery go",
    &[describe::json::<Decided>(200, "It is ignored from now on.")],
)
.codes(&["not-dead"]);
pub(crate) const REPLAY_MATCHING: Operation = Operation::new(
    "replayDeliveries",
    "Handle all deliveries again that match",
    &[describe::json::<Replayed>(202, "They are queued, or counted.")],
)
.parameters(&[describe::ORGANIZATION])
.body(Body::Json(Shape::of::<Wish>()))
.codes(&["filter-empty"]);

pub(crate) async fn replay(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &REPLAY)?;
    let record = delivery::find(&call).await?;
    if call.front.store.replay(record.id, &call.caller.actor(), call.front.now()).await? {
        return Ok(HttpResponse::Accepted().json(decided(record.id, DeliveryState::Queued)));
    }
    let message = "the delivery's body is no longer kept, so it cannot be handled again";
    Err(Problem::new(StatusCode::CONFLICT, "body-expired", message))
}

pub(crate) async fn discard(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &DISCARD)?;
    let record = delivery::find(&call).await?;
    if call.front.store.discard(record.id, &call.caller.actor(), call.front.now()).await? {
        return Ok(HttpResponse::Ok().json(decided(record.id, DeliveryState::Ignored)));
    }
    Err(Problem::new(StatusCode::CONFLICT, "not-dead", "only a dead delivery can be discarded"))
}

fn decided(id: DeliveryId, state: DeliveryState) -> Decided {
    Decided { id: id.to_string(), state }
}

/// Which deliveries; all conditions hold at once, and at least one is named. The organization is never named here.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReplayWish, example = json!({ "state": "dead", "dry_run": true }))]
struct Wish {
    /// The key of the source they came from.
    #[schema(value_type = Option<Slug>)]
    source: Option<SourceKey>,
    /// The key of the connection they are about.
    #[schema(value_type = Option<Slug>)]
    connection: Option<ConnectionKey>,
    state: Option<DeliveryState>,
    /// The forge's name of the event.
    event: Option<String>,
    /// Why they are ignored, waiting, superseded or dead.
    reason: Option<String>,
    /// The forge's own delivery id.
    external_id: Option<String>,
    /// Received then or later.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Received before.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Count them only.
    #[serde(default)]
    dry_run: bool,
}

/// How many deliveries it was about.
#[derive(Serialize, ToSchema)]
struct Replayed {
    /// How many match, at most 10,000 in one request.
    #[schema(examples(3))]
    matched: usize,
    /// How many of them are queued again; the bytes of the others are no longer kept.
    #[schema(examples(0))]
    queued: usize,
    /// Whether they were counted only.
    #[schema(examples(true))]
    dry_run: bool,
    /// There are more; ask again.
    #[schema(examples(false))]
    more: bool,
}

pub(crate) async fn replay_matching(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &REPLAY_MATCHING)?;
    let organization = super::scope(&call, &query).await?;
    let wish: Wish = parse(&call.body)?;
    let now = call.front.now();
    let filter = DeliveryFilter {
        organization,
        since: moment("since", wish.since.as_deref())?,
        // What comes in while this runs is not meant.
        until: Some(moment("until", wish.until.as_deref())?.unwrap_or(now).min(now)),
        source: wish.source,
        connection: wish.connection,
        state: wish.state,
        event: wish.event,
        reason: wish.reason,
        external_id: wish.external_id,
    };
    check_narrow(&filter)?;
    let (matches, more) = collect(&call, &filter).await?;
    let mut queued = 0_usize;
    if !wish.dry_run {
        for id in &matches {
            let done = call.front.store.replay(*id, &call.caller.actor(), call.front.now()).await?;
            queued = queued.saturating_add(usize::from(done));
        }
    }
    let answer = Replayed { matched: matches.len(), queued, dry_run: wish.dry_run, more };
    Ok(HttpResponse::build(StatusCode::ACCEPTED).json(answer))
}

fn moment(name: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let wrong = || Problem::bad("body-invalid", format!("{name} is no RFC 3339 time"));
    text.map(|text| Timestamp::parse_rfc3339(text).ok_or_else(wrong)).transpose()
}

/// An empty wish would mean everything there ever was; that has to be said.
fn check_narrow(filter: &DeliveryFilter) -> Result<(), Problem> {
    let bounds = DeliveryFilter { organization: None, until: None, ..filter.clone() };
    if bounds == DeliveryFilter::default() {
        let message = "name at least one of source, connection, state, event, reason, external_id or since";
        return Err(Problem::bad("filter-empty", message));
    }
    Ok(())
}

/// All matches first: replaying changes the very states that are looked for.
async fn collect(call: &Call<Admin>, filter: &DeliveryFilter) -> Result<(Vec<DeliveryId>, bool), Problem> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = Page { limit: LIMIT_MAX, cursor };
        let paged = call.front.store.deliveries(filter, &page).await?;
        found.extend(paged.items.iter().map(|record| record.id));
        cursor = paged.next;
        if cursor.is_none() || found.len() >= MATCHES_MAX {
            return Ok((found, cursor.is_some()));
        }
    }
}
