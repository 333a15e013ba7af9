//! Gaps: whiles from which deliveries were missing, and what has come of them; and looking for more.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, parse, task, time};
use crate::domain::change::Change;
use crate::domain::missed::{Cause, Gap};
use crate::domain::organization::{Connection, Forge, Source};
use crate::follow::{CaughtUp, NoPlan, forge_name, gaps, missed};
use crate::store::{ConnectionFilter, Page, Paged};
use crate::web::auth::{Admin, Call, Reader};
use crate::web::describe::{self, Body, Operation, Shape};
use crate::web::error::Problem;

/// A while from which deliveries were missing.
#[derive(Serialize, ToSchema)]
#[schema(as = Gap)]
struct GapView {
    /// The key of the source whose deliveries they were.
    #[schema(examples("our-app"))]
    source: String,
    provider: Forge,
    /// When it began, as far as that is known.
    #[schema(format = DateTime, examples("2026-01-31T14:02:00.000Z"))]
    from: String,
    /// When it ended.
    #[schema(format = DateTime, examples("2026-01-31T14:19:00.000Z"))]
    until: String,
    /// `not_listening`: nobody took deliveries here; `not_reached`: the forge did not get through.
    #[schema(examples("not_listening"))]
    cause: &'static str,
    /// Deliveries that did not arrive the first time.
    #[schema(examples(41))]
    missed: u64,
    /// Of these, those that are here by now.
    #[schema(examples(41))]
    recovered: u64,
    /// Of these, those that the forge does not bring any more.
    #[schema(examples(0))]
    lost: u64,
    /// Whether the forge keeps a log that was looked into. Without one, its lists are read instead.
    has_log: bool,
    /// Since when nothing of it is missing any more; null as long as it is looked for.
    #[schema(format = DateTime, examples("2026-01-31T14:24:00.000Z"))]
    closed_at: Option<String>,
    /// All of it in a sentence.
    #[schema(examples("not listening 2026-01-31 14:02–14:19; GitHub 41 missed, 41 recovered"))]
    sentence: String,
}

/// What is missing at one source.
#[derive(Serialize, ToSchema)]
#[schema(as = Missing)]
struct MissingView {
    /// The source's key.
    #[schema(examples("our-app"))]
    source: String,
    provider: Forge,
    /// The connection through which the forge was asked.
    #[schema(examples("acme-github"))]
    connection: String,
    /// Since when its log was looked through; null when there is none.
    #[schema(format = DateTime, examples("2026-01-31T14:02:00.000Z"))]
    since: Option<String>,
    /// Attempts in the log.
    listed: u64,
    /// Deliveries that are missing here and would be asked for.
    missing: u64,
    /// Deliveries that the forge does not bring any more.
    lost: u64,
    /// Whether the forge keeps a log that the credential may read.
    has_log: bool,
    /// Why nothing could be asked; null when it could.
    #[schema(examples("the forge allows no more requests until 2026-01-31T08:00:00.000Z"))]
    error: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = MissingList)]
struct MissingList {
    /// One for each source.
    items: Vec<MissingView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CatchUpTasks)]
struct TaskList {
    /// One for each source.
    items: Vec<task::TaskView>,
}

pub(crate) const LIST: Operation = Operation::list(
    "listGaps",
    "List whiles from which deliveries were missing",
    &[describe::page::<GapView>("The gaps of one page of sources, the newest of each first.")],
    &[describe::ORGANIZATION],
)
.help(
    "Forges are asked every five minutes what they sent in vain, and to send it once more. A source that serves several \
     organizations is shown to the operator alone.",
);
pub(crate) const CATCH_UP: Operation = Operation::new(
    "catchUp",
    "Look for deliveries that were missed",
    &[
        describe::json::<MissingList>(200, "What is missing; nothing was asked for."),
        describe::json::<TaskList>(202, "It will be done soon; the tasks say how it went."),
    ],
)
.parameters(&[describe::ORGANIZATION])
.body(Body::Json(Shape::of::<Wanted>()))
.codes(&["body-invalid"]);

