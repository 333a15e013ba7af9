//! What can be asked about organizations, connections, projects, members and tokens.

use clap::{Args, Subcommand, ValueEnum};

use super::{ConnectionsCommand, DeadLettersCommand, DeliveriesCommand, Json, SecretsCommand, forge};
use crate::config::Period;
use crate::domain::OrganizationSlug;
use crate::domain::access::TokenKind;
use crate::domain::organization::Forge;

/// What is asked of a daemon.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Tokens for CI jobs, for looking, and for admins
    #[command(subcommand)]
    Token(TokenCommand),
    /// Organizations
    #[command(subcommand)]
    Organizations(OrganizationsCommand),
    /// Connections to forges
    #[command(subcommand)]
    Connections(ConnectionsCommand),
    /// Secrets of connections
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Projects
    #[command(subcommand)]
    Projects(ProjectsCommand),
    /// Members
    #[command(subcommand)]
    Members(MembersCommand),
    /// Deliveries: what the forges have sent, and what became of it
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// Deliveries that were given up
    #[command(
        subcommand,
        after_help = "Example:\n  scm-connect dead-letters replay --reason unreadable --dry-run"
    )]
    DeadLetters(DeadLettersCommand),
}

/// Which part of a list, and how to print it.
#[derive(Debug, Clone, Args)]
pub struct Part {
    /// Print at most so many.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Print all of them.
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// Begin where an earlier list ended.
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}

/// Tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown once
    #[command(
        after_help = "Example:\n  scm-connect token create --organization acme --kind ci --expires 90d"
    )]
    Create {
        /// The organization it is for.
        #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
        organization: OrganizationSlug,
        /// What it may do.
        #[arg(long)]
        kind: TokenChoice,
        /// A name for people.
        #[arg(long)]
        name: Option<String>,
        /// How long it holds: 90d, 12h, 30m.
        #[arg(long, value_parser = Period::parse, value_name = "PERIOD")]
        expires: Option<Period>,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
    /// List tokens; never their text, which is not kept
    List {
        /// Of this organization.
        #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
        organization: Option<OrganizationSlug>,
        /// Of this kind.
        #[arg(long)]
        kind: Option<TokenChoice>,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
    /// End a token at once
    Revoke {
        /// Its id, as `token list` shows it.
        id: String,
    },
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenChoice {
    /// Check-ins and reports of CI jobs
    Ci,
    /// Looking
    Read,
    /// Everything inside its organization
    Admin,
}

impl From<TokenChoice> for TokenKind {
    fn from(choice: TokenChoice) -> Self {
        match choice {
            TokenChoice::Ci => Self::Ci,
            TokenChoice::Read => Self::Read,
            TokenChoice::Admin => Self::Admin,
        }
    }
}

/// Organizations.
#[derive(Debug, Subcommand)]
pub enum OrganizationsCommand {
    /// Make an organization
    #[command(
        after_help = "Example:\n  scm-connect organizations create acme --name \"Acme Inc.\" --home github"
    )]
    Create {
        /// Its name in URLs, for ever.
        #[arg(value_parser = OrganizationSlug::parse)]
        slug: OrganizationSlug,
        /// Its name for people; the slug unless given.
        #[arg(long)]
        name: Option<String>,
        /// The forge where its founder signs in.
        #[arg(long, value_parser = forge, value_name = "github|gitlab")]
        home: Option<Forge>,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
    /// List organizations
    List(Part),
}

/// Projects.
#[derive(Debug, Subcommand)]
pub enum ProjectsCommand {
    /// List projects
    List {
        /// Of this organization.
        #[arg(long, value_name = "SLUG")]
        organization: Option<String>,
        /// Through this connection.
        #[arg(long, value_name = "KEY")]
        connection: Option<String>,
        /// In this state: waiting, active, not_set_up, paused, archived, removed, moved_away.
        #[arg(long)]
        state: Option<String>,
        /// Whose path holds this.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
}

/// Members.
#[derive(Debug, Subcommand)]
pub enum MembersCommand {
    /// List members
    List {
        /// Of this organization.
        #[arg(long, value_name = "SLUG")]
        organization: Option<String>,
        /// In this state: pending, active, removed.
        #[arg(long)]
        state: Option<String>,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
}
