//! Replays and discards: a person decides about deliveries again.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::query::Query;
use super::{Answer, LIMIT_MAX, delivery, parse};
use crate::domain::delivery::DeliveryState;
use crate::domain::{ConnectionKey, DeliveryId, SourceKey, Timestamp};
use crate::store::{DeliveryFilter, Page};
use crate::web::auth::{Admin, Call};
use crate::web::error::Problem;

/// Deliveries that one request may queue again.
const MATCHES_MAX: usize = 10_000;

pub(crate) async fn replay(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &[])?;
    let record = delivery::find(&call).await?;
    if call.front.store.replay(record.id, &call.caller.actor(), call.front.now()).await? {
        return Ok(HttpResponse::Accepted().json(json!({ "id": record.id.to_string(), "state": "queued" })));
    }
    let message = "the delivery's body is no longer kept, so it cannot be handled again";
    Err(Problem::new(StatusCode::CONFLICT, "body-expired", message))
}

pub(crate) async fn discard(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &[])?;
    let record = delivery::find(&call).await?;
    if call.front.store.discard(record.id, &call.caller.actor(), call.front.now()).await? {
        return Ok(HttpResponse::Ok().json(json!({ "id": record.id.to_string(), "state": "ignored" })));
    }
    Err(Problem::new(StatusCode::CONFLICT, "not-dead", "only a dead delivery can be discarded"))
}

/// Which deliveries; the organization is never named here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    source: Option<SourceKey>,
    connection: Option<ConnectionKey>,
    state: Option<DeliveryState>,
    event: Option<String>,
    reason: Option<String>,
    external_id: Option<String>,
    since: Option<String>,
    until: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Replayed {
    matched: usize,
    queued: usize,
    dry_run: bool,
    /// There are more; ask again.
    more: bool,
}

pub(crate) async fn replay_matching(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &["organization"])?;
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
