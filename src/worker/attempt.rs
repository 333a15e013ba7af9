//! One attempt at a delivery: read, route, look up, handle, settle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::bounds::{self, ERROR_BYTES_MAX, Stuck};
use super::inbox::{LEASE_MS, lock};
use super::schedule::{CRASHES_MAX, OVERTIME, STOPPED, Series};
use super::{Context, metric, patience};
use crate::domain::DeliveryId;
use crate::domain::change::{Changes, Reason, Verdict};
use crate::domain::event::Event;
use crate::domain::organization::{Connection, Source};
use crate::fault;
use crate::handler::{self, Routing};
use crate::provider::Unreadable;
use crate::store::{Claim, ConnectionFilter, Outcome, Page, Settled, StoreError};
use crate::telemetry::{Fault, report};

const HEARTBEAT: Duration = Duration::from_secs(10);
/// When the records change under an event so often, it is better tried later.
const HANDLED_MAX: u32 = 8;
/// Connections that are read at once.
const OWN_PAGE: usize = 200;
/// So many blameless deliveries are remembered while the store is away.
const EXCUSED_MAX: usize = 4_096;

/// Attempts that ended in nothing because the store was away: the delivery must not be taken for a poison message.
#[derive(Debug, Default)]
pub(super) struct Excused(Mutex<HashMap<DeliveryId, u32>>);

