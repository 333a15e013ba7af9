//! Organizations and connections out of a file, made in a daemon that keeps them itself: the plan is data, is shown,
//! and is done after that.

mod plan;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::plan::Wish;
pub(super) use self::plan::has_ended;
pub use self::plan::{Act, Step, There, plan};
use super::client::Client;
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};
use crate::config::Config;
use crate::domain::SourceKey;

/// More than one file holds.
const ALL: usize = 100_000;
const COLUMNS: &[Column] = &[("DO", "act"), ("WHAT", "kind"), ("NAME", "name"), ("WHY", "why")];

/// How a file is applied.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// The plan is shown, and nothing is done.
    pub dry_run: bool,
    /// It is shown as JSON.
    pub json: bool,
    /// The sources of the daemon's own config, where that is at hand.
    pub sources: &'a [SourceKey],
}

/// Shows the plan, then does it.
///
/// # Errors
/// When the daemon does not answer, or refuses a step; those before it are done.
pub async fn apply(
    config: &Config,
    manner: Manner<'_>,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let Manner { dry_run, json, sources } = manner;
    let organizations = client.list(&["organizations"], &[], ALL, None).await?.items;
    let connections = client.list(&["connections"], &[], ALL, None).await?.items;
    let there = There { organizations: &organizations, connections: &connections, sources };
    let steps = plan(config, there);
    let shown: Vec<Value> = steps.iter().filter_map(|step| serde_json::to_value(step).ok()).collect();
    if json {
        terminal.json(&json!({ "plan": shown, "dry_run": dry_run }))?;
    } else {
        terminal.rows(COLUMNS, &shown)?;
    }
    for step in steps.iter().filter(|_| !dry_run) {
        let Some(wish) = &step.wish else { continue };
        ask(client, wish).await.map_err(|failure| Failure {
            message: format!("{} {}: {}", step.kind, step.name, failure.message),
            ..failure
        })?;
        let done = match step.act {
            Act::End => "is ended",
            Act::Change => "was changed",
            Act::Make | Act::Keep | Act::Differs => "was made",
        };
        terminal.remark(&format!("{} {} {done}", step.kind, step.name))?;
    }
    let differs = steps.iter().any(|step| step.act == Act::Differs);
    Ok(if differs { Exit::Failed } else { Exit::Done })
}

async fn ask(client: &Client, wish: &Wish) -> Result<Value, Failure> {
    match wish {
        Wish::Post(organization, path, body) => {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            client.post_within(organization.as_deref(), &path, body).await
        }
        Wish::Patch(path, body) => {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            client.patch(&path, body).await
        }
    }
}
