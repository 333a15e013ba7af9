//! What a reading finds that a hook should have told: noted at the connection, so that a check sees a hook that is silent
//! (e-56).

use super::lamp::lamp;
use super::{Follower, MembersSynced, ProjectsSynced, Reach, SyncError};
use crate::domain::Timestamp;
use crate::domain::health::Channel;
use crate::domain::organization::Connection;
use crate::domain::roster::{What, Why};

impl Follower {
    /// Whether the hook has failed to tell news that a reading has found. A first reading finds nothing but news; where
    /// forges do not reach us, or nobody listened since the reading before, it is not the hook's fault.
    pub(super) async fn is_unheard(
        &self,
        read_before: Option<Timestamp>,
        has_news: bool,
    ) -> Result<bool, SyncError> {
        let Some(before) = read_before.filter(|_| has_news && self.reach == Reach::Reached) else {
            return Ok(false);
        };
        let lamp = lamp(self.store.as_ref()).await?;
        Ok(lamp.is_none_or(|lamp| lamp.dark_since(before).is_none()))
    }
}

impl ProjectsSynced {
    /// Whether there is something that the connection's hook tells of. GitLab's tells which projects come and go, and not
    /// how they change.
    pub(super) fn has_news(&self, connection: &Connection) -> bool {
        let changed = if connection.health.channel == Channel::GroupHook { 0 } else { self.changed };
        connection.is_told() && (self.found, changed, self.gone) != (0, 0, 0)
    }
}

impl MembersSynced {
    /// The same of people: who comes and who leaves. No hook tells of another role.
    pub(super) fn has_news(&self, connection: &Connection) -> bool {
        let is_news = |what: &What| matches!(what, What::Join { .. } | What::Remove { why: Why::Left, .. });
        // What an event has told is asked about singly, and what is held may be a list that lies.
        let told: Vec<u64> = self.plan.doubtful().collect();
        let mut steps = self.plan.steps.iter().filter(|step| !told.contains(&step.id));
        connection.is_told() && !self.waits() && steps.any(|step| is_news(&step.what))
    }
}
