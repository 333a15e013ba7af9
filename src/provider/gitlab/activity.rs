//! What happened lately in the projects of a group. GitLab has no list of events of a group; each project has its own.

use async_trait::async_trait;

use super::client::Session;
use crate::domain::Timestamp;
use crate::domain::event::Repository;
use crate::provider::{Events, ProviderError};

/// GitLab notes that a project is active at most once an hour, and its clock is not ours.
const NOTED_WITHIN_MS: i64 = 65 * 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The events of one group's projects.
#[derive(Debug)]
pub struct Activity {
    session: Session,
    group: u64,
}

impl Activity {
    /// Of the group with this number.
    #[must_use]
    pub const fn new(session: Session, group: u64) -> Self {
        Self { session, group }
    }
}

#[async_trait]
impl Events for Activity {
    async fn lively(&self, since: Timestamp) -> Result<Vec<Repository>, ProviderError> {
        let since = since.plus_ms(NOTED_WITHIN_MS.saturating_neg());
        let page = self.session.lively_projects(self.group).await?;
        let is_lively = |at: &str| Timestamp::parse_rfc3339(at).is_some_and(|at| at >= since);
        let lively =
            page.items.into_iter().filter(|row| row.last_activity_at.as_deref().is_some_and(is_lively));
        Ok(lively.map(Repository::from).collect())
    }

    async fn pushed_at(&self, repository: u64, since: Timestamp) -> Result<Option<Timestamp>, ProviderError> {
        // What is asked for are whole days, without the one that is named.
        let day_before = since.plus_ms(DAY_MS.saturating_neg()).rfc3339();
        let day = day_before.get(..10).unwrap_or_default();
        let found = match self.session.newest_push(repository, day).await {
            // It is gone, or shows nobody what happens in it.
            Err(ProviderError::Gone | ProviderError::NotPermitted { .. }) => return Ok(None),
            other => other?,
        };
        let at = found.and_then(|event| Timestamp::parse_rfc3339(&event.created_at));
        Ok(at.filter(|at| *at >= since))
    }
}
