//! Organizations, their connections to forges, and the people in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::break_glass::BreakGlass;
use super::health::Health;
use super::project::Proof;
use super::roster::MemberRules;
use super::{ConnectionKey, Host, OrganizationSlug, SourceKey, Timestamp, id_of};

/// The two families of forges. An on-premise instance speaks the same language as its cloud sibling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    /// github.com and GitHub Enterprise Server.
    Github,
    /// GitLab.com and GitLab Self-Managed.
    Gitlab,
}

impl Forge {
    /// The name used in the API, config and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
        }
    }
}

/// The four kinds of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// github.com.
    GithubCloud,
    /// GitHub Enterprise Server.
    GithubEnterpriseServer,
    /// gitlab.com.
    GitlabCloud,
    /// GitLab Self-Managed.
    GitlabSelfManaged,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] =
        [Self::GithubCloud, Self::GithubEnterpriseServer, Self::GitlabCloud, Self::GitlabSelfManaged];

    /// The name used in the API and config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GithubCloud => "github_cloud",
            Self::GithubEnterpriseServer => "github_enterprise_server",
            Self::GitlabCloud => "gitlab_cloud",
            Self::GitlabSelfManaged => "gitlab_self_managed",
        }
    }

    /// Which language it speaks.
    #[must_use]
    pub const fn forge(self) -> Forge {
        match self {
            Self::GithubCloud | Self::GithubEnterpriseServer => Forge::Github,
            Self::GitlabCloud | Self::GitlabSelfManaged => Forge::Gitlab,
        }
    }

    /// The kind that a forge at this host is.
    #[must_use]
    pub fn of(forge: Forge, host: &Host) -> Self {
        match (forge, host.as_str()) {
            (Forge::Github, "github.com") => Self::GithubCloud,
            (Forge::Github, _) => Self::GithubEnterpriseServer,
            (Forge::Gitlab, "gitlab.com") => Self::GitlabCloud,
            (Forge::Gitlab, _) => Self::GitlabSelfManaged,
        }
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its name in URLs.
    pub slug: OrganizationSlug,
    /// Its name for people.
    pub name: String,
    /// The forge its founder signs in with.
    pub home: Option<Forge>,
    /// The connection that manages who belongs.
    pub authority: Option<ConnectionKey>,
    /// `config`, `cli` or `setup`.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who counts as a member, and as what.
    #[serde(default)]
    pub members: MemberRules,
    /// The admin whom the operator's file names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
}

impl Organization {
    /// Whether a connection of this name at this forge manages the members when nobody says otherwise: at most one does,
    /// at the forge that the founder signs in with (e-6, R-13).
    #[must_use]
    pub fn gives_authority(&self, forge: Forge, key: &ConnectionKey) -> bool {
        self.home == Some(forge) && self.authority.as_ref().is_none_or(|authority| authority == key)
    }
}

/// Where deliveries come from, as the handler needs to know it: no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Part of the hook URL.
    pub key: SourceKey,
    /// Its forge's language.
    pub forge: Forge,
    /// Its forge.
    pub host: Host,
    /// The forge's base URL.
    pub url: url::Url,
    /// Whom it may speak for.
    pub organizations: Vec<OrganizationSlug>,
    /// Declared in the file (then `removed` follows the file), or made here.
    pub created_by: String,
    /// No longer declared: its queued deliveries mean nothing any more.
    pub removed: bool,
    /// The GitHub App behind it, when it was made or entered here.
    #[serde(default)]
    pub app: Option<App>,
}

/// A GitHub App, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its number.
    pub id: u64,
    /// Its name for sign-in.
    pub client_id: Option<String>,
    /// Its name in addresses.
    pub slug: String,
}

/// An account at a forge: an organization, a user, or a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name today.
    pub login: String,
    /// Its number, for ever. `None` until the forge has told us.
    pub external_id: Option<u64>,
}

/// The states of a connection, worst first (rules.md e-54).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// The installation is gone.
    Uninstalled,
    /// Switched off at the forge.
    Suspended,
    /// The credential is refused.
    TokenInvalid,
    /// The forge does not answer.
    Unreachable,
    /// A permission is missing.
    PermissionMissing,
    /// The forge has switched the hook off, or somebody removed it.
    WebhookDisabled,
    /// The hook has told nothing for a day, though a reading has found what it should have told.
    WebhookSilent,
    /// The forge asks us to wait.
    RateLimited,
    /// The credential ends soon.
    TokenExpiring,
    /// Works, but not for every feature.
    Limited,
    /// An owner has yet to approve.
    AwaitingApproval,
    /// Declared; nothing heard yet.
    WaitingFirstJob,
    /// All is well.
    Connected,
}

impl ConnectionState {
    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uninstalled => "uninstalled",
            Self::Suspended => "suspended",
            Self::TokenInvalid => "token_invalid",
            Self::Unreachable => "unreachable",
            Self::PermissionMissing => "permission_missing",
            Self::WebhookDisabled => "webhook_disabled",
            Self::WebhookSilent => "webhook_silent",
            Self::RateLimited => "rate_limited",
            Self::TokenExpiring => "token_expiring",
            Self::Limited => "limited",
            Self::AwaitingApproval => "awaiting_approval",
            Self::WaitingFirstJob => "waiting_first_job",
            Self::Connected => "connected",
        }
    }
}

