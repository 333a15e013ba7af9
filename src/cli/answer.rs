//! How an answer is printed, and a wish is put together.

use serde_json::{Value, json};

use super::arguments::Part;
use super::client::{Client, Items};
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};
use crate::config::Period;
use crate::domain::Timestamp;

/// A query of what was given.
pub(super) fn query<const N: usize>(
    pairs: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
}

/// Reads a list and prints it.
pub(super) async fn list(
    client: &Client,
    terminal: &mut Terminal,
    path: &str,
    query: &[(&'static str, String)],
    part: &Part,
    columns: &[Column],
) -> Result<Exit, Failure> {
    list_told(client, terminal, path, query, part, (columns, |_| {})).await
}

/// The same, where people are told something else than what a field says; programs get it as it is.
pub(super) async fn list_told(
    client: &Client,
    terminal: &mut Terminal,
    path: &str,
    query: &[(&'static str, String)],
    part: &Part,
    (columns, tell): (&[Column], fn(&mut Value)),
) -> Result<Exit, Failure> {
    let limit = if part.all { usize::MAX } else { usize::try_from(part.limit).unwrap_or(usize::MAX) };
    let Items { mut items, next_cursor } = client.list(&[path], query, limit, part.cursor.clone()).await?;
    if part.json.json {
        terminal.json(&json!({ "items": items, "next_cursor": next_cursor }))?;
        return Ok(Exit::Done);
    }
    if items.is_empty() && terminal.is_terminal {
        terminal.remark("nothing found")?;
        return Ok(Exit::Done);
    }
    items.iter_mut().for_each(tell);
    terminal.rows(columns, &items)?;
    if let Some(cursor) = next_cursor {
        terminal.remark(&format!("there are more: --cursor {cursor}, or --all"))?;
    }
    Ok(Exit::Done)
}

/// Prints one record.
pub(super) fn show(record: &Value, json: bool, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if json {
        terminal.json(record)?
    } else {
        terminal.record(record)?
    }
    Ok(Exit::Done)
}

/// Says in a sentence that it was done; a script gets the answer.
pub(super) fn tell(
    answer: &Value,
    json: bool,
    sentence: &str,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if json {
        terminal.json(answer)?
    } else {
        terminal.remark(sentence)?
    }
    Ok(Exit::Done)
}

/// Adds what was given.
pub(super) fn add(body: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let (Some(object), Some(value)) = (body.as_object_mut(), value) {
        object.insert(key.to_owned(), value.into());
    }
}

/// A moment as the API takes it, where one was typed: a time, or how long ago.
pub(super) fn moment(typed: Option<&str>, now: Timestamp) -> Result<Option<String>, Failure> {
    let Some(text) = typed else { return Ok(None) };
    let ago = || Period::parse(text).ok().map(|period| now.plus_ms(period.ms().saturating_neg()));
    let found = Timestamp::parse_rfc3339(text).or_else(ago);
    found.map(|at| Some(at.rfc3339())).ok_or_else(|| {
        Failure::usage(format!(
            "{text:?} is no time; use one such as 2026-01-31T08:00:00Z, or how long ago, such as 2h"
        ))
    })
}
