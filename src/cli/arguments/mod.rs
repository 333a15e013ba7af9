//! Everything that can be typed.

mod connections;
mod deliveries;
mod link;
mod lists;
mod records;
mod store;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use url::Url;

pub use connections::{ConnectionsCommand, CredentialFiles, Named, NewConnection, SecretsCommand};
pub use deliveries::{DeadLetters, DeadLettersCommand, DeliveriesCommand, DeliveryChoice};
pub use link::NewLink;
pub use lists::{AuditChoice, ConnectionChoice, FindingsCommand, MemberChoice, ProjectChoice, TasksCommand};
pub use records::{
    Ask, AuditCommand, CatchUp, KeysCommand, MembersCommand, OrganizationsCommand, Part, ProjectsCommand,
    TokenChoice, TokenCommand,
};

pub use store::{BackupPlace, Destination, Origin, StoreCommand, Verify};

use super::exit::Exit;
use crate::domain::organization::Forge;

/// Connects organizations to their source code managers, and never loses a webhook.
#[derive(Debug, Parser)]
#[command(name = "scm-connect", version, propagate_version = false, max_term_width = 100)]
#[command(after_help = "Examples:
  scm-connect demo                        look at it, without any setup
  scm-connect serve                       run on ./data, and print a link to make the first admin
  scm-connect serve --config scm.toml     run with a config
  scm-connect check --config scm.toml     is this config right?

Exit codes: 0 done, 1 failed, 2 wrong use or config, 3 store refused, 4 not found, 5 refused by the forge.")]
pub struct Arguments {
    /// The config, in TOML; SCM_CONNECT__SECTION__KEY in the environment overrides single values.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ask this daemon instead of the one on this machine; its token is taken from SCM_CONNECT_TOKEN.
    #[arg(long, global = true, value_name = "URL", value_parser = daemon_url)]
    pub url: Option<Url>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Reads the command line; help, versions and mistakes are printed here.
    ///
    /// # Errors
    /// With the code to end with, when there is nothing more to do.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        Self::try_parse_from(words).map_err(|error| {
            // With nobody to read it, there is nothing better to do than to end.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Done }
        })
    }
}

fn daemon_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err("use http:// or https://, and no user name or password".into())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    #[command(
        after_help = "Without a config it runs on ./data, makes its own master key and prints a one-time link."
    )]
    Serve,
    /// Show it at work on a throw-away store, with a built-in stand-in forge
    #[command(after_help = "Example:\n  scm-connect demo --once     show it and end")]
    Demo(Demo),
    /// Check config, keys, disk, clock and forges, and print the effective config without its secrets
    #[command(
        after_help = "Changes nothing. Ends with 0 when `serve` would start, with 2 for a wrong config, and \
                            with 3 when the store would be refused. A forge that does not answer is a warning."
    )]
    Check(Check),
    /// Send a signed recorded delivery to a running daemon
    #[command(after_help = "Examples:
  scm-connect send push --to http://127.0.0.1:8080/hooks/acme-github --secret env:ACME_HOOK_SECRET
  scm-connect send pipeline --provider gitlab --to http://127.0.0.1:8080/hooks/lab --secret file:secret
  scm-connect send push --fixture body.json --to http://127.0.0.1:8080/hooks/acme-github --secret env:S

Ends with 0 when every delivery was taken (2xx).")]
    Send(Send),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  scm-connect completions bash > /etc/bash_completion.d/scm-connect")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the description of the HTTP API, as /api/v1/openapi.json serves it
    #[command(after_help = "Example:\n  scm-connect openapi > openapi.json")]
    Openapi,
    /// Print a CI file that checks in with this server, for GitLab CI/CD or GitHub Actions
    #[command(
        after_help = "A first job connects its group or owner, unless that is a person's own namespace that ci.auto_connect_accounts does not
list. An ID token shows a person's namespace only when that person has started the job: look at `connections list` for the
others, and reject what you do not want.

