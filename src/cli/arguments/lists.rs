//! What the lists of records can be asked for.

use clap::{Args, Subcommand};

use super::{Json, Part};
use crate::domain::OrganizationSlug;

/// Which connections.
#[derive(Debug, Clone, Default, Args)]
pub struct ConnectionChoice {
    /// Of this organization.
    #[arg(long, value_name = "SLUG")]
    pub organization: Option<String>,
    /// In this state.
    #[arg(long, value_parser = ["uninstalled", "suspended", "token_invalid", "unreachable", "permission_missing",
        "webhook_disabled", "webhook_silent", "rate_limited", "token_expiring", "limited", "awaiting_approval", "waiting_first_job",
        "connected"])]
    pub state: Option<String>,
    /// Of this kind.
    #[arg(long, value_parser = ["github_cloud", "github_enterprise_server", "gitlab_cloud", "gitlab_self_managed"])]
    pub kind: Option<String>,
    /// Only those that manage their organization's members, or only those that do not.
    #[arg(long, value_name = "true|false")]
    pub authority: Option<bool>,
}

/// Which projects.
#[derive(Debug, Clone, Default, Args)]
pub struct ProjectChoice {
    /// Of this organization.
    #[arg(long, value_name = "SLUG")]
    pub organization: Option<String>,
    /// Through this connection.
    #[arg(long, value_name = "KEY")]
    pub connection: Option<String>,
    /// At a forge of this family.
    #[arg(long, value_parser = ["github", "gitlab"])]
    pub provider: Option<String>,
    /// At this forge, such as github.com.
    #[arg(long)]
    pub host: Option<String>,
    /// In this state.
    #[arg(long, value_parser = ["waiting", "active", "not_set_up", "paused", "archived", "removed", "moved_away"])]
    pub state: Option<String>,
    /// Seen by these.
    #[arg(long, value_parser = ["public", "internal", "private"])]
    pub visibility: Option<String>,
    /// Only those that are archived at their forge, or only those that are not.
    #[arg(long, value_name = "true|false")]
    pub archived: Option<bool>,
    /// Whose CI came to this.
    #[arg(long, value_parser = ["none", "running", "passing", "failing"])]
    pub ci_state: Option<String>,
    /// Of which it is so sure: claimed ones only a CI job has told of.
    #[arg(long, value_parser = ["proven", "claimed"])]
    pub proof: Option<String>,
    /// Whose path holds this.
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
}

/// Which members.
#[derive(Debug, Clone, Default, Args)]
pub struct MemberChoice {
    /// Of this organization.
    #[arg(long, value_name = "SLUG")]
    pub organization: Option<String>,
    /// In this state.
    #[arg(long, value_parser = ["pending", "active", "removed"])]
    pub state: Option<String>,
    /// With this role.
    #[arg(long, value_parser = ["admin", "member", "read_only"])]
    pub role: Option<String>,
    /// Known to this forge, such as github.com.
    #[arg(long)]
    pub host: Option<String>,
    /// With this name at the forge, letter case aside.
    #[arg(long)]
    pub login: Option<String>,
}

/// Which lines of the audit log.
#[derive(Debug, Clone, Default, Args)]
pub struct AuditChoice {
    /// Of this organization.
    #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
    pub organization: Option<OrganizationSlug>,
    /// By this one: cli, config, setup, api_token:ID or a source.
    #[arg(long)]
    pub actor: Option<String>,
    /// About this having been done, such as connection.created.
    #[arg(long)]
    pub action: Option<String>,
    /// Written at or after: a time such as 2026-01-31T08:00:00Z, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Written before: likewise.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// Tasks.
#[derive(Debug, Subcommand)]
pub enum TasksCommand {
    /// List tasks, the one that was wished last first
    #[command(after_help = "Example:\n  scm-connect tasks list --state failed")]
    List {
        /// Of this organization.
        #[arg(long, value_name = "SLUG")]
        organization: Option<String>,
        /// Through this connection.
        #[arg(long, value_name = "KEY")]
        connection: Option<String>,
        /// In this state.
        #[arg(long, value_parser = ["queued", "working", "waiting", "done", "failed", "cancelled"])]
        state: Option<String>,
        /// Of this kind.
        #[arg(long, value_parser = ["check_connection", "sync_connection", "sync_members", "sync_person", "catch_up",
            "disconnect_connection", "rotate_token", "replay_deliveries"])]
        kind: Option<String>,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
    /// Show one task: how far it is, what came of it, when it runs next
    Show {
        /// Its id.
        id: String,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
    /// End a replay of many deliveries before it is done; what it has queued stays queued
    Cancel {
        /// Its id.
        id: String,
        /// How to print.
        #[command(flatten)]
        json: Json,
    },
}

/// Findings.
#[derive(Debug, Subcommand)]
pub enum FindingsCommand {
    /// List what scanners found, by project, branch and rule
    #[command(
        after_help = "Example:\n  scm-connect findings list --organization acme --repo acme/site --state open"
    )]
    List {
        /// Of this organization.
        #[arg(long, value_parser = OrganizationSlug::parse, value_name = "SLUG")]
        organization: Option<OrganizationSlug>,
        /// Of the project with this id.
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// Of the project with this path.
        #[arg(long, value_name = "PATH")]
        repo: Option<String>,
        /// On this branch or tag.
        #[arg(long = "ref", value_name = "NAME")]
        git_ref: Option<String>,
        /// Only those that are open, or fixed.
        #[arg(long, value_parser = ["open", "fixed"])]
        state: Option<String>,
        /// Which part.
        #[command(flatten)]
        list: Part,
    },
}
