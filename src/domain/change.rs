//! What an event changes: plain data, decided by a handler, applied by a store.

use serde::{Deserialize, Serialize};

use super::access::TokenRecord;
use super::audit::Link;
use super::ci::CheckIn;
use super::credential::{CredentialKind, CredentialOwner, SealedCredential};
use super::known::RecordKey;
use super::organization::{Connection, Member, Organization, Source};
use super::pipeline::Pipeline;
use super::project::Project;
use super::roster::Hold;
use super::scan::Scan;
use super::task::Wish;
use super::{ConnectionKey, Host, OrganizationSlug, Timestamp, id_of};

/// One record to write. A store has one arm for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Write an organization.
    PutOrganization(Organization),
    /// Write a source.
    PutSource(Source),
    /// Write a connection.
    PutConnection(Box<Connection>),
    /// Write a project.
    PutProject(Box<Project>),
    /// Write a member.
    PutMember(Box<Member>),
    /// Write a run.
    PutPipeline(Box<Pipeline>),
    /// Take a claimed project away: it lives on under its proven number.
    DropProject(OrganizationSlug, Host, u64),
    /// Write a check-in.
    PutCheckIn(Box<CheckIn>),
    /// Write a scan.
    PutScan(Box<Scan>),
    /// Write a token's record.
    PutToken(Box<TokenRecord>),
    /// End all that a person could come in with: the tokens that stand for this member ([`Member::id`]).
    EndAccess(String, Timestamp),
    /// Write the removals that wait for a person.
    PutHold(Box<Hold>),
    /// Nothing waits any more.
    DropHold(OrganizationSlug),
    /// Write a credential, in place of the one before.
    PutCredential(Box<SealedCredential>),
    /// Destroy a credential.
    DropCredential(CredentialOwner, CredentialKind),
    /// Have something done outside.
    Wish(Box<Wish>),
    /// Add a line to the audit log.
    Audit(AuditEntry),
}

/// Who did what to what, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Whose log; `None` for the operator's own.
    pub organization: Option<OrganizationSlug>,
    /// `webhook`, `config`, `cli`, `setup`, `api_token`, `sync`, `system`.
    pub actor: String,
    /// A stable word: `member.removed`, `delivery.foreign-tenant`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// More, without secrets, at most 512 bytes.
    pub detail: String,
    /// What it was before, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it is since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What led to it: an event, a reading of a list, a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its place in its organization's chain. The store gives it; whoever writes a line leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

impl AuditEntry {
    /// The id shown to people and used in URLs. It begins with the time, so that a store finds the line without an
    /// index of its own. Two lines that are equal in everything are one to a reader.
    #[must_use]
    pub fn id(&self) -> String {
        let organization = self.organization.as_ref().map_or("", |slug| slug.as_str());
        let mut parts = vec!["audit", organization, &self.actor, &self.action, &self.subject, &self.detail];
        parts.extend([&self.before, &self.after, &self.why].into_iter().flatten().map(String::as_str));
        let rest = id_of(&parts);
        format!("{:016x}{rest}", self.at.ms())
    }

    /// The time in an id; `None` when it is no line's id.
    #[must_use]
    pub fn time_in(id: &str) -> Option<Timestamp> {
        let (at, _) = id.split_at_checked(16)?;
        u64::from_str_radix(at, 16).ok().map(|ms| Timestamp::from_ms(ms.cast_signed()))
    }
}

/// The end that a handler sees for a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was handled.
    Done,
    /// It means nothing here, for a stable reason.
    Ignored(Reason),
    /// Something newer was known; says what.
    Superseded(String),
    /// Nobody has bound its account yet.
    Unbound,
}

/// Why a genuine delivery means nothing here. The words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No rule wants this event.
    Unwanted,
    /// Its account belongs to an organization for which the source may not speak.
    ForeignTenant,
    /// No connection manages this organization's members, or not this one.
    NoAuthority,
    /// Its source is no longer declared.
    SourceRemoved,
    /// An admin of the organization has rejected its account.
    AccountRejected,
}

impl Reason {
    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unwanted => "unwanted",
            Self::ForeignTenant => "foreign-tenant",
            Self::NoAuthority => "no-authority",
            Self::SourceRemoved => "source-removed",
            Self::AccountRejected => "account-rejected",
        }
    }
}

/// A handler's whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// How the delivery ends.
    pub verdict: Verdict,
    /// Whose it turned out to be.
    pub organization: Option<OrganizationSlug>,
    /// Which connection it was about.
    pub connection: Option<ConnectionKey>,
    /// The records that were looked at, with their versions; the store settles only if they still hold.
    pub expects: Vec<(RecordKey, u64)>,
    /// What to write.
    pub changes: Vec<Change>,
}

impl Changes {
    /// An end without any writing.
    #[must_use]
    pub fn none(verdict: Verdict) -> Self {
        Self { verdict, organization: None, connection: None, expects: Vec::new(), changes: Vec::new() }
    }
}
