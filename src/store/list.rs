//! Which records a list holds, and which part of it.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::DeliveryState;
use crate::domain::organization::MemberState;
use crate::domain::project::ProjectState;
use crate::domain::task::{Task, TaskKind, TaskState};
use crate::domain::{ConnectionKey, OrganizationSlug, SourceKey, Timestamp};

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
pub struct DeliveryFilter {
    /// Of this organization.
    pub organization: Option<OrganizationSlug>,
    /// From this source.
    pub source: Option<SourceKey>,
    /// About this connection.
    pub connection: Option<ConnectionKey>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of this event.
    pub event: Option<String>,
    /// With this reason.
    pub reason: Option<String>,
    /// With this delivery id at the forge.
    pub external_id: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
}

/// Which projects. By path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectFilter {
    /// Of this organization.
    pub organization: Option<OrganizationSlug>,
    /// Through this connection.
    pub connection: Option<ConnectionKey>,
    /// In this state.
    pub state: Option<ProjectState>,
    /// Path begins with or contains this, letter case aside.
    pub search: Option<String>,
}

/// Which members. By login.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberFilter {
    /// Of this organization.
    pub organization: Option<OrganizationSlug>,
    /// In this state.
    pub state: Option<MemberState>,
    /// With this login.
    pub login: Option<String>,
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
        self.organization.as_ref().is_none_or(|organization| *organization == task.organization)
            && self.connection.as_ref().is_none_or(|connection| *connection == task.connection)
            && self.state.is_none_or(|state| state == task.state)
            && self.kind.is_none_or(|kind| kind == task.kind)
    }
}
