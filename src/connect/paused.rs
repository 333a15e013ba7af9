//! A connection's projects, switched off or on with it.
//!
//! One act holds so many. Where there are more, the connection itself says that they lag behind, in the act that switches
//! it, and a task is wished for that goes on with them: whoever ends half-way leaves nothing half done.

use super::Connections;
use crate::domain::change::Change;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::project::Project;
use crate::domain::task::Performed;
use crate::store::StoreError;

/// Projects read and written at once.
const PIECE: usize = 200;
/// Others that write the same projects are waited for so often.
const TRIES_MAX: usize = 16;

/// Changes, and the versions under which they hold.
pub(super) type Expecting = (Vec<Change>, Vec<(RecordKey, u64)>);

/// Projects that are not as their connection is.
struct Lag {
    expecting: Expecting,
    /// Behind which number there may be more; `None`: there are none.
    after: Option<u64>,
}

impl Connections {
    /// The first of the projects that are to be as the connection is from now on, to be written with it. It says itself
    /// whether there may be more; then the caller wishes for its check, which goes on with them.
    pub(super) async fn projects_paused(&self, connection: &mut Connection) -> Result<Expecting, StoreError> {
        let Lag { expecting, after } = self.lag(connection, None).await?;
        connection.projects_lag = after.is_some();
        Ok(expecting)
    }

    /// Makes all projects as their connection is, unless that is switched again meanwhile.
    pub(super) async fn bring_projects(&self, connection: &Connection) -> Result<(), StoreError> {
        let (mut after, mut tries) = (None, 0_usize);
        loop {
            let Lag { expecting: (changes, expects), after: next } = self.lag(connection, after).await?;
            let is_written = changes.is_empty() || self.store.apply(changes, expects).await?;
            match next {
                None if is_written => return Ok(()),
                Some(_) if is_written => (after, tries) = (next, 0),
                _ => tries = tries.saturating_add(1),
            }
            if tries >= TRIES_MAX {
                return Err(StoreError::Unavailable("the projects are written again and again".into()));
            }
            let now = self.store.connection(&connection.key).await?;
            if now.is_none_or(|now| is_off(&now) != is_off(connection)) {
                return Ok(());
            }
        }
    }

    /// What a check comes to when projects lag behind: they come first, then it comes again.
    pub(super) async fn brought(&self, found: Versioned<Connection>) -> Result<Performed, StoreError> {
        self.bring_projects(&found.value).await?;
        let expects = vec![(RecordKey::Connection(found.value.key.clone()), found.version)];
        let new = Connection { projects_lag: false, ..found.value };
        let changes = vec![self.next_check(&new, self.now()), Change::PutConnection(Box::new(new))];
        Ok(Performed::Done { changes, expects, note: "all of its projects are as it is".into() })
    }

    async fn lag(&self, connection: &Connection, mut after: Option<u64>) -> Result<Lag, StoreError> {
        let (organization, host) = (&connection.organization, &connection.host);
        let paused = is_off(connection);
        let is_other =
            |it: &Versioned<Project>| it.value.connection == connection.key && it.value.paused != paused;
        loop {
            let found = self.store.projects_numbered(organization, host, after, PIECE).await?;
            after = found.last().map(|it| it.value.external_id).filter(|_| found.len() >= PIECE);
            let expecting: Expecting =
                found.into_iter().filter(is_other).map(|it| written(it, paused)).unzip();
            if after.is_none() || !expecting.0.is_empty() {
                return Ok(Lag { expecting, after });
            }
        }
    }
}

fn written(found: Versioned<Project>, paused: bool) -> (Change, (RecordKey, u64)) {
    let it = found.value;
    let key = RecordKey::Project(it.organization.clone(), it.host.clone(), it.external_id);
    (Change::PutProject(Box::new(Project { paused, ..it })), (key, found.version))
}

/// Why nothing is asked for a connection now.
pub(super) fn off(connection: &Connection) -> Option<&'static str> {
    if connection.rejected_at.is_some() {
        return Some("rejected");
    }
    if connection.paused_at.is_some() {
        return Some("paused");
    }
    if connection.reasons.contains(&ConnectionState::Uninstalled) {
        return Some("uninstalled");
    }
    connection.reasons.contains(&ConnectionState::Suspended).then_some("suspended")
}

/// Whether nothing is asked of the forge for it.
pub(super) fn is_off(connection: &Connection) -> bool {
    off(connection).is_some()
}
