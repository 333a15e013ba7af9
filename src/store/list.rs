//! Which records a list holds, and which part of it.

use serde::{Deserialize, Serialize};

use crate::domain::change::AuditEntry;
use crate::domain::delivery::{DeliveryRecord, DeliveryState};
use crate::domain::organization::{Connection, ConnectionState, Forge, Kind, Member, MemberState, Role};
use crate::domain::project::{Project, ProjectState, Proof, Visibility};
use crate::domain::task::{Task, TaskKind, TaskState};
use crate::domain::{ConnectionKey, DeliveryId, Host, OrganizationSlug, SourceKey, Timestamp};

/// Rows looked at for one page, at most: a page may be shorter than asked for and still not be the last.
pub(super) const SEEN_MAX: usize = 5_000;

/// Whether a record has what is asked for, if anything is.
fn same<T: PartialEq>(want: Option<&T>, have: &T) -> bool {
    want.is_none_or(|want| want == have)
}

/// The same of what a record need not have.
fn has<T: PartialEq>(want: Option<&T>, have: Option<&T>) -> bool {
    want.is_none() || want == have
}

fn within(since: Option<Timestamp>, until: Option<Timestamp>, at: Timestamp) -> bool {
    since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// At most so many, 1 to 200.
    pub limit: usize,
    /// Where the page before ended; opaque.
    pub cursor: Option<String>,
}

/// One part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The records.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// Which deliveries. Newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryFilter {
    /// Of this organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationSlug>,
    /// From this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceKey>,
    /// About this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionKey>,
    /// From a forge of this family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Forge>,
    /// In this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// With this action of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// With this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With this delivery id at the forge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Received at or after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Received before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Behind this one in the list: where a walk goes on that outlives its pages.
    #[serde(skip)]
    pub behind: Option<DeliveryId>,
}

impl DeliveryFilter {
    /// As the subject of a task: the same text for the same filter.
    #[must_use]
    pub fn to_subject(&self) -> String {
        // Plain data of our own: writing it as JSON cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads [`Self::to_subject`]; `None`: it is none.
    #[must_use]
    pub fn of_subject(subject: &str) -> Option<Self> {
        // Nothing but an object: a list would be read as one without any condition.
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(subject).ok()?;
        serde_json::from_value(object.into()).ok()
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn wants(&self, record: &DeliveryRecord) -> bool {
        has(self.organization.as_ref(), record.organization.as_ref())
            && same(self.source.as_ref(), &record.source)
            && has(self.connection.as_ref(), record.connection.as_ref())
            && self.provider.is_none_or(|forge| forge.as_str() == record.provider)
            && same(self.state.as_ref(), &record.state)
            && same(self.event.as_ref(), &record.event)
            && has(self.action.as_ref(), record.action.as_ref())
            && has(self.reason.as_ref(), record.reason.as_ref())
            && same(self.external_id.as_ref(), &record.external_id)
            && within(self.since, self.until, record.received_at)
            && self.behind.is_none_or(|id| record.id < id)
    }
}

/// Which connections. By key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionFilter {
    /// Of this organization.
    pub organization: Option<OrganizationSlug>,
    /// In this state.
    pub state: Option<ConnectionState>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Only those that manage members, or only those that do not.
    pub authority: Option<bool>,
}

impl ConnectionFilter {
    /// All of one organization, or of all.
    #[must_use]
    pub fn of(organization: Option<OrganizationSlug>) -> Self {
        Self { organization, ..Self::default() }
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn wants(&self, connection: &Connection) -> bool {
        same(self.organization.as_ref(), &connection.organization)
            && self.state.is_none_or(|state| state == connection.state())
            && same(self.kind.as_ref(), &connection.kind)
            && same(self.authority.as_ref(), &connection.authority)
    }
}

/// Which projects. By path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectFilter {
    /// Of this organization.
    pub organization: Option<OrganizationSlug>,
    /// Through this connection.
    pub connection: Option<ConnectionKey>,
    /// At a forge of this family.
    pub provider: Option<Forge>,
    /// At this forge.
    pub host: Option<Host>,
    /// In this state.
    pub state: Option<ProjectState>,
    /// Seen by these.
    pub visibility: Option<Visibility>,
    /// Only those that are archived at the forge, or only those that are not.
    pub archived: Option<bool>,
    /// Whose CI came to this.
    pub ci_state: Option<String>,
    /// Of which we are so sure.
    pub proof: Option<Proof>,
    /// Path begins with or contains this, letter case aside.
    pub search: Option<String>,
}

impl ProjectFilter {
    /// Whether it is one of them.
    #[must_use]
    pub fn wants(&self, project: &Project) -> bool {
        let holds = |text: &String| project.full_path.to_lowercase().contains(&text.to_lowercase());
        same(self.organization.as_ref(), &project.organization)
            && same(self.connection.as_ref(), &project.connection)
            && same(self.provider.as_ref(), &project.provider)
            && same(self.host.as_ref(), &project.host)
            && self.state.is_none_or(|state| state == project.state())
            && has(self.visibility.as_ref(), project.visibility.as_ref())
            && same(self.archived.as_ref(), &project.archived)
            && same(self.ci_state.as_ref(), &project.ci_state)
            && same(self.proof.as_ref(), &project.proof)
            && self.search.as_ref().is_none_or(holds)
    }
}

/// Which members. By login.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberFilter {
    /// Of this organization.
    pub organization: Option<OrganizationSlug>,
    /// In this state.
    pub state: Option<MemberState>,
    /// With this role.
    pub role: Option<Role>,
    /// Known to this forge.
    pub host: Option<Host>,
    /// With this login, letter case aside.
    pub login: Option<String>,
}

