//! What can be asked about deliveries.

use clap::{Args, Subcommand};

use super::{Json, Part};
use crate::domain::delivery::DeliveryState;
use crate::domain::{OrganizationSlug, SourceKey};

/// Which deliveries.
#[derive(Debug, Clone, Default, Args)]
pub struct DeliveryChoice {
    /// Of this organization.
    #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
    pub organization: Option<OrganizationSlug>,
    /// From this source.
    #[arg(long, value_parser = SourceKey::parse, value_name = "KEY")]
    pub source: Option<SourceKey>,
    /// About this connection.
    #[arg(long, value_name = "KEY")]
    pub connection: Option<String>,
    /// From a forge of this family.
    #[arg(long, value_parser = ["github", "gitlab"])]
    pub provider: Option<String>,
    /// Of this event.
    #[arg(long)]
    pub event: Option<String>,
    /// With this action of the event.
    #[arg(long)]
    pub action: Option<String>,
    /// With this reason.
    #[arg(long)]
    pub reason: Option<String>,
    /// Received at or after: a time such as 2026-01-31T08:00:00Z, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Received before: likewise.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

impl DeliveryChoice {
    /// Whether nothing was chosen, which would mean all.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        let Self { organization, source, connection, provider, event, action, reason, since, until } = self;
        let words = [connection, provider, event, action, reason, since, until];
        organization.is_none() && source.is_none() && words.iter().all(|it| it.is_none())
    }
}

fn state(text: &str) -> Result<DeliveryState, String> {
    let all = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
    DeliveryState::parse(text).ok_or_else(|| format!("use one of {all}"))
}

/// Deliveries.
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// List deliveries, newest first
    #[command(after_help = "Example:\n  scm-connect deliveries list --state dead --since 24h")]
    List {
        /// Which ones.
        #[command(flatten)]
        choice: DeliveryChoice,
        /// In this state: queued, working, waiting, done, ignored, superseded, dead.
        #[arg(long, value_parser = state)]
        state: Option<DeliveryState>,
        /// With this delivery id at the forge.
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
    /// Show one delivery with its attempts
    Show {
        /// Its id.
        id: String,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
    /// Queue deliveries again; their history stays
    #[command(
        after_help = "Many are queued by the daemon, newest first and at most ten a second. It goes on when this command
is interrupted, and where it was when the daemon itself ended; `tasks cancel` ends it. The same options
given again while it goes on mean the same task.

Examples:
  scm-connect deliveries replay 0198c0de-0000-7000-8000-000000000000
  scm-connect deliveries replay --source acme-github --since 2h --dry-run"
    )]
    Replay {
        /// One delivery; or choose many by the options below.
        #[arg(conflicts_with_all = ["state", "organization", "source", "connection", "provider", "event", "action",
            "reason", "since", "until"])]
        id: Option<String>,
        /// Which ones.
        #[command(flatten)]
        choice: DeliveryChoice,
        /// In this state.
        #[arg(long, value_parser = state)]
        state: Option<DeliveryState>,
        /// Only count them.
        #[arg(long)]
        dry_run: bool,
        /// Do not wait for the end; print the task's id.
        #[arg(long, conflicts_with_all = ["dry_run", "id"])]
        no_wait: bool,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
}

/// Deliveries that were given up.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List them
    List {
        /// Which ones.
        #[command(flatten)]
        choice: DeliveryChoice,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
    /// Queue them again
    Replay {
        /// Which ones.
        #[command(flatten)]
        which: DeadLetters,
        /// Do not wait for the end; print the task's id.
        #[arg(long, conflicts_with_all = ["dry_run", "id"])]
        no_wait: bool,
    },
    /// Let them go; they stay on record as ignored
    Discard(DeadLetters),
}

/// Which of the deliveries that were given up.
#[derive(Debug, Clone, Args)]
pub struct DeadLetters {
    /// One delivery; or choose many by the options below.
    #[arg(conflicts_with_all = ["organization", "source", "connection", "provider", "event", "action", "reason",
        "since", "until", "all"])]
    pub id: Option<String>,
    /// Which ones.
    #[command(flatten)]
    pub choice: DeliveryChoice,
    /// All of them.
    #[arg(long)]
    pub all: bool,
    /// Only count them.
    #[arg(long)]
    pub dry_run: bool,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}
