//! Replays and discards: a person decides about deliveries again.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, LIMIT_MAX, delivery, parse, task};
use crate::domain::change::Change;
use crate::domain::delivery::DeliveryState;
use crate::domain::organization::Forge;
use crate::domain::task::{TaskKind, Wish};
use crate::domain::{ConnectionKey, DeliveryId, SourceKey, Timestamp};
use crate::store::{DeliveryFilter, Page};
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Body, Operation, Shape, Slug};
use crate::web::error::Problem;

/// Deliveries that one request counts.
const MATCHES_MAX: usize = 10_000;
/// Letters of a word that is looked for; none of a forge's is as long.
const WORD_MAX: usize = 255;

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
    &[describe::json::<Replayed>(202, "The task that does it, or, of a dry run, how many match.")],
)
.help(
    "They are queued newest first, at most ten a second. The task keeps its place when the daemon ends, says how far it is, \
     and can be cancelled. Asked for again while it runs, the same filter is the same task.",
)
.parameters(&[describe::ORGANIZATION])
.body(Body::Json(Shape::of::<Wanted>()))
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
struct Wanted {
    /// The key of the source they came from.
    #[schema(value_type = Option<Slug>)]
    source: Option<SourceKey>,
    /// The key of the connection they are about.
    #[schema(value_type = Option<Slug>)]
    connection: Option<ConnectionKey>,
    provider: Option<Forge>,
    state: Option<DeliveryState>,
    /// The forge's name of the event.
    #[schema(max_length = 255)]
    event: Option<String>,
    /// The event's action.
    #[schema(max_length = 255)]
    action: Option<String>,
    /// Why they are ignored, waiting, superseded or dead.
    #[schema(max_length = 255)]
    reason: Option<String>,
    /// The forge's own delivery id.
    #[schema(max_length = 255)]
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

impl Wanted {
    fn filter(self) -> Result<DeliveryFilter, Problem> {
        let filter = DeliveryFilter {
            organization: None,
            source: self.source,
            connection: self.connection,
            provider: self.provider,
            state: self.state,
            event: word("event", self.event)?,
            action: word("action", self.action)?,
            reason: word("reason", self.reason)?,
            external_id: word("external_id", self.external_id)?,
            since: moment("since", self.since.as_deref())?,
            until: moment("until", self.until.as_deref())?,
            behind: None,
        };
        // An empty wish would mean everything there ever was; that has to be said.
        if (DeliveryFilter { until: None, ..filter.clone() }) == DeliveryFilter::default() {
            let message = "name at least one of source, connection, provider, state, event, action, reason, external_id or since";
            return Err(Problem::bad("filter-empty", message));
        }
        Ok(filter)
    }
}

fn word(name: &'static str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.chars().count() > WORD_MAX => {
            Err(Problem::bad("body-invalid", format!("{name} is longer than {WORD_MAX} letters")))
        }
        text => Ok(text),
    }
}

fn moment(name: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let wrong = || Problem::bad("body-invalid", format!("{name} is no RFC 3339 time"));
    text.map(|text| Timestamp::parse_rfc3339(text).ok_or_else(wrong)).transpose()
}

/// What comes of a wish for many.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Replayed {
    /// Somebody will do it.
    Task(Box<task::TaskView>),
    /// They were counted only.
    Counted(Counted),
}

/// How many deliveries a dry run is about.
#[derive(Serialize, ToSchema)]
struct Counted {
    /// How many match, at most 10,000.
    #[schema(examples(3))]
    matched: usize,
    /// How many of them are queued again: none, by a dry run.
    #[schema(examples(0))]
    queued: usize,
    /// Always.
    #[schema(examples(true))]
    dry_run: bool,
    /// More than 10,000 match.
    #[schema(examples(false))]
    more: bool,
}

pub(crate) async fn replay_matching(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &REPLAY_MATCHING)?;
    let organization = super::scope(&call, &query).await?;
    let wanted: Wanted = parse(&call.body)?;
    let (dry_run, now) = (wanted.dry_run, call.front.now());
    let filter = DeliveryFilter { organization, ..wanted.filter()? };
    let answer = if dry_run {
        // As the task would: what comes in meanwhile is not meant.
        let until = Some(filter.until.unwrap_or(now).min(now));
        Replayed::Counted(count(&call, &DeliveryFilter { until, ..filter }).await?)
    } else {
        Replayed::Task(Box::new(wish(&call, &filter, now).await?))
    };
    Ok(HttpResponse::build(StatusCode::ACCEPTED).json(answer))
}

async fn wish(
    call: &Call<Admin>,
    filter: &DeliveryFilter,
    now: Timestamp,
) -> Result<task::TaskView, Problem> {
    let wish = Wish {
        kind: TaskKind::ReplayDeliveries,
        organization: filter.organization.clone(),
        connection: None,
        subject: filter.to_subject(),
        by: call.caller.actor(),
        at: now,
        due_at: now,
    };
    let id = wish.id();
    call.front.store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await?;
    let wished = call.front.store.task(&id).await?.ok_or_else(Problem::busy)?;
    Ok(task::view(&wished))
}

async fn count(call: &Call<Admin>, filter: &DeliveryFilter) -> Result<Counted, Problem> {
    let (mut matched, mut cursor) = (0_usize, None);
    loop {
        let page = Page { limit: LIMIT_MAX, cursor };
        let paged = call.front.store.deliveries(filter, &page).await?;
        matched = matched.saturating_add(paged.items.len());
        cursor = paged.next;
        if cursor.is_none() || matched >= MATCHES_MAX {
            return Ok(Counted { matched, queued: 0, dry_run: true, more: cursor.is_some() });
        }
    }
}
