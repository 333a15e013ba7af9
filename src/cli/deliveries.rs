//! The commands about deliveries.

use serde_json::{Value, json};

use super::answer::{add, list, query, show, tell};
use super::arguments::{DeadLetters, DeadLettersCommand, DeliveriesCommand, DeliveryChoice};
use super::client::Client;
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};
use crate::config::Period;
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
        DeliveriesCommand::Replay { choice, state, dry_run, json, .. } => {
            if choice.is_everything() && state.is_none() {
                return Err(Failure::usage(
                    "say which deliveries: an id, or options such as --source and --since",
                ));
            }
            replay_many(filter(choice, state, now)?, dry_run, json.json, client, terminal).await
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
        DeadLettersCommand::Replay(DeadLetters { id: Some(id), dry_run, json, .. }) => {
            replay_one(&id, dry_run, json.json, client, terminal).await
        }
        DeadLettersCommand::Replay(many) => {
            let filter = filter(chosen(&many)?, dead, now)?;
            replay_many(filter, many.dry_run, many.json.json, client, terminal).await
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
    let time = |text: Option<String>| text.map(|text| moment(&text, now)).transpose();
    Ok(query([
        ("organization", choice.organization.map(String::from)),
        ("source", choice.source.map(String::from)),
        ("connection", choice.connection),
        ("state", state.map(|state| state.as_str().to_owned())),
        ("event", choice.event),
        ("reason", choice.reason),
        ("since", time(choice.since)?),
        ("until", time(choice.until)?),
    ]))
}

/// A moment: a time, or how long ago.
fn moment(text: &str, now: Timestamp) -> Result<String, Failure> {
    let ago = || Period::parse(text).ok().map(|period| now.plus_ms(period.ms().saturating_neg()));
    let found = Timestamp::parse_rfc3339(text).or_else(ago);
    found.map(Timestamp::rfc3339).ok_or_else(|| {
        Failure::usage(format!(
            "{text:?} is no time; use one such as 2026-01-31T08:00:00Z, or how long ago, such as 2h"
        ))
    })
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

/// The daemon answers how many matched, and how many of them it has queued.
async fn replay_many(
    filter: Vec<(&'static str, String)>,
    dry_run: bool,
    json: bool,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let (organization, filter): (Vec<_>, Vec<_>) =
        filter.into_iter().partition(|(key, _)| *key == "organization");
    let organization = organization.first().map(|(_, slug)| slug.as_str());
    let mut wish = json!({ "dry_run": dry_run });
    filter.into_iter().for_each(|(key, value)| add(&mut wish, key, Some(value)));
    let answer = client.post_within(organization, &["deliveries", "replay"], &wish).await?;
    if json {
        terminal.json(&answer)?;
    } else {
        let key = if dry_run { "matched" } else { "queued" };
        let count = answer.get(key).and_then(Value::as_u64);
        let count = count.ok_or_else(|| Failure::failed("the daemon did not say how many"))?;
        let word = if dry_run { "would be" } else { "are" };
        terminal.line(&format!("{count} deliveries {word} queued again"))?;
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
