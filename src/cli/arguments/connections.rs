//! What can be asked about connections.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConnectionChoice, Json, NewLink, Part};
use crate::domain::organization::Kind;
use crate::domain::{ConnectionKey, OrganizationSlug};

fn kind(text: &str) -> Result<Kind, String> {
    let all = Kind::ALL.map(Kind::as_str).join(", ");
    let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| format!("use one of {all}"))
}

/// Connections.
#[derive(Debug, Subcommand)]
pub enum ConnectionsCommand {
    /// List connections
    #[command(after_help = "Example:\n  scm-connect connections list --state token_expiring")]
    List {
        /// Which ones.
        #[command(flatten)]
        choice: ConnectionChoice,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
    /// Show one connection: its state, what each feature needs and has
    Show {
        /// Its key.
        key: String,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
    /// Connect an account at a forge; the forge is asked first, and nothing is stored unless it agrees
    #[command(
        after_help = "Without a credential, GitHub is connected in a browser, by an App of one's own: a one-time link is printed.

Examples:
  scm-connect connections add --organization acme --kind github_cloud
  scm-connect connections add --organization acme --kind gitlab_self_managed \\
    --forge https://gitlab.example.com --account acme --token-file token.txt"
    )]
    Add(Box<NewConnection>),
    /// Make a one-time link: whoever opens it connects a GitHub account in a browser, by an App of its own
    #[command(
        after_help = "Examples:\n  scm-connect connections link --organization acme\n  scm-connect connections link --organization acme --forge https://git.example.com"
    )]
    Link(NewLink),
    /// Ask the forge now what a connection may do, and wait for the answer
    #[command(after_help = "It ends with 0 when the connection works, and with 5 when it does not.")]
    Test(Named),
    /// Read a connection's repositories now, and wait for the end
    Sync(Named),
    /// Ask nothing of the forge until the connection is resumed
    Pause(Named),
    /// Go on with a paused connection
    Resume(Named),
    /// Let the members of a connection that is off come in for a further week
    Extend(Named),
    /// End a connection: its credentials are destroyed, hooks that we made are removed, projects are kept
    Disconnect {
        /// Which one.
        #[command(flatten)]
        named: Named,
        /// Do it without being asked to type the key once more.
        #[arg(long)]
        yes: bool,
    },
    /// Give a credential to a connection that made itself, or another token to one that has a token
    Promote {
        /// Which one.
        #[command(flatten)]
        named: Named,
        /// With what.
        #[command(flatten)]
        credential: CredentialFiles,
    },
    /// Block a connection that made itself; its projects are paused
    Reject(Named),
    /// Let a rejected connection in again
    Allow(Named),
}

/// Secrets of connections.
#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// Replace the secrets of a connection's hooks, and a GitLab token by its successor
    #[command(
        after_help = "Hooks that we made are given a new secret; the old one counts for a further day, so that nothing is refused.
With --leaked it ends as soon as the forge has the new one: deliveries that are on their way with the old one
are refused then, and asked for again where the forge keeps a log of what it has sent.
A GitLab token is void as soon as its successor is there. No forge makes an App's private key or client secret
when asked: add one in the App's settings, enter it here, and take the old one away there.

Examples:
  scm-connect secrets rotate acme-gitlab
  scm-connect secrets rotate acme-gitlab --leaked
  scm-connect secrets rotate acme-github --app-key-file new-key.pem
  scm-connect secrets rotate acme-github --client-secret-file new-secret.txt
  scm-connect secrets rotate acme-server --by-hand"
    )]
    Rotate {
        /// Which one.
        #[command(flatten)]
        named: Named,
        /// Replace the App's private key, and nothing else, by the one in this file (PEM); `-` is the standard input.
        #[arg(long, value_name = "FILE")]
        app_key_file: Option<PathBuf>,
        /// Replace the App's client secret, by which people sign in, by the one in this file; `-` is the standard input.
        #[arg(long, value_name = "FILE")]
        client_secret_file: Option<PathBuf>,
        /// Make another secret for a hook that somebody set up by hand, and show it once: they enter it at the forge.
        #[arg(long, conflicts_with_all = ["app_key_file", "client_secret_file"])]
        by_hand: bool,
        /// The hooks' secret has leaked: replace it, and nothing else, and end the old one as soon as the forge has the new
        /// one. After a rotation of the last day: end the old one now.
        #[arg(long, conflicts_with_all = ["app_key_file", "client_secret_file", "by_hand"])]
        leaked: bool,
    },
}

/// One connection.
#[derive(Debug, Clone, Args)]
pub struct Named {
    /// Its key, as `connections list` shows it.
    #[arg(value_parser = ConnectionKey::parse)]
    pub key: ConnectionKey,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}

/// A connection to be made.
#[derive(Debug, Args)]
pub struct NewConnection {
    /// The organization that it is for.
    #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
    pub organization: OrganizationSlug,
    /// github_cloud, github_enterprise_server, gitlab_cloud or gitlab_self_managed.
    #[arg(long, value_parser = kind)]
    pub kind: Kind,
    /// The address that people type to see the forge; needed for an instance of one's own.
    #[arg(long, value_name = "URL")]
    pub forge: Option<url::Url>,
    /// The account's name, exactly: an organization, a person, a group's path. Needed with a credential.
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// The name that the connection shall have.
    #[arg(long, value_parser = ConnectionKey::parse)]
    pub key: Option<ConnectionKey>,
    /// It manages the organization's members.
    #[arg(long, conflicts_with = "no_authority")]
    pub authority: bool,
    /// It does not, even when it is the first one.
    #[arg(long)]
    pub no_authority: bool,
    /// With what.
    #[command(flatten)]
    pub credential: CredentialFiles,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}

/// Where the credential is read from; a secret never stands on the command line. `-` is the standard input.
#[derive(Debug, Clone, Args)]
pub struct CredentialFiles {
    /// A file with a personal, group or project token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The number of a GitHub App that there is already.
    #[arg(long, value_name = "N", conflicts_with = "token_file", requires = "app_key_file")]
    pub app_id: Option<u64>,
    /// A file with the App's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "app_id")]
    pub app_key_file: Option<PathBuf>,
    /// The installation at the account; looked for unless given.
    #[arg(long, value_name = "N", requires = "app_id")]
    pub installation: Option<u64>,
    /// A file with what signs the App's deliveries; made and shown once unless given.
    #[arg(long, value_name = "FILE", requires = "app_id")]
    pub webhook_secret_file: Option<PathBuf>,
}

impl CredentialFiles {
    /// Whether there is a credential at all.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.token_file.is_some() || self.app_id.is_some()
    }
}
