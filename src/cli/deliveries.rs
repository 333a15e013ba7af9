//! The commands about deliveries.

use serde_json::{Value, json};

use super::answer::{add, list, moment, query, show, tell};
use super::arguments::{DeadLetters, DeadLettersCommand, DeliveriesCommand, DeliveryChoice};
use super::client::Client;
use super::exit::{Exit, Failure};
use super::task;
use super::terminal::{Column, Terminal};
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("RECEIVED", "received_at"),
    ("SOURCE", "source"),
    ("EVENT", "event"),
    ("ACTION", "action"),
    ("STATE", "state"),
    ("ATTEMPTS", "attempts"),
    ("REASON", "reason"),
];

pub(super) async fn deliveries(
    command: DeliveriesCommand,
    client: &Client,
    terminal: &mut Terminal,
    now: Timestamp,
) -> Result<Exit, Failure> {
    match command {
        DeliveriesCommand::List { choice, state, external_id, list: part } => {
            let mut filter = filter(choice, state, now)?;
            filter.extend(external_id.map(|id| ("external_id", id)));
            list(client, terminal, "deliveries", &filter, &part, COLUMNS).await
        }
        DeliveriesCommand::Show { id, json } => {
            show(&client.get(&["deliveries", &id], &[]).await?, json.json, terminal)
        }
        DeliveriesCommand::Replay { id: Some(id), dry_run, json, .. } => {
            replay_one(&id, dry_run, json.json, client, terminal).await
        }
        DeliveriesCommand::Replay { choice, state, dry_run, no_wait, json, .. } => {
            if choice.is_everything() && state.is_none() {
                return Err(Failure::usage(
                    "say which deliveries: an id, or options such as --source and --since",
                ));
            }
            let how = How::of(dry_run, no_wait);
            replay_many(filter(choice, state, now)?, how, json.json, client, terminal).await
        }
    }
}

pub(super) async fn dead_letters(
    command: DeadLettersCommand,
    client: &Client,
    terminal: &mut Terminal,
    now: Timestamp,
) -> Result<Exit, Failure> {
    let dead = Some(DeliveryState::Dead);
    match command {
        DeadLettersCommand::List { choice, list: part } => {
            let columns: Vec<Column> = COLUMNS
                .iter()
                .copied()
                .filter(|(title, _)| *title != "STATE")
                .chain([("ERROR", "last_error")])
                .collect();
            list(client, terminal, "deliveries", &filter(choice, dead, now)?, &part, &columns).await
        }
        DeadLettersCommand::Replay { which: DeadLetters { id: Some(id), dry_run, json, .. }, .. } => {
            replay_one(&id, dry_run, json.json, client, terminal).await
        }
        DeadLettersCommand::Replay { which: many, no_wait } => {
            let filter = filter(chosen(&many)?, dead, now)?;
            let how = How::of(many.dry_run, no_wait);
            replay_many(filter, how, many.json.json, client, terminal).await
        }
        DeadLettersCommand::Discard(DeadLetters { id: Some(id), dry_run, json, .. }) => {
            discard(vec![id], dry_run, json.json, client, terminal).await
        }
        DeadLettersCommand::Discard(many) => {
            let filter = filter(chosen(&many)?, dead, now)?;
            let found = client.list(&["deliveries"], &filter, usize::MAX, None).await?.items;
            let ids = found.iter().filter_map(|it| it.get("id")?.as_str().map(str::to_owned));
            discard(ids.collect(), many.dry_run, many.json.json, client, terminal).await
        }
    }
}

/// "All" has to be said, so that a forgotten option does not mean it.
fn chosen(many: &DeadLetters) -> Result<DeliveryChoice, Failure> {
    if many.choice.is_everything() && !many.all {
        return Err(Failure::usage("say which ones: an id, options such as --reason, or --all"));
    }
    Ok(many.choice.clone())
}

/// The filter as the API takes it; times as RFC 3339.
fn filter(
    choice: DeliveryChoice,
    state: Option<DeliveryState>,
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let time = |text: Option<String>| moment(text.as_deref(), now);
    Ok(query([
        ("organization", choice.organization.map(String::from)),
        ("source", choice.source.map(String::from)),
        ("connection", choice.connection),
        ("provider", choice.provider),
        ("state", state.map(|state| state.as_str().to_owned())),
        ("event", choice.event),
        ("action", choice.action),
        ("reason", choice.reason),
        ("since", time(choice.since)?),
        ("until", time(choice.until)?),
    ]))
}

async fn replay_one(
    id: &str,
    dry_run: bool,
    json: bool,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let answer = if dry_run {
        client.get(&["deliveries", id], &[]).await?
    } else {
        client.post(&["deliveries", id, "replay"], &json!({})).await?
    };
    let word = if dry_run { "would be" } else { "is" };
    tell(&answer, json, &format!("delivery {id} {word} queued again"), terminal)
}

/// How many deliveries are replayed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// They are counted only.
    DryRun,
    /// It is asked for.
    Asked,
    /// It is asked for, and its end is waited for.
    Followed,
}

impl How {
    const fn of(dry_run: bool, no_wait: bool) -> Self {
        match (dry_run, no_wait) {
            (true, _) => Self::DryRun,
            (false, true) => Self::Asked,
            (false, false) => Self::Followed,
        }
    }
}

/// The daemon answers with the task that does it, or how many match.
async fn replay_many(
    filter: Vec<(&'static str, String)>,
    how: How,
    json: bool,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let (organization, filter): (Vec<_>, Vec<_>) =
        filter.into_iter().partition(|(key, _)| *key == "organization");
    let organization = organization.first().map(|(_, slug)| slug.as_str());
    let mut wish = json!({ "dry_run": how == How::DryRun });
    filter.into_iter().for_each(|(key, value)| add(&mut wish, key, Some(value)));
    let answer = client.post_within(organization, &["deliveries", "replay"], &wish).await?;
    match how {
        How::Followed if !client.is_idle() => return task::follow(answer, json, client, terminal).await,
        _ if json => terminal.json(&answer)?,
        How::DryRun => {
            let count = answer.get("matched").and_then(Value::as_u64);
            let count = count.ok_or_else(|| Failure::failed("the daemon did not say how many"))?;
            let more = if answer.get("more") == Some(&Value::Bool(true)) { "more than " } else { "" };
            terminal.line(&format!("{more}{count} deliveries would be queued again"))?;
        }
        How::Asked | How::Followed => {
            terminal.line(answer.get("id").and_then(Value::as_str).unwrap_or_default())?;
            let when = if client.is_idle() { "once the daemon runs" } else { "from now on" };
            terminal.remark(&format!(
                "they are queued again {when}; `tasks show` with this id says how far it is"
            ))?;
        }
    }
    Ok(Exit::Done)
}

/// One request for each: whoever discards has looked at each, and the audit log says so.
async fn discard(
    ids: Vec<String>,
    dry_run: bool,
    json: bool,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    for id in ids.iter().filter(|_| !dry_run) {
        client.post(&["deliveries", id, "discard"], &json!({})).await?;
    }
    if json {
        terminal.json(&json!({ "count": ids.len(), "dry_run": dry_run }))?;
    } else {
        let word = if dry_run { "would be" } else { "are" };
        terminal.line(&format!("{} deliveries {word} discarded", ids.len()))?;
    }
    Ok(Exit::Done)
}
