//! The command line: what can be typed, how the daemon is asked, and how its answers look.

mod answer;
pub mod apply;
pub mod arguments;
pub mod ask;
mod audit;
mod catch_up;
pub mod client;
mod connections;
mod deliveries;
pub mod exit;
pub mod health;
mod link;
pub mod long;
mod member;
pub mod progress;
pub mod send;
mod task;
pub mod terminal;

pub use arguments::{Arguments, Ask, Command};
pub use client::Client;
pub use exit::{Exit, Failure};
pub use terminal::Terminal;

use std::collections::BTreeMap;

use clap::CommandFactory;

/// The environment, as `main` hands it down: nothing here reads the process's own.
pub type Environment = BTreeMap<String, String>;

/// The variable that holds the token for a remote daemon; a token never stands on the command line.
pub const TOKEN_VARIABLE: &str = "SCM_CONNECT_TOKEN";

/// Writes the shell's completions.
///
/// # Errors
/// When nobody reads them.
pub fn completions(shell: clap_complete::Shell, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "scm-connect", &mut script);
    terminal.out.write_all(&script)?;
    Ok(Exit::Done)
}

/// Says which version this is.
///
/// # Errors
/// When nobody reads it.
pub fn version(json: bool, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        terminal.json(&serde_json::json!({ "name": "scm-connect", "version": version }))?;
    } else {
        terminal.line(&format!("scm-connect {version}"))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
