//! Members: who they are, and who waits to be put out.

use serde_json::{Value, json};

use super::answer::{add, list, query};
use super::arguments::MembersCommand;
use super::client::{Client, Items};
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};
use crate::domain::roster::RoleMap;

pub(super) async fn members(
    command: MembersCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match command {
        MembersCommand::List { choice, list: part } => {
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
            let query = query([
                ("organization", choice.organization),
                ("state", choice.state),
                ("role", choice.role),
                ("host", choice.host),
                ("login", choice.login),
            ]);
            list(client, terminal, "members", &query, &part, columns).await
        }
        MembersCommand::Sync { organization, dry_run, roles, authority, json } => {
            let mut body = json!({ "dry_run": dry_run });
            add(&mut body, "authority", authority.as_ref().map(ToString::to_string));
            if !roles.is_empty() {
                add(&mut body, "roles", Some(role_map(&roles)?));
            }
            let told = client.post_within(Some(organization.as_str()), &["members", "sync"], &body).await?;
            sync(&told, dry_run, json.json, terminal)
        }
        MembersCommand::Pin { id, role } => {
            let member = client.post(&["members", &id, "pin"], &json!({ "role": role })).await?;
            let login = member.get("login").and_then(Value::as_str).unwrap_or_default();
            terminal.remark(&format!(
                "{login} is {role} from now on, whatever the forge says, until they leave"
            ))?;
            Ok(Exit::Done)
        }
        MembersCommand::Unpin { id } => {
            let member = client.post(&["members", &id, "unpin"], &json!({})).await?;
            let login = member.get("login").and_then(Value::as_str).unwrap_or_default();
            terminal.remark(&format!("{login}'s role follows the forge again; it is read soon"))?;
            Ok(Exit::Done)
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

/// The documented role map with these places changed, as the API takes it.
fn role_map(typed: &[String]) -> Result<Value, Failure> {
    let mut map = serde_json::to_value(RoleMap::default())
        .map_err(|error| Failure::failed(format!("the role map cannot be written: {error}")))?;
    for text in typed {
        let wrong =
            || Failure::usage(format!("--role {text}: use PLACE=ROLE, such as owner=member or 30=none"));
        let (place, role) = text.split_once('=').ok_or_else(wrong)?;
        let role = match role {
            "none" => Value::Null,
            "admin" | "member" | "read_only" => Value::String(role.to_owned()),
            _ => return Err(wrong()),
        };
        let place_is_level = place.parse::<u16>().is_ok();
        let table = if place_is_level { map.get_mut("levels") } else { Some(&mut map) };
        let table = table.and_then(Value::as_object_mut).ok_or_else(wrong)?;
        if !place_is_level && !matches!(place, "owner" | "member" | "outside" | "billing") {
            return Err(wrong());
        }
        table.insert(place.to_owned(), role);
    }
    Ok(map)
}

fn sync(told: &Value, dry_run: bool, as_json: bool, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if as_json {
        terminal.json(told)?;
        return Ok(Exit::Done);
    }
    if !dry_run {
        let id = told.get("id").and_then(Value::as_str).unwrap_or_default();
        terminal.remark(&format!("it will be done soon; task {id} says how it went"))?;
        return Ok(Exit::Done);
    }
    let rows = |key: &str| told.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let columns: &[Column] = &[
        ("WHAT", "what"),
        ("LOGIN", "login"),
        ("NUMBER", "external_id"),
        ("FROM", "from"),
        ("TO", "to"),
        ("WHY", "why"),
    ];
    let (steps, kept) = (rows("steps"), rows("kept"));
    terminal.rows(columns, &[steps.clone(), kept].concat())?;
    let number = |key: &str| told.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (listed, members, held) = (number("listed"), number("members"), number("held"));
    let count = steps.len();
    terminal.remark(&format!(
        "{listed} people at the forge, {members} members here: {count} steps, of which {held} would wait for a yes; \
         nothing was changed"
    ))?;
    Ok(Exit::Done)
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
