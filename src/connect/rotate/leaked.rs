//! What proves a source's deliveries has leaked: it is replaced as ever, and ends as soon as the forge has its successor.
//! Where it was replaced already and still counts, it ends now.
//!
//! The end is written with the end of the task that is about it, in one act: whoever goes on after a crash either still
//! has to end it or has nothing left to do.

use super::super::hook_secret::{self, Stage};
use super::super::{Connections, NotReady};
use super::Part;
use crate::domain::change::Change;
use crate::domain::credential::CredentialOwner;
use crate::domain::known::RecordKey;
use crate::domain::task::{Performed, Task, Wish};

/// The subject of a task that ends the old secret, too. It is about the secrets of hooks alone.
pub(in super::super) const LEAKED: &str = "leaked";
/// What was refused is asked for so long after: by then each door knows the end of the old secret.
const MISSED_MS: i64 = 30_000;

impl Connections {
    /// Ends the old secret once its successor is at the forge, as what came of that says.
    pub(super) async fn end_leaked(&self, task: &Task, replaced: Part) -> Result<Performed, NotReady> {
        match replaced {
            Part::Stop(performed) => return Ok(performed),
            Part::Nothing(error) => return Ok(Performed::Failed { error }),
            Part::Did(_) => {}
        }
        let changed =
            || Performed::Later { at: Some(self.now()), error: "the connection has changed".into() };
        let Some(found) = self.connection(task).await? else { return Ok(super::gone()) };
        let connection = found.value;
        let Some(source) = self.store.versioned_source(&connection.source).await? else {
            return Ok(changed());
        };
        let owner = CredentialOwner::Source(source.value.key.clone());
        let Stage::Overlap { .. } = Stage::of(&self.store.credentials(&owner).await?) else {
            return Ok(changed());
        };
        let now = self.now();
        let expects = vec![
            (RecordKey::Source(source.value.key.clone()), source.version),
            (RecordKey::Connection(connection.key.clone()), found.version),
        ];
        let mut changes = hook_secret::retired((&connection, &task.wished_by), source.value, now);
        let missed = connection.missed("system", now);
        changes.push(Change::Wish(Box::new(Wish { due_at: now.plus_ms(MISSED_MS), ..missed })));
        let mut new = connection;
        new.health.old_secret_until = None;
        changes.push(Change::PutConnection(Box::new(new)));
        Ok(Performed::Done { changes, expects, note: NOTE.into() })
    }
}

/// What was done, and what it costs.
const NOTE: &str = "its hooks have another secret, and the old one counts no more, at any process within ten seconds; \
                    what was on its way with the old one is refused, and asked for again where the forge keeps a log. \
                    If the new one is what has leaked, do the same again";
