//! What happened in projects, where nobody can tell: their forge's lists of events are looked through (e-73).
//!
//! An event is a hint here as elsewhere. That something was pushed is noted; a project that is not known, or is called
//! otherwise, has the whole list read, which alone says what there is.

use super::catch_up::PIECE;
use super::task::{Directories, NoDirectory};
use super::{Follower, Reach, SyncError};
use crate::domain::change::Change;
use crate::domain::event::Repository;
use crate::domain::known::RecordKey;
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::project::Project;
use crate::domain::task::{TaskKind, Wish};
use crate::domain::{SourceKey, Timestamp};
use crate::provider::Events;
use crate::store::{ConnectionFilter, Page};

/// After a longer silence the lists are read anyway.
const BACK_MS: i64 = 24 * 60 * 60 * 1000;
/// Looked at twice, as a forge may show an event late.
const LATE_MS: i64 = 2 * 60 * 1000;

/// What came of a look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventsSeen {
    /// Projects in which something may have happened.
    pub looked: usize,
    /// Of these, those to which something was pushed that was not known.
    pub pushed: usize,
    /// Those that are not known, or not by this name.
    pub strange: usize,
}

impl EventsSeen {
    /// In a sentence.
    #[must_use]
    pub fn sentence(self) -> String {
        let Self { looked, pushed, strange } = self;
        format!("{looked} projects looked at: {pushed} pushed to, {strange} new or renamed")
    }
}

impl Follower {
    /// Looks at the events of those connections of a source of which nobody tells. `None`: its forge has no lists of
    /// events that are read.
    pub(super) async fn happenings(
        &self,
        directories: &dyn Directories,
        source: &SourceKey,
    ) -> Result<Option<EventsSeen>, NoDirectory> {
        let (mut all, mut cursor) = (None, None);
        loop {
            let found =
                self.store.connections(&ConnectionFilter::default(), &Page { limit: PIECE, cursor }).await?;
            let is_refused = |it: &Connection| it.reasons.contains(&ConnectionState::TokenInvalid);
            let is_polled = |it: &&Connection| self.reach.of(it) == Reach::Polling;
            let ours = found.items.iter().filter(|it| it.source == *source && !is_refused(it));
            for connection in ours.filter(is_polled) {
                let events = match directories.events(connection).await {
                    Ok(Some(events)) => events,
                    Ok(None) | Err(NoDirectory::Quiet(_)) => continue,
                    Err(error) => return Err(error),
                };
                let seen = self.look_at(events.as_ref(), connection).await.map_err(no_look)?;
                let sum: &mut EventsSeen = all.get_or_insert_default();
                sum.looked = sum.looked.saturating_add(seen.looked);
                sum.pushed = sum.pushed.saturating_add(seen.pushed);
                sum.strange = sum.strange.saturating_add(seen.strange);
            }
            cursor = found.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// Looks at what has happened in a connection's projects since the last look.
    ///
    /// # Errors
    /// When the forge or the store does not answer: the next look begins where this one did.
    pub async fn look_at(
        &self,
        events: &dyn Events,
        connection: &Connection,
    ) -> Result<EventsSeen, SyncError> {
        let (mark, now) = (format!("events {}", connection.key), self.now());
        let known = self.store.mark(&mark).await?;
        let last = known.as_ref().and_then(|known| known.value.parse().ok()).map(Timestamp::from_ms);
        let earliest = now.plus_ms(BACK_MS.saturating_neg());
        // A time that has not come was written by a clock that has been set back.
        let since = last.filter(|at| *at <= now).map_or(earliest, |at| at.plus_ms(LATE_MS.saturating_neg()));
        let since = since.max(earliest);
        let mut seen = EventsSeen::default();
        for told in events.lively(since).await? {
            seen.looked = seen.looked.saturating_add(1);
            let pushed_at = events.pushed_at(told.id, since).await?;
            self.note_push(connection, &told, pushed_at, &mut seen).await?;
        }
        if seen.strange > 0 {
            let kind = TaskKind::SyncConnection;
            let wish = Wish::now(kind, &connection.organization, &connection.key, "events", now);
            self.store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await?;
        }
        let version = known.map_or(0, |known| known.version);
        // If another process has looked as well, its word is as good.
        self.store.set_mark(&mark, version, now.ms().to_string()).await?;
        Ok(seen)
    }

    async fn note_push(
        &self,
        connection: &Connection,
        told: &Repository,
        pushed_at: Option<Timestamp>,
        seen: &mut EventsSeen,
    ) -> Result<(), SyncError> {
        let (organization, host) = (&connection.organization, &connection.host);
        let found = self.store.projects_numbered(organization, host, told.id.checked_sub(1), 1).await?;
        let Some(found) = found.into_iter().find(|found| found.value.external_id == told.id) else {
            seen.strange = seen.strange.saturating_add(1);
            return Ok(());
        };
        if found.value.full_path != told.full_path || found.value.removed {
            seen.strange = seen.strange.saturating_add(1);
        }
        let Some(at) = pushed_at.filter(|at| found.value.last_push_at < Some(*at)) else { return Ok(()) };
        let key = RecordKey::Project(organization.clone(), host.clone(), told.id);
        let new = Project { last_push_at: Some(at), ..found.value };
        // If somebody has written it since, the next look sees it once more.
        let put = vec![Change::PutProject(Box::new(new))];
        if self.store.apply(put, vec![(key, found.version)]).await? {
            seen.pushed = seen.pushed.saturating_add(1);
        }
        Ok(())
    }
}

fn no_look(error: SyncError) -> NoDirectory {
    match error {
        SyncError::Store(error) => NoDirectory::Store(error),
        SyncError::Forge(error) => NoDirectory::Forge(error),
        other => NoDirectory::Quiet(other.to_string()),
    }
}