impl MemberFilter {
    /// Whether it is one of them.
    #[must_use]
    pub fn wants(&self, member: &Member) -> bool {
        same(self.organization.as_ref(), &member.organization)
            && same(self.state.as_ref(), &member.state)
            && has(self.role.as_ref(), member.role.as_ref())
            && same(self.host.as_ref(), &member.host)
            && self.login.as_ref().is_none_or(|login| login.to_lowercase() == member.login.to_lowercase())
    }
}

/// Which lines of the audit log. Newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Of this organization.
    pub organization: Option<OrganizationSlug>,
    /// By this one.
    pub actor: Option<String>,
    /// About this having been done.
    pub action: Option<String>,
    /// Written at or after.
    pub since: Option<Timestamp>,
    /// Written before.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// All of one organization, or of all.
    #[must_use]
    pub fn of(organization: Option<OrganizationSlug>) -> Self {
        Self { organization, ..Self::default() }
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn wants(&self, line: &AuditEntry) -> bool {
        has(self.organization.as_ref(), line.organization.as_ref())
            && same(self.actor.as_ref(), &line.actor)
            && same(self.action.as_ref(), &line.action)
            && within(self.since, self.until, line.at)
    }
}

/// Which findings. By project, branch and mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingFilter {
    /// Of this organization.
    pub organization: OrganizationSlug,
    /// Of the project with this id.
    pub project: Option<String>,
    /// Of the project with this path.
    pub full_path: Option<String>,
    /// On this branch.
    pub git_ref: Option<String>,
    /// Only those that are open, or only those that are not.
    pub is_open: Option<bool>,
}

/// Which tasks. The one that was wished last first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFilter {
    /// Of this organization.
    pub organization: Option<OrganizationSlug>,
    /// Through this connection.
    pub connection: Option<ConnectionKey>,
    /// In this state.
    pub state: Option<TaskState>,
    /// Of this kind.
    pub kind: Option<TaskKind>,
}

impl TaskFilter {
    /// Whether it is one of them.
    #[must_use]
    pub fn wants(&self, task: &Task) -> bool {
        has(self.organization.as_ref(), task.organization.as_ref())
            && has(self.connection.as_ref(), task.connection.as_ref())
            && same(self.state.as_ref(), &task.state)
            && same(self.kind.as_ref(), &task.kind)
    }
}