/// What is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CatchUp)]
struct Wanted {
    /// Only show what is missing.
    dry_run: bool,
}

fn view((source, gap): &(Source, Gap)) -> GapView {
    GapView {
        source: source.key.to_string(),
        provider: source.forge,
        from: gap.from.rfc3339(),
        until: gap.until.rfc3339(),
        cause: match gap.cause {
            Cause::NotListening => "not_listening",
            Cause::NotReached => "not_reached",
        },
        missed: gap.missed,
        recovered: gap.recovered,
        lost: gap.lost,
        has_log: gap.has_log,
        closed_at: time(gap.closed_at),
        sentence: gap.sentence(forge_name(source.forge)),
    }
}

/// Whether all of a source is about what this caller sees.
fn is_whole<G>(call: &Call<G>, source: &Source) -> bool {
    source.organizations.iter().all(|slug| call.caller.sees(Some(slug)))
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let Page { limit, cursor } = query.page()?;
    let within = super::scope(&call, &query).await?;
    let store = &call.front.store;
    let mut sources = store.sources().await?;
    sources.retain(|source| {
        is_whole(&call, source) && within.as_ref().is_none_or(|slug| source.organizations.contains(slug))
    });
    sources.sort_by(|one, other| one.key.cmp(&other.key));
    let behind = |source: &Source| cursor.as_ref().is_none_or(|cursor| source.key.as_str() > cursor.as_str());
    let mut rest = sources.into_iter().filter(behind);
    let page: Vec<Source> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|source| source.key.to_string());
    let mut items = Vec::new();
    for source in page {
        let found = gaps(store.as_ref(), &source.key).await?;
        items.extend(found.into_iter().rev().map(|gap| (source.clone(), gap)));
    }
    Ok(listed(&query, Paged { items, next }, view))
}

fn missing(connection: &Connection, found: Result<CaughtUp, NoPlan>) -> Result<MissingView, Problem> {
    let (caught, error) = match found {
        Ok(caught) => (caught, None),
        Err(NoPlan::Store(error)) => return Err(error.into()),
        Err(error) => (CaughtUp::default(), Some(error.to_string())),
    };
    Ok(MissingView {
        source: connection.source.to_string(),
        provider: connection.kind.forge(),
        connection: connection.key.to_string(),
        since: time(caught.since),
        listed: caught.listed,
        missing: caught.missing,
        lost: caught.lost,
        has_log: caught.has_log,
        error,
    })
}

/// Connections through which a source's forge can be asked, the first of each source.
async fn askable(call: &Call<Admin>, query: &Query) -> Result<Vec<Connection>, Problem> {
    let filter = ConnectionFilter::of(super::scope(call, query).await?);
    let (mut seen, mut found, mut cursor) = (BTreeSet::new(), Vec::new(), None);
    loop {
        let page = Page { limit: super::LIMIT_MAX, cursor };
        let paged = call.front.store.connections(&filter, &page).await?;
        for connection in paged.items.into_iter().filter(|it| !it.is_off() && it.credential != "none") {
            if !seen.insert(connection.source.clone()) {
                continue;
            }
            let source = call.front.store.source(&connection.source).await?;
            if source.is_some_and(|source| is_whole(call, &source)) {
                found.push(connection);
            }
        }
        cursor = paged.next;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

pub(crate) async fn catch_up(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &CATCH_UP)?;
    let wanted: Wanted = parse(&call.body)?;
    let connections = askable(&call, &query).await?;
    if wanted.dry_run {
        let mut items = Vec::new();
        for connection in &connections {
            items.push(missing(connection, call.front.members.missed(connection).await)?);
        }
        return Ok(HttpResponse::Ok().json(MissingList { items }));
    }
    let mut items = Vec::new();
    for connection in &connections {
        let wish = missed(connection, &call.caller.actor(), call.front.now());
        let id = wish.id();
        call.front.store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await?;
        items.extend(call.front.store.task(&id).await?.as_ref().map(task::view));
    }
    Ok(HttpResponse::Accepted().json(TaskList { items }))
}
