//! Members: who they are, and who waits to be put out.

use serde_json::{Value, json};

use super::arguments::MembersCommand;
use super::ask::{list, query};
use super::client::{Client, Items};
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};

pub(super) async fn members(
    command: MembersCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match command {
        MembersCommand::List { organization, state, list: part } => {
            let columns: &[Column] = &[
                ("LOGIN", "login"),
                ("ORGANIZATION", "organization"),
                ("HOST", "host"),
                ("ROLE", "role"),
                ("STATE", "state"),
                ("SOURCE", "source"),
                ("CONFIRMED", "last_confirmed_at"),
                ("ID", "id"),
            ];
            let query = query([("organization", organization), ("state", state)]);
            list(client, terminal, "members", &query, &part, columns).await
        }
        MembersCommand::Held { organization, json } => {
            held(client, terminal, organization.map(String::from), json.json).await
        }
        MembersCommand::Approve { id } => {
            decide(client, terminal, &id, "approve", "they go with the next reading of the list").await
        }
        MembersCommand::Refuse { id } => {
            decide(client, terminal, &id, "refuse", "they stay until the hold expires").await
        }
    }
}

async fn held(
    client: &Client,
    terminal: &mut Terminal,
    organization: Option<String>,
    as_json: bool,
) -> Result<Exit, Failure> {
    let query = query([("organization", organization)]);
    let Items { items, next_cursor } = client.list(&["members", "held"], &query, usize::MAX, None).await?;
    if as_json {
        terminal.json(&json!({ "items": items, "next_cursor": next_cursor }))?;
        return Ok(Exit::Done);
    }
    if items.is_empty() {
        terminal.remark("nothing waits")?;
    }
    for hold in &items {
        let text = |key: &str| hold.get(key).and_then(Value::as_str).unwrap_or_default();
        let people = hold.get("people").and_then(Value::as_array).cloned().unwrap_or_default();
        let (id, count, members) = (text("id"), people.len(), hold.get("members").unwrap_or(&Value::Null));
        let (organization, cause, state) = (text("organization"), text("cause"), text("state"));
        terminal.line(&format!("{id}: {count} of {members} members of {organization}, {cause}, {state}"))?;
        terminal.rows(&[("LOGIN", "login"), ("NUMBER", "external_id"), ("ROLE", "role")], &people)?;
        terminal.remark(&format!(
            "until {}: scm-connect members approve {id}, or scm-connect members refuse {id}",
            text("expires_at")
        ))?;
    }
    Ok(Exit::Done)
}

async fn decide(
    client: &Client,
    terminal: &mut Terminal,
    id: &str,
    verb: &str,
    then: &str,
) -> Result<Exit, Failure> {
    let decided = client.post(&["members", "held", id, verb], &json!({})).await?;
    let count = decided.get("people").and_then(Value::as_array).map_or(0, Vec::len);
    terminal.remark(&format!("{count} people: {then}"))?;
    Ok(Exit::Done)
}
