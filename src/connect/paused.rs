//! A connection's projects, switched off or on with it.

use super::Connections;
use crate::domain::change::Change;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::Connection;
use crate::domain::project::Project;
use crate::store::StoreError;

/// Projects read and written at once.
const PIECE: usize = 200;
/// Others that write the same projects are waited for so often.
const TRIES_MAX: usize = 16;

/// Changes, and the versions under which they hold.
pub(super) type Expecting = (Vec<Change>, Vec<(RecordKey, u64)>);

impl Connections {
    /// What makes the connection's projects paused, or live again, to be written with the connection. Of more projects
    /// than one act may hold, all but the last piece are written here already: who repeats it finds them done.
    pub(super) async fn projects_paused(
        &self,
        connection: &Connection,
        paused: bool,
    ) -> Result<Expecting, StoreError> {
        let (organization, host) = (&connection.organization, &connection.host);
        let (mut after, mut tries) = (None, 0_usize);
        loop {
            let found = self.store.projects_numbered(organization, host, after, PIECE).await?;
            let last = found.last().map(|it| it.value.external_id).filter(|_| found.len() >= PIECE);
            let is_other =
                |it: &Versioned<Project>| it.value.connection == connection.key && it.value.paused != paused;
            let (changes, expects): Expecting =
                found.into_iter().filter(is_other).map(|it| written(it, paused)).unzip();
            if last.is_none() {
                return Ok((changes, expects));
            }
            if changes.is_empty() || self.store.apply(changes, expects).await? {
                (after, tries) = (last, 0);
                continue;
            }
            tries = tries.saturating_add(1);
            if tries >= TRIES_MAX {
                return Err(StoreError::Unavailable("the projects are written again and again".into()));
            }
        }
    }
}

fn written(found: Versioned<Project>, paused: bool) -> (Change, (RecordKey, u64)) {
    let it = found.value;
    let key = RecordKey::Project(it.organization.clone(), it.host.clone(), it.external_id);
    (Change::PutProject(Box::new(Project { paused, ..it })), (key, found.version))
}
