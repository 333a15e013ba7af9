//! A connection's projects, switched off or on with it.

use super::Connections;
use crate::domain::change::Change;
use crate::domain::organization::Connection;
use crate::domain::project::Project;
use crate::store::{Page, ProjectFilter, StoreError};

/// Projects read at once.
const PIECE: usize = 200;

impl Connections {
    /// What makes the connection's projects paused, or live again.
    pub(super) async fn projects_paused(
        &self,
        connection: &Connection,
        paused: bool,
    ) -> Result<Vec<Change>, StoreError> {
        let filter = ProjectFilter {
            organization: Some(connection.organization.clone()),
            connection: Some(connection.key.clone()),
            ..ProjectFilter::default()
        };
        let (mut changes, mut cursor) = (Vec::new(), None);
        loop {
            let found = self.store.projects(&filter, &Page { limit: PIECE, cursor }).await?;
            let other = found.items.into_iter().filter(|project| project.paused != paused);
            changes.extend(other.map(|it| Change::PutProject(Box::new(Project { paused, ..it }))));
            cursor = found.next;
            if cursor.is_none() {
                return Ok(changes);
            }
        }
    }
}
