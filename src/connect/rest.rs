//! Connections of which nothing may be asked: what was minted for them is let go of, what was to be changed through them
//! waits or is dropped, and what they are believed by is erased when they do not come back (e-57, e-58, S34).

use super::{Connections, line};
use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::task::{Performed, Task};
use crate::store::StoreError;

const MINUTE_MS: i64 = 60_000;
/// What was to be changed at the forge is dropped after so long.
const WAITS_MS: i64 = 24 * 60 * MINUTE_MS;
/// Until then, so often it is looked whether it may be done.
const AGAIN_MS: i64 = 10 * MINUTE_MS;

impl Connections {
    /// What a check comes to when nothing may be asked. Credentials whose time is over are erased.
    pub(super) async fn rested(
        &self,
        found: &Versioned<Connection>,
        why: &str,
    ) -> Result<Performed, StoreError> {
        let old = &found.value;
        self.forget(old);
        let note = format!("nothing was asked: it is {why}");
        let is_over = old.erased_at().is_some_and(|at| at <= self.now());
        if !is_over || self.forges.is_of_file(old) {
            return Ok(Performed::noted(note));
        }
        let (mut changes, mut expects) = self.destroyed(old).await?;
        let detail = "its account did not come back, so that its credentials are erased";
        changes.push(line(old, "system", "secret.erased", detail, self.now()));
        changes.push(Change::PutConnection(Box::new(without_credential(old))));
        expects.push((RecordKey::Connection(old.key.clone()), found.version));
        Ok(Performed::Done { changes, expects, note: format!("{note}; its credentials are erased") })
    }
}

/// The connection when nothing is left that the forge would believe it by.
pub(super) fn without_credential(old: &Connection) -> Connection {
    let mut new = Connection { credential: "none".into(), credential_last4: None, ..old.clone() };
    new.health.hooks.clear();
    new.health.capabilities.clear();
    new
}

/// What becomes of a task that would change something at the forge while its connection is off: it waits for a day. What
/// has ended is not waited for.
pub(super) fn held(task: &Task, connection: &Connection, why: &str, now: Timestamp) -> Performed {
    let has_ended =
        connection.reasons.contains(&ConnectionState::Uninstalled) || connection.rejected_at.is_some();
    let error = format!("the connection is {why}");
    if has_ended || now.since(task.wished_at) >= WAITS_MS {
        return Performed::Failed { error: format!("{error}: it was dropped; ask for it again") };
    }
    Performed::Later { at: Some(now.plus_ms(AGAIN_MS)), error: format!("{error}: it waits, a day at most") }
}
