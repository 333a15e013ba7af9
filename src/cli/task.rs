//! Tasks: what is done outside or takes long, and how far it is.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{list, query, show, tell};
use super::arguments::TasksCommand;
use super::client::Client;
use super::exit::{Exit, Failure};
use super::progress::Bar;
use super::terminal::{Column, Terminal};

/// Between two looks at a task that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn tasks(
    command: TasksCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match command {
        TasksCommand::List { organization, connection, state, kind, list: part } => {
            let columns: &[Column] = &[
                ("ID", "id"),
                ("KIND", "kind"),
                ("ORGANIZATION", "organization"),
                ("CONNECTION", "connection"),
                ("STATE", "state"),
                ("WISHED", "wished_at"),
                ("BY", "wished_by"),
                ("DUE", "due_at"),
                ("NOTE", "note"),
                ("ERROR", "last_error"),
            ];
            let query = query([
                ("organization", organization),
                ("connection", connection),
                ("state", state),
                ("kind", kind),
            ]);
            list(client, terminal, "tasks", &query, &part, columns).await
        }
        TasksCommand::Show { id, json } => {
            show(&client.get(&["tasks", &id], &[]).await?, json.json, terminal)
        }
        TasksCommand::Cancel { id, json } => {
            let task = client.post(&["tasks", &id, "cancel"], &json!({})).await?;
            let note = text(&task, "note").unwrap_or("cancelled");
            tell(&task, json.json, &format!("task {id}: {note}"), terminal)
        }
    }
}

fn text<'a>(task: &'a Value, key: &str) -> Option<&'a str> {
    task.get(key).and_then(Value::as_str)
}

fn is_over(task: &Value) -> bool {
    matches!(text(task, "state"), Some("done" | "failed" | "cancelled"))
}

/// Follows a replay to its end. It goes on without us: the daemon does it.
pub(super) async fn follow(
    asked: Value,
    json: bool,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let id =
        text(&asked, "id").ok_or_else(|| Failure::failed("the daemon did not name the task"))?.to_owned();
    if terminal.is_terminal {
        terminal.remark(&format!("task {id}; it goes on when this ends, and `tasks cancel {id}` ends it"))?;
    }
    let bar = Bar::begin("queueing deliveries again");
    let ended = until_over(asked, &id, &bar, client).await;
    bar.end();
    let task = ended?;
    if json {
        terminal.json(&task)?;
    }
    match text(&task, "state") {
        Some("done") if json => Ok(Exit::Done),
        Some("done") => {
            terminal.line(text(&task, "note").unwrap_or_default())?;
            Ok(Exit::Done)
        }
        Some("cancelled") => Err(Failure::failed(text(&task, "note").unwrap_or("cancelled"))),
        _ => Err(Failure::failed(text(&task, "last_error").unwrap_or("the task was given up"))),
    }
}

async fn until_over(mut task: Value, id: &str, bar: &Bar, client: &Client) -> Result<Value, Failure> {
    loop {
        let number =
            |key: &str| task.pointer(&format!("/progress/{key}")).and_then(Value::as_u64).unwrap_or(0);
        bar.at(number("queued").saturating_add(number("skipped")), number("matched"));
        if is_over(&task) {
            return Ok(task);
        }
        task = client.get(&["tasks", id], &[]).await?;
        if !is_over(&task) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
