//! What people and tasks ask of the follower: a plan to look at, or that a task be done.

use std::sync::Arc;

use super::task::{Directories, NoDirectory};
use super::{CaughtUp, Follower, MembersSynced, Mode, SyncError, Whose};
use crate::domain::organization::{Connection, Organization};
use crate::domain::roster::MemberRules;
use crate::domain::task::{Performed, Task};
use crate::store::{Store, StoreError};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// No connection manages the organization's members.
    #[error("no connection manages the members of this organization")]
    NoAuthority,
    /// Nothing can be asked of the forge now.
    #[error("{0}")]
    NotNow(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The follower with the ways to the forges.
pub struct Desk {
    follower: Follower,
    directories: Arc<dyn Directories>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    /// With these ways.
    #[must_use]
    pub fn new(follower: Follower, directories: Arc<dyn Directories>) -> Self {
        Self { follower, directories }
    }

    /// Does what a task about members asks for.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn perform(&self, task: &Task) -> Result<Performed, StoreError> {
        self.follower.perform(self.directories.as_ref(), task).await
    }

    /// What a sync would do, by the organization's rules or by others that somebody thinks of. Nothing is changed.
    ///
    /// # Errors
    /// When the forge or the store does not answer, or nobody manages the members.
    pub async fn plan(
        &self,
        organization: &Organization,
        rules: Option<MemberRules>,
    ) -> Result<MembersSynced, NoPlan> {
        let key = organization.authority.as_ref().ok_or(NoPlan::NoAuthority)?;
        let connection = self.follower.store.connection(key).await?.ok_or(NoPlan::NoAuthority)?;
        self.planned(organization, &connection, rules).await
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.follower.store.as_ref()
    }

    /// The plan by a connection's lists, whether it manages the members or not.
    pub(super) async fn planned(
        &self,
        organization: &Organization,
        connection: &Connection,
        rules: Option<MemberRules>,
    ) -> Result<MembersSynced, NoPlan> {
        let directory = self.directories.directory(connection).await.map_err(no_plan)?;
        let members = rules.unwrap_or_else(|| organization.members.clone());
        let organization = Organization { members, ..organization.clone() };
        let whose = Whose { organization: &organization, connection };
        self.follower.members(directory.as_ref(), whose, Mode::DryRun).await.map_err(|error| match error {
            SyncError::Store(error) => NoPlan::Store(error),
            other => NoPlan::NotNow(other.to_string()),
        })
    }

    /// What was missed at a connection's source, by the forge's own log. Nothing is asked for.
    ///
    /// # Errors
    /// When the forge or the store does not answer.
    pub async fn missed(&self, connection: &Connection) -> Result<CaughtUp, NoPlan> {
        let logs = self.directories.logs(connection).await.map_err(no_plan)?;
        self.follower.catch_up(&logs, connection, Mode::DryRun).await.map_err(|error| match error {
            SyncError::Store(error) => NoPlan::Store(error),
            other => NoPlan::NotNow(other.to_string()),
        })
    }
}

fn no_plan(error: NoDirectory) -> NoPlan {
    match error {
        NoDirectory::Store(error) => NoPlan::Store(error),
        other => NoPlan::NotNow(other.to_string()),
    }
}
