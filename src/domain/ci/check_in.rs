//! What came of a job's check-in, and what an operator allows.

use serde::{Deserialize, Serialize};

use crate::domain::access::ProjectScope;
use crate::domain::organization::Kind;
use crate::domain::project::Proof;
use crate::domain::{ConnectionKey, Host, OrganizationSlug, Timestamp};

/// One check-in, as it is remembered: the same token gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckIn {
    /// The run's id, made of what makes it one: issuer and token number, or what was claimed.
    pub id: String,
    /// Whose it is.
    pub organization: OrganizationSlug,
    /// Its connection.
    pub connection: ConnectionKey,
    /// Which of the four kinds that is.
    pub kind: Kind,
    /// The forge.
    pub host: Host,
    /// The project's id in lists.
    pub project: String,
    /// What the project was called then.
    pub full_path: String,
    /// Whether the forge signed for it.
    pub proof: Proof,
    /// The forge's own name of the job.
    pub job: Option<String>,
    /// What started it.
    pub event: Option<String>,
    /// Branch or tag.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// The token's subject, to be shown.
    pub subject: Option<String>,
    /// It made the connection.
    pub made_connection: bool,
    /// It made the project.
    pub made_project: bool,
    /// The short-lived token that was handed out for it: what it speaks for, and until when.
    pub token: Option<(ProjectScope, Timestamp)>,
    /// When it came.
    pub at: Timestamp,
}

/// What a check-in may do by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Whether it may make a connection.
    pub auto_connect: bool,
    /// For which accounts; empty means any but a person's own.
    pub accounts: Vec<String>,
    /// Whether a claim is refused.
    pub require_proof: bool,
}

/// Why a check-in came to nothing. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// The token was used by another job.
    #[error("the ID token belongs to another job")]
    TokenUsed,
    /// A claim for a forge that no connection is at.
    #[error("no connection is at this forge")]
    UnknownForge,
    /// A claim where proof is asked for.
    #[error("this server takes check-ins with an ID token only")]
    ProofRequired,
    /// An ID token alone, for something never heard of.
    #[error("nothing is recorded under this project's number or its group's")]
    NotRecorded,
    /// It would make something, and a stranger had a hand in it.
    #[error("a job of a fork, or one that strangers can start, makes nothing")]
    Stranger,
    /// A person's own namespace, which the operator has not listed.
    #[error("the project is in a person's own namespace")]
    Personal,
    /// The operator wants no connections to make themselves.
    #[error("connections do not make themselves on this server")]
    AutoConnectOff,
    /// The operator has listed other accounts.
    #[error("the account is not among those that may connect themselves")]
    NotListed,
    /// An admin has rejected the account.
    #[error("an admin of the organization has rejected this account")]
    Rejected,
    /// It cannot be connected to this organization. By whom it is held is told to nobody.
    #[error("the account cannot be connected to this organization")]
    Unavailable,
}
