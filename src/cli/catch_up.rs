//! Deliveries that were missed: looked for, and the gaps by name.

use serde_json::{Value, json};

use super::answer::query;
use super::arguments::CatchUp;
use super::client::{Client, Items};
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};

/// Looks, or shows what is known.
pub(super) async fn catch_up(
    what: CatchUp,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let CatchUp { organization, dry_run, gaps, json: as_json } = what;
    let organization = organization.map(String::from);
    if gaps {
        return known(organization, as_json.json, client, terminal).await;
    }
    let body = json!({ "dry_run": dry_run });
    let told = client.post_within(organization.as_deref(), &["catch-up"], &body).await?;
    if as_json.json {
        terminal.json(&told)?;
        return Ok(Exit::Done);
    }
    let items = told.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    if items.is_empty() {
        terminal.remark("no connection has a credential with which a forge could be asked")?;
        return Ok(Exit::Done);
    }
    let columns: &[Column] = match dry_run {
        true => &[
            ("SOURCE", "source"),
            ("PROVIDER", "provider"),
            ("SINCE", "since"),
            ("LISTED", "listed"),
            ("MISSING", "missing"),
            ("LOST", "lost"),
            ("ERROR", "error"),
        ],
        false => &[("TASK", "id"), ("SOURCE", "subject"), ("CONNECTION", "connection"), ("STATE", "state")],
    };
    terminal.rows(columns, &items)?;
    let sentence = match dry_run {
        true => "nothing was asked for: without --dry-run, what is missing is",
        false => "it will be done soon; scm-connect catch-up --gaps shows what came of it",
    };
    terminal.remark(sentence)?;
    Ok(Exit::Done)
}

async fn known(
    organization: Option<String>,
    as_json: bool,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let query = query([("organization", organization)]);
    let Items { items, next_cursor } = client.list(&["gaps"], &query, usize::MAX, None).await?;
    if as_json {
        terminal.json(&json!({ "items": items, "next_cursor": next_cursor }))?;
        return Ok(Exit::Done);
    }
    if items.is_empty() {
        terminal.remark("no gap is known")?;
        return Ok(Exit::Done);
    }
    for gap in &items {
        let text = |key: &str| gap.get(key).and_then(Value::as_str).unwrap_or_default();
        let open = if text("closed_at").is_empty() { "; still looked for" } else { "" };
        terminal.line(&format!("{}: {}{open}", text("source"), text("sentence")))?;
    }
    Ok(Exit::Done)
}
