//! How an answer is printed, and a wish is put together.

use serde_json::{Value, json};

use super::arguments::Part;
use super::client::{Client, Items};
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};

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
    let limit = if part.all { usize::MAX } else { usize::try_from(part.limit).unwrap_or(usize::MAX) };
    let Items { items, next_cursor } = client.list(&[path], query, limit, part.cursor.clone()).await?;
    if part.json.json {
        terminal.json(&json!({ "items": items, "next_cursor": next_cursor }))?;
        return Ok(Exit::Done);
    }
    if items.is_empty() && terminal.is_terminal {
        terminal.remark("nothing found")?;
        return Ok(Exit::Done);
    }
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