/// One account at one forge instance, tied to one organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Never changes.
    pub key: ConnectionKey,
    /// Whose it is.
    pub organization: OrganizationSlug,
    /// Which of the four.
    pub kind: Kind,
    /// Its forge.
    pub host: Host,
    /// The forge's base URL.
    pub url: url::Url,
    /// The account.
    pub account: Account,
    /// The source whose secret proves its deliveries.
    pub source: SourceKey,
    /// `app`, `access_token` or `none`.
    pub credential: String,
    /// The source of an App that was made for it and waits for its installation. Until that is bound, all goes on as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_app: Option<SourceKey>,
    /// The last four characters of its token, where it is long enough to show them.
    #[serde(default)]
    pub credential_last4: Option<String>,
    /// GitHub's installation id.
    pub installation: Option<u64>,
    /// Whether it manages the organization's members.
    pub authority: bool,
    /// Every reason for a state that is not `connected`; the worst is the state.
    pub reasons: Vec<ConnectionState>,
    /// `all` or `selected`, once known.
    pub repository_selection: Option<String>,
    /// What the installation may do: permission name to level, as the forge granted it.
    pub permissions: BTreeMap<String, String>,
    /// The newest installation event that was applied, so that an older one changes nothing.
    pub installation_seen_at: Option<Timestamp>,
    /// The member list may be out of date since then.
    pub roster_stale_since: Option<Timestamp>,
    /// When the last event about it was handled.
    pub last_event_at: Option<Timestamp>,
    /// When its lists were last read whole.
    pub last_sync_at: Option<Timestamp>,
    /// When a reading of its members began that was whole: who belongs and was left as they were was confirmed then.
    #[serde(default)]
    pub members_read_at: Option<Timestamp>,
    /// When a reading of its repositories began that was whole.
    #[serde(default)]
    pub projects_read_at: Option<Timestamp>,
    /// It was switched off or on, and not all of its projects are yet: its next task goes on with them.
    #[serde(default)]
    pub projects_lag: bool,
    /// `config`, or who or what made it.
    pub created_by: String,
    /// When it was first recorded.
    pub created_at: Timestamp,
    /// Whether more than a CI job's word stands behind it.
    #[serde(default)]
    pub proof: Proof,
    /// When an admin rejected it: it is blocked from making itself again.
    #[serde(default)]
    pub rejected_at: Option<Timestamp>,
    /// When an admin paused it: nothing is asked of the forge until it is resumed.
    #[serde(default)]
    pub paused_at: Option<Timestamp>,
    /// What the checks have found.
    #[serde(default)]
    pub health: Health,
}

/// What a person may do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// The usual.
    Member,
    /// Looking only.
    ReadOnly,
}

impl Role {
    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::ReadOnly => "read_only",
        }
    }
}

/// Whether a person belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// Said to have joined, or invited; the forge has not confirmed it. Grants nothing.
    Pending,
    /// Belongs.
    Active,
    /// Has left, or was put out. Kept so that history has a name.
    Removed,
}

/// The [`Member::role_source`] of a role that a person has set by hand.
pub const PINNED: &str = "pinned";
/// The [`Member::role_source`] of the admin whom the operator's file names.
pub const BREAK_GLASS: &str = "break_glass";

/// One person in one organization, keyed by host and numeric user id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Whose member.
    pub organization: OrganizationSlug,
    /// The forge that knows the person.
    pub host: Host,
    /// The person's number there.
    pub external_id: u64,
    /// The person's name there today.
    pub login: String,
    /// Names of before, newest first, at most 16.
    pub previous_logins: Vec<String>,
    /// `None` as long as nothing is confirmed.
    pub role: Option<Role>,
    /// `forge`, `pinned` or `break_glass`.
    pub role_source: String,
    /// Whether the person belongs.
    pub state: MemberState,
    /// The connection that said so.
    pub source: ConnectionKey,
    /// The newest event about this membership that was applied.
    pub seen_at: Option<Timestamp>,
    /// When the forge last confirmed it, asked by us.
    pub last_confirmed_at: Option<Timestamp>,
    /// When the person left.
    pub removed_at: Option<Timestamp>,
}

impl Member {
    /// Whether a person has set the role by hand.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.role_source == PINNED
    }

    /// Whether the person belongs and may decide everything. The break-glass admin is not counted on.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.state == MemberState::Active && self.was_admin()
    }

    /// Whether an event has shut the person out until the forge is asked: the role is kept for then.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.state == MemberState::Pending && self.role.is_some()
    }

    /// Whether the person may decide everything, or could before an event has shut them out.
    #[must_use]
    pub fn was_admin(&self) -> bool {
        self.role == Some(Role::Admin) && self.state != MemberState::Removed && !self.is_break_glass()
    }

    /// The id shown to people and used in URLs, made of what makes a member one.
    #[must_use]
    pub fn id(&self) -> String {
        let number = self.external_id.to_string();
        id_of(&["member", self.organization.as_str(), self.host.as_str(), &number])
    }
}