Example:
  scm-connect ci-template gitlab --scan --config scm.toml > .gitlab-ci.yml"
    )]
    CiTemplate {
        /// Which forge.
        #[arg(value_parser = forge)]
        forge: Forge,
        /// It also runs `semgrep ci`.
        #[arg(long)]
        scan: bool,
    },
    /// Print the version
    Version(Json),
    /// Ask the daemon on this machine whether it is ready; for container images
    #[command(after_help = "Asks /readyz at listen.ops of the config. Ends with 0 when ready, else with 1.")]
    Healthcheck {
        /// Ask only whether it is alive.
        #[arg(long)]
        live: bool,
    },
    /// The store as a whole: check it, move it, compact it
    #[command(subcommand)]
    Store(StoreCommand),
    /// Write a backup while the daemon works: all it had acknowledged before is in it
    #[command(after_help = "The master key is not in it, and nothing in it opens without: keep both, apart.

Examples:
  scm-connect backup --to /backups                    a file named by the time
  scm-connect backup --to /backups/today.jsonl.zst")]
    Backup(BackupPlace),
    /// Fill an empty store from a backup
    #[command(
        after_help = "The store is the one of the config; the master key must be that of the store that was
backed up. The whole file is checked before anything is written. Then start the daemon.

Example:
  scm-connect restore /backups/today.jsonl.zst --config scm.toml"
    )]
    Restore(Origin),
    /// Make a daemon have the organizations, role maps and connections of a file; shows the plan first
    #[command(
        after_help = "Makes what is missing, changes names, role maps and tokens, and ends connections that an earlier run
has made and the file does not name any more, in the organizations that it names. Made otherwise, a thing is never taken
away. A second run finds nothing to do. Ends with 1 when something differs and a person has to decide.

Example:
  scm-connect apply team.toml --dry-run"
    )]
    Apply(Apply),
    /// What is asked of the daemon, or of the store when no daemon runs.
    #[command(flatten)]
    Ask(Ask),
}

/// Shows it at work.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// End afterwards instead of staying up.
    #[arg(long)]
    pub once: bool,
}

/// Makes what a file says.
#[derive(Debug, Clone, Args)]
pub struct Apply {
    /// The file: `[[organizations]]` and `[[connections]]` as in the config.
    pub file: PathBuf,
    /// Show the plan and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}

/// Checks everything that can be checked beforehand.
#[derive(Debug, Clone, Copy, Args)]
pub struct Check {
    /// Ask no forge.
    #[arg(long)]
    pub offline: bool,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub struct Json {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Sends a delivery.
#[derive(Debug, Clone, Args)]
pub struct Send {
    /// The forge's name of the event: push, installation, pipeline …
    pub event: String,
    /// The hook's whole URL.
    #[arg(long, value_name = "URL", value_parser = daemon_url)]
    pub to: Url,
    /// The hook's secret: the text itself, env:NAME or file:PATH.
    #[arg(long, value_name = "SECRET", required_unless_present = "signing_token")]
    pub secret: Option<String>,
    /// GitLab's signing token (whsec_…): the text itself, env:NAME or file:PATH.
    #[arg(long, value_name = "TOKEN")]
    pub signing_token: Option<String>,
    /// Whose event it is, when both forges have one of that name.
    #[arg(long, value_parser = forge, value_name = "github|gitlab")]
    pub provider: Option<Forge>,
    /// Send this file instead of a recorded body.
    #[arg(long, value_name = "FILE")]
    pub fixture: Option<PathBuf>,
    /// Send it so often, each time as a new delivery.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Use this delivery id, as a redelivery does; repeats are then duplicates.
    #[arg(long, value_name = "ID")]
    pub delivery_id: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}

pub(super) fn forge(text: &str) -> Result<Forge, String> {
    [Forge::Github, Forge::Gitlab]
        .into_iter()
        .find(|forge| forge.as_str() == text)
        .ok_or_else(|| "use github or gitlab".into())
}