impl Excused {
    fn add(&self, id: DeliveryId) {
        let mut all = lock(&self.0);
        if all.len() < EXCUSED_MAX || all.contains_key(&id) {
            let count = all.entry(id).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn of(&self, id: DeliveryId) -> u32 {
        lock(&self.0).get(&id).copied().unwrap_or(0)
    }

    fn forget(&self, id: DeliveryId) {
        lock(&self.0).remove(&id);
    }
}

/// What one attempt has come to, and the word by which it is counted.
struct Ending {
    outcome: Outcome,
    word: &'static str,
    retried: Option<&'static str>,
}

/// How an attempt left the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Settled,
    LeaseLost,
}

/// Why no outcome could be decided.
enum Trouble {
    Store(StoreError),
    Stuck(Stuck),
    Unreadable(Unreadable),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Stuck> for Trouble {
    fn from(stuck: Stuck) -> Self {
        Self::Stuck(stuck)
    }
}

/// Makes the attempt. Whatever happens, the delivery is settled, or its lease runs out and it is tried again.
pub(super) async fn make(context: &Context, claim: Claim) {
    let (id, began) = (claim.record.id, Instant::now());
    let received_at = claim.record.received_at;
    match work(context, claim, began).await {
        Ok(Left::Settled) => context.excused.forget(id),
        Ok(Left::LeaseLost) => metric::attempt("lease_lost", began.elapsed().as_secs_f64()),
        Err(StoreError::Failed(why)) => context.fail(&why),
        Err(error) => {
            context.gate.shrink();
            context.excused.add(id);
            let error = bounds::cut(&error.to_string(), ERROR_BYTES_MAX);
            report!(Fault::AttemptLeft, %id, %received_at, error, "an attempt is left to its lease's end");
        }
    }
}

async fn work(context: &Context, mut claim: Claim, began: Instant) -> Result<Left, StoreError> {
    let series = series(context, &claim).await?;
    let mut event = None;
    for _ in 0..HANDLED_MAX {
        let ending = tokio::select! {
            biased;
            ending = decide(context, &claim, series, &mut event) => ending?,
            () = context.giving_back.cancelled() => given_back(context),
            lost = keep(context, &claim) => return lost,
        };
        match settle(context, claim, ending, began).await? {
            Settled::Done => return Ok(Left::Settled),
            Settled::LeaseLost => return Ok(Left::LeaseLost),
            Settled::Changed(again) => claim = *again,
        }
    }
    let error = "the records changed under it eight times in a row".to_owned();
    let ending = retry(context, series, "conflict", error);
    match settle(context, claim, ending, began).await? {
        Settled::Done => Ok(Left::Settled),
        Settled::LeaseLost | Settled::Changed(_) => Ok(Left::LeaseLost),
    }
}

/// The history is read only where there is one.
async fn series(context: &Context, claim: &Claim) -> Result<Series, StoreError> {
    let (id, excused) = (claim.record.id, context.excused.of(claim.record.id));
    let history = match claim.record.attempts {
        0 | 1 => Vec::new(),
        _ => match patience::ask(|| context.store.attempts(id)).await {
            // A damaged history must not keep a delivery from being worked on.
            Err(StoreError::Corrupt(_)) => Vec::new(),
            history => history?,
        },
    };
    Ok(Series::of(&history, &claim.record, excused, context.now()))
}

/// Extends the claim until it is lost.
async fn keep(context: &Context, claim: &Claim) -> Result<Left, StoreError> {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match context.store.extend_claim(claim, context.now().plus_ms(LEASE_MS)).await {
            Ok(true) => {}
            Ok(false) => return Ok(Left::LeaseLost),
            Err(StoreError::Failed(why)) => return Err(StoreError::Failed(why)),
            // The lease still runs; the next beat, or the end, will tell.
            Err(error) => tracing::debug!(%error, "a claim could not be extended"),
        }
    }
}

async fn decide(
    context: &Context,
    claim: &Claim,
    series: Series,
    event: &mut Option<Arc<Event>>,
) -> Result<Ending, StoreError> {
    if series.crashes >= CRASHES_MAX {
        let error = format!("{} attempts began and never ended", series.crashes);
        return Ok(park("crash_loop", error));
    }
    match judge(context, claim, event).await {
        Ok(changes) => Ok(apply(changes)),
        Err(Trouble::Unreadable(why)) => Ok(park("unreadable", why.to_string())),
        Err(Trouble::Stuck(Stuck::Panicked(text))) => {
            Ok(retry(context, series, "panic", format!("handler panicked: {text}")))
        }
        Err(Trouble::Stuck(Stuck::Overtime)) => Ok(retry(context, series, "overtime", OVERTIME.to_owned())),
        // A damaged record harms only the events that need it.
        Err(Trouble::Store(StoreError::Corrupt(why))) => {
            Ok(retry(context, series, "error", StoreError::Corrupt(why).to_string()))
        }
        Err(Trouble::Store(error)) => Err(error),
    }
}

/// What the delivery changes.
async fn judge(context: &Context, claim: &Claim, event: &mut Option<Arc<Event>>) -> Result<Changes, Trouble> {
    let store = &context.store;
    let key = claim.delivery.source();
    let source = patience::ask(|| store.source(key)).await?.filter(|source| !source.removed);
    let Some(source) = source else {
        return Ok(Changes::none(Verdict::Ignored(Reason::SourceRemoved)));
    };
    let event = match event {
        Some(event) => Arc::clone(event),
        None => Arc::clone(event.insert(read(context, &source, claim).await?)),
    };
    let candidates = patience::ask(|| store.candidates(&source.key, &source.host, &event.about)).await?;
    let holders = handler::holders(&source.host, &event.about, &candidates);
    let (route, now) = (context.rules.route, context.now());
    let (from, about) = (source.clone(), Arc::clone(&event));
    let routed = bounds::run(move || match route(&from, &about, &candidates, now) {
        Routing::To(connection) => Ok((connection, handler::lookup(&about), false)),
        Routing::New(connection) => Ok((connection, handler::lookup(&about), true)),
        Routing::End(changes) => Err(changes),
    });
    let (connection, lookup, is_made) = match routed.await? {
        Ok(routed) => routed,
        Err(changes) => return Ok(changes),
    };
    if is_made && let Some(ended) = handler::rejected(&event, &connection, &own(context, &connection).await?)
    {
        return Ok(ended);
    }
    let known = patience::ask(|| store.known(&source, &connection, &lookup)).await?;
    let Some(mut known) = known else {
        return Err(StoreError::Corrupt(format!("connection {} has no organization", connection.key)).into());
    };
    known.received_at = claim.record.received_at;
    known.replay_suspected = claim.record.replay_suspected;
    let handle = context.rules.handle;
    let is_new = known.connection.version == 0;
    let mut changes = bounds::run(move || handle(&event, &known)).await?;
    if is_new {
        changes.expects.extend(holders);
    }
    Ok(changes)
}

/// The organization's connections of the same kind.
async fn own(context: &Context, like: &Connection) -> Result<Vec<Connection>, StoreError> {
    let of = Some(like.organization.clone());
    let filter = ConnectionFilter { kind: Some(like.kind), ..ConnectionFilter::of(of) };
    let (mut own, mut page) = (Vec::new(), Page { limit: OWN_PAGE, cursor: None });
    loop {
        let paged = patience::ask(|| context.store.connections(&filter, &page)).await?;
        own.extend(paged.items);
        match paged.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(own),
        }
    }
}

