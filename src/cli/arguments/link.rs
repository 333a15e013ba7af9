//! What a one-time link can be for.

use clap::Args;

use super::Json;
use crate::domain::OrganizationSlug;

/// A link to be made. Without more than the organization: a new App at github.com.
#[derive(Debug, Args)]
pub struct NewLink {
    /// The organization that the account is to be connected to.
    #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
    pub organization: OrganizationSlug,
    /// `github_cloud`, or `github_enterprise_server` with --forge.
    #[arg(long, value_name = "KIND", conflicts_with_all = ["source", "connection"])]
    pub kind: Option<String>,
    /// The address of a GitHub Enterprise Server.
    #[arg(long, value_name = "URL", conflicts_with_all = ["source", "connection"])]
    pub forge: Option<String>,
    /// The account that the form shows at first.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "connection"])]
    pub account: Option<String>,
    /// A source whose App is to be installed on another account.
    #[arg(long, value_name = "KEY", conflicts_with = "connection")]
    pub source: Option<String>,
    /// A connection that waits for its installation or its owner.
    #[arg(long, value_name = "KEY")]
    pub connection: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub json: Json,
}
