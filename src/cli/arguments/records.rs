//! What can be asked about organizations, connections, projects, members and tokens.

use clap::{Args, Subcommand, ValueEnum};

use super::{
    AuditChoice, ConnectionsCommand, DeadLettersCommand, DeliveriesCommand, FindingsCommand, Json,
    MemberChoice, ProjectChoice, SecretsCommand, TasksCommand, forge,
};
use crate::config::Period;
use crate::domain::access::TokenKind;
use crate::domain::organization::Forge;
use crate::domain::{ConnectionKey, OrganizationSlug};

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
    /// The keys with which everything secret is sealed
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Projects
    #[command(subcommand)]
    Projects(ProjectsCommand),
    /// Members
    #[command(subcommand)]
    Members(MembersCommand),
    /// The audit log: who changed what, and whether it is all there
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look for deliveries that were missed, and have the forges send them once more
    #[command(after_help = "The daemon does so by itself at its start and every five minutes.

Examples:
  scm-connect catch-up --dry-run      what is missing?
  scm-connect catch-up --gaps         when was nobody listening, and what came back?")]
    CatchUp(CatchUp),
    /// Deliveries: what the forges have sent, and what became of it
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// Deliveries that were given up
    #[command(
        subcommand,
        after_help = "Example:\n  scm-connect dead-letters replay --reason unreadable --dry-run"
    )]
    DeadLetters(DeadLettersCommand),
    /// Tasks: what the daemon does at the forges or for long, and how far it is
    #[command(subcommand)]
    Tasks(TasksCommand),
    /// Findings of scanners
    #[command(subcommand)]
    Findings(FindingsCommand),
}

/// Looks for deliveries that were missed.
#[derive(Debug, Args)]
pub struct CatchUp {
    /// Of this organization.
    #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
    pub organization: Option<OrganizationSlug>,
    /// Only show what is missing.
    #[arg(long)]
    pub dry_run: bool,
    /// Show the gaps that are known, by name.
    #[arg(long, conflicts_with = "dry_run")]
    pub gaps: bool,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}

/// The audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List who changed what, newest first
    #[command(after_help = "Example:\n  scm-connect audit list --action member.removed --since 7d")]
    List {
        /// Which lines.
        #[command(flatten)]
        choice: AuditChoice,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
    /// Write all lines into a file, one JSON object a line, in the order of their chains
    #[command(after_help = "Example:\n  scm-connect audit export --to audit.jsonl")]
    Export {
        /// Of this organization.
        #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
        organization: Option<OrganizationSlug>,
        /// The file; it must not be there yet.
        #[arg(long, value_name = "FILE")]
        to: std::path::PathBuf,
    },
    /// Check that no line was changed, left out, moved or put between, and name the place where one was
    #[command(after_help = "Ends with 0 when every line is as it was written, else with 3.

Examples:
  scm-connect audit verify
  scm-connect audit verify --file audit.jsonl")]
    Verify {
        /// Of this organization.
        #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
        organization: Option<OrganizationSlug>,
        /// Check this export instead.
        #[arg(long, value_name = "FILE")]
        file: Option<std::path::PathBuf>,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
}

/// Keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Put a new master key in force and seal everything anew, while the daemon works
    #[command(
        after_help = "The new key is written to the master key's file (keys.file). At the end nothing in the store needs
the old one. When it is interrupted, the same command goes on where it was. Backups made before open with
the old key only: keep a copy of it as long as you keep those.

Where several machines share a database and each has a copy of the file:
  scm-connect keys rotate --prepare     adds the new key to this machine's file; copy the file to the others
  scm-connect keys rotate               puts it in force
  then copy the file once more"
    )]
    Rotate {
        /// Only put the new key into the file.
        #[arg(long)]
        prepare: bool,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
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
        /// The id of the member for whom it stands; it ends with their membership.
        #[arg(long, value_name = "ID")]
        member: Option<String>,
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
    #[command(after_help = "Example:\n  scm-connect projects list --ci-state failing --archived false")]
    List {
        /// Which ones.
        #[command(flatten)]
        choice: Box<ProjectChoice>,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
}

/// Members.
#[derive(Debug, Subcommand)]
pub enum MembersCommand {
    /// List members
    #[command(after_help = "Example:\n  scm-connect members list --role admin --state active")]
    List {
        /// Which ones.
        #[command(flatten)]
        choice: MemberChoice,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
    /// Read an organization's members from the forge
    #[command(after_help = "Examples:
  scm-connect members sync --organization acme --dry-run
  scm-connect members sync --organization acme --dry-run --authority acme-gitlab
                       who would come and go if this connection managed the members")]
    Sync {
        /// Whose.
        #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
        organization: OrganizationSlug,
        /// Only show what would be done.
        #[arg(long)]
        dry_run: bool,
        /// With --dry-run: by this role of a place, such as owner=member, outside=none or 30=read_only.
        #[arg(long = "role", value_name = "PLACE=ROLE", requires = "dry_run")]
        roles: Vec<String>,
        /// With --dry-run: as if this connection managed the members.
        #[arg(long, value_name = "KEY", value_parser = ConnectionKey::parse, requires = "dry_run")]
        authority: Option<ConnectionKey>,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
    /// Give a member a role that holds against the forge's, until they leave
    #[command(after_help = "Example:\n  scm-connect members pin 0123456789abcdef01234567 --role read_only")]
    Pin {
        /// The member's id.
        id: String,
        /// admin, member or read_only.
        #[arg(long, value_parser = ["admin", "member", "read_only"])]
        role: String,
    },
    /// Let a member's role follow the forge again
    Unpin {
        /// The member's id.
        id: String,
    },
    /// Show removals that are too many to be done without an admin's yes
    Held {
        /// Of this organization.
        #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
        organization: Option<OrganizationSlug>,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
    /// Let held removals go on: exactly the people that `members held` shows under this id
    Approve {
        /// The id.
        id: String,
    },
    /// Keep the people of held removals until the hold expires
    Refuse {
        /// The id.
        id: String,
    },
}
