//! `check`: would `serve` start, what would it run with, and is what it needs there? Changes nothing.

mod database;
mod disk;
mod folder;
mod forge;
mod key;

use serde::Serialize;

use super::clock;
use crate::cli::{Client, Environment, Exit, Failure, Terminal};
use crate::config::{Config, StoreUrl};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// Good to know.
    Info,
    /// `serve` would start, and somebody should look.
    Warning,
    /// `serve` would not start.
    Error,
}

/// One line of what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    /// What it is about: a stable word.
    part: &'static str,
    message: String,
    /// What to do, where there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'static str>,
}

impl Finding {
    fn info(part: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Info, part, message: message.into(), next: None }
    }

    fn warning(part: &'static str, message: impl Into<String>, next: &'static str) -> Self {
        Self { level: Level::Warning, part, message: message.into(), next: Some(next) }
    }

    fn error(part: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Error, part, message: message.into(), next: None }
    }

    /// The line that people read.
    fn line(&self) -> String {
        let level = match self.level {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let next = self.next.map(|next| format!("; {next}")).unwrap_or_default();
        format!("{level}: {}: {}{next}", self.part, self.message)
    }
}

/// How to check, and how to say what was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Print JSON.
    pub(super) json: bool,
    /// Call nobody.
    pub(super) offline: bool,
}

/// Prints the effective config, then each finding.
pub(super) async fn check(
    config: &Config,
    environment: &Environment,
    manner: Manner,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let findings = find(config, environment, manner.offline).await?;
    if manner.json {
        terminal.json(&serde_json::json!({ "config": config.report(), "findings": findings }))?;
    } else {
        for line in config.report().lines().chain([""]) {
            terminal.line(line)?;
        }
        for finding in &findings {
            terminal.line(&finding.line())?;
        }
    }
    let refused = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if refused { Exit::Store } else { Exit::Done })
}

async fn find(config: &Config, environment: &Environment, offline: bool) -> Result<Vec<Finding>, Failure> {
    let clock = clock();
    let warnings = config.warnings(clock()).into_iter();
    let mut findings: Vec<Finding> =
        warnings.map(|message| Finding { next: None, ..Finding::warning("config", message, "") }).collect();
    match &config.store {
        StoreUrl::Sled(dir) => {
            let runs = Client::find(None, Some(dir), environment).await.ok().flatten().is_some();
            let daemon = if runs { "a daemon holds the store" } else { "no daemon runs on this store" };
            findings.push(Finding::info("daemon", daemon));
            findings.push(folder::look(dir));
            findings.push(key::fits(config, dir));
            findings.extend(disk::look(dir));
        }
        StoreUrl::Postgres(url) => findings.extend(database::look(url, &config.key_file).await),
    }
    if offline {
        findings.push(Finding::info("forge", "no forge was asked, as you wished"));
    } else {
        findings.extend(forge::ask(config, &clock).await);
    }
    Ok(findings)
}
