//! `demo` and `send`: recorded deliveries, through a real front door.

use std::sync::Arc;

use url::Url;

use super::folder::Folder;
use super::serve::start_logs;
use super::{Daemon, Manner, clock, random, runtime_dir};
use crate::cli::arguments::Send;
use crate::cli::send::Signers;
use crate::cli::{Client, Environment, Exit, Failure, Terminal};
use crate::config::Config;
use crate::demo::job;
use crate::demo::play::{self, Secrets, Sender};
use crate::demo::recorded::BuiltIn;
use crate::demo::report::Outcome;
use crate::provider::{github, gitlab};
use crate::telemetry::metric;

const SIGNERS: Signers = Signers { github: github::hook::sign, gitlab: gitlab::hook::sign };

/// Sends one recorded delivery.
pub(super) async fn send(
    send: &Send,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    crate::cli::send::send(send, &BuiltIn, &SIGNERS, environment, clock()(), terminal).await
}

fn secret() -> String {
    let mut bytes = [0; 32];
    random(&mut bytes);
    hex::encode(bytes)
}

/// Plays the story through the front door of a throw-away daemon, and prints what came of it.
pub(super) async fn demo(
    once: bool,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let clock = clock();
    let mut quiet = environment.clone();
    quiet.entry("SCM_CONNECT_LOG".to_owned()).or_insert_with(|| "warn".to_owned());
    start_logs(&quiet, &clock)?;
    let folder = Folder::new(&std::env::temp_dir(), "demo")?;
    let secrets = Secrets { github: secret(), gitlab: secret() };
    let text = crate::demo::config(&folder.path().join("store"), &secrets.github, &secrets.gitlab);
    let config = Config::parse("demo", &text, Environment::new())?;
    let exporter = Arc::new(metric::install().map_err(Failure::failed)?);
    let manner =
        Manner { runtime_dir: runtime_dir(environment), works: true, stand_in_keys: Some(job::KEY_SET) };
    let daemon = Daemon::start(&config, exporter, Arc::clone(&clock), &manner).await?;
    let door = Url::parse(&format!("http://{}", daemon.public))
        .map_err(|error| Failure::failed(error.to_string()))?;
    let socket =
        daemon.control().ok_or_else(|| Failure::failed("the demo's daemon has no control socket"))?;
    let client = Client::at_socket(socket)?;
    let bar = indicatif::ProgressBar::new(0);
    let sender = Sender::new(door.clone(), secrets, SIGNERS, Arc::clone(&clock))?;
    let played = sender
        .play(&mut |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        })
        .await?;
    bar.finish_and_clear();
    play::settle(&client).await?;
    let first_job = job::first(&client, &door, clock()).await?;
    let outcome = Outcome::read(&client, played, first_job).await?;
    terminal.outcome(&outcome)?;
    let objections = outcome.objections();
    for objection in &objections {
        terminal.remark(&format!("wrong: {objection}"))?;
    }
    if !once && objections.is_empty() {
        let wish = serde_json::json!({"kind": "read", "name": "visitor"});
        let made = client.post_within(Some("acme"), &["tokens"], &wish).await?;
        let token = made.get("token").and_then(serde_json::Value::as_str).unwrap_or_default();
        terminal.line(&format!("it stays up at {door} until you press Ctrl-C; look at it:"))?;
        terminal.line(&format!("  {door}docs"))?;
        terminal.line(&format!("  curl -s -H 'Authorization: Bearer {token}' {door}api/v1/projects"))?;
        let _ = tokio::signal::ctrl_c().await;
    }
    daemon.stop().await;
    Ok(if objections.is_empty() { Exit::Done } else { Exit::Failed })
}