async fn read(context: &Context, source: &Source, claim: &Claim) -> Result<Arc<Event>, Trouble> {
    let (read, forge, delivery) = (context.rules.read, source.forge, claim.delivery.clone());
    let read = move || {
        let _ = fault::point_for("attempt.before-read", &delivery.envelope().external_id);
        read(forge, &delivery)
    };
    bounds::run(read).await?.map(Arc::new).map_err(Trouble::Unreadable)
}

fn apply(changes: Changes) -> Ending {
    let word = match changes.verdict {
        Verdict::Done => "done",
        Verdict::Ignored(_) => "ignored",
        Verdict::Superseded(_) => "superseded",
        Verdict::Unbound => "waiting",
    };
    Ending { outcome: Outcome::Apply(changes), word, retried: None }
}

fn park(reason: &str, error: String) -> Ending {
    let error = bounds::cut(&error, ERROR_BYTES_MAX);
    Ending { outcome: Outcome::Park { reason: reason.to_owned(), error }, word: "dead", retried: None }
}

fn retry(context: &Context, series: Series, why: &'static str, error: String) -> Ending {
    let error = bounds::cut(&error, ERROR_BYTES_MAX);
    match series.next(context.now(), (context.chance)()) {
        Some(at) => Ending { outcome: Outcome::Retry { at, error }, word: "retry", retried: Some(why) },
        None => park("exhausted", error),
    }
}

fn given_back(context: &Context) -> Ending {
    let outcome = Outcome::Retry { at: context.now(), error: STOPPED.to_owned() };
    Ending { outcome, word: "retry", retried: Some("stopped") }
}

/// Ends the attempt, asking again while the store is away and the claim is still ours.
async fn settle(
    context: &Context,
    claim: Claim,
    ending: Ending,
    began: Instant,
) -> Result<Settled, StoreError> {
    let (id, received_at) = (claim.record.id, claim.record.received_at);
    let outcome = &ending.outcome;
    // An error has changed nothing, so the same fence may be shown again; the store refuses it once it is old.
    let call = || context.store.settle_delivery(copy(&claim), outcome.clone(), context.now());
    let settled = tokio::select! {
        biased;
        settled = patience::ask(call) => settled?,
        lost = keep(context, &claim) => { lost?; Settled::LeaseLost }
    };
    if matches!(settled, Settled::Done) {
        count(id, &ending, began, context.now().since(received_at));
    }
    Ok(settled)
}

fn copy(claim: &Claim) -> Claim {
    Claim {
        delivery: claim.delivery.clone(),
        record: claim.record.clone(),
        tries: claim.tries,
        fence: claim.fence,
    }
}

fn count(id: DeliveryId, ending: &Ending, began: Instant, age_ms: i64) {
    metric::attempt(ending.word, began.elapsed().as_secs_f64());
    if let Some(why) = ending.retried {
        metric::retry(why);
    }
    if let Outcome::Park { reason, .. } = &ending.outcome {
        report!(Fault::DeliveryDead, %id, reason, "a delivery is given up and kept");
        metric::dead(reason);
    }
    match ending.word {
        "superseded" => {
            metric::superseded();
            metric::rested(age_ms);
        }
        "done" | "ignored" | "dead" => metric::rested(age_ms),
        _ => {}
    }
}
