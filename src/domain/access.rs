//! Who may ask us, and for what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConnectionKey, Host, OrganizationSlug, Timestamp};

/// What a token may do. Each kind is read from the token's prefix and kept with its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Check-ins and reports of CI jobs.
    Ci,
    /// Looking.
    Read,
    /// Everything inside its organization.
    Admin,
}

impl TokenKind {
    /// The name used on the command line and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// What is kept of a token: never the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its id, to name it when it is revoked.
    pub id: String,
    /// SHA-256 of the token, in hex.
    pub hash: String,
    /// What it may do.
    pub kind: TokenKind,
    /// The only organization it sees.
    pub organization: OrganizationSlug,
    /// A name for people.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The one project it speaks for; `None` for the whole organization.
    #[serde(default)]
    pub scope: Option<ProjectScope>,
    /// The person it stands for ([`super::organization::Member::id`]): it opens nothing while that person does not
    /// belong, and ends for good when they are put out. `None` for a program's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// An admin's word that lets a command line have a CI token (`semgrep login`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The organization that the token will speak for.
    pub organization: OrganizationSlug,
    /// The id of the admin's token.
    pub by: String,
    /// Until when it can be fetched.
    pub expires_at: Timestamp,
}

/// What a short-lived token of a CI job may speak for: the project whose job it was given to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectScope {
    /// The connection.
    pub connection: ConnectionKey,
    /// The forge.
    pub host: Host,
    /// The project's number.
    pub number: u64,
    /// The project's id in lists.
    pub project: String,
    /// The commit that the job ran for.
    pub sha: Option<String>,
    /// The pull or merge request that it ran for.
    pub change: Option<u64>,
}

impl TokenRecord {
    /// Whether it still opens anything.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}
