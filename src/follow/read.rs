//! Reading an account's lists to their end, each page kept as it comes.

use super::{Follower, ROWS, SyncError, Whose};
use crate::domain::change::Change;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Account, Connection, Member};
use crate::domain::roster::{KeptPage, List, Reading, Subject};
use crate::domain::{ConnectionKey, Timestamp};
use crate::provider::{Directory, ProviderError};

/// A reading that began longer ago is begun anew: too much has changed since.
const OLD_MS: i64 = 3 * 60 * 60 * 1000;
/// Pages taken out of the store at once.
const PAGES: usize = 50;
/// A connection is written again at most so often when others write it, too.
const TRIES: u32 = 8;

impl Follower {
    /// Reads all lists to their end; goes on with a reading that is under way.
    pub(super) async fn whole(
        &self,
        directory: &dyn Directory,
        connection: &ConnectionKey,
        subject: Subject,
        lists: &[List],
    ) -> Result<Reading, SyncError> {
        let mut reading = self.begun(connection, subject, lists).await?;
        while let Some((list, from)) = reading.next() {
            let page = match directory.page(list, from).await {
                Ok(page) => page,
                Err(error) => return Err(self.cut(connection, subject, &reading, error).await?),
            };
            let mut next = reading.clone();
            let kept = match next.take(page) {
                Ok(Some(kept)) => kept,
                Ok(None) => break,
                Err(_) => {
                    self.forget(connection, subject).await?;
                    return Err(ProviderError::Endless.into());
                }
            };
            if !self.store.keep_page(connection, subject, &next, kept).await? {
                return Err(SyncError::Overtaken);
            }
            reading = next;
        }
        Ok(reading)
    }

    /// The reading that is under way, or a new one.
    async fn begun(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        lists: &[List],
    ) -> Result<Reading, SyncError> {
        let now = self.now();
        let kept = self.store.reading_of(connection, subject).await?;
        let fits = |reading: &Reading| {
            let age = now.since(reading.began_at);
            (0..OLD_MS).contains(&age) && reading.lists().eq(lists.iter().copied())
        };
        if let Some(reading) = kept.filter(fits) {
            return Ok(reading);
        }
        self.forget(connection, subject).await?;
        Ok(Reading::begin(now.ms().max(0).unsigned_abs(), lists, now))
    }

    /// What becomes of a reading whose page did not come. A link that the forge does not take any more leads nowhere
    /// the next time either; everything else may work then.
    async fn cut(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        reading: &Reading,
        error: ProviderError,
    ) -> Result<SyncError, SyncError> {
        let on_the_way = reading.pages() > 0;
        let may_come = error.passes() || matches!(error, ProviderError::CredentialRefused);
        if on_the_way && !may_come {
            self.forget(connection, subject).await?;
        }
        Ok(SyncError::Forge(error))
    }

    /// Forgets a reading, whole.
    pub(super) async fn forget(&self, connection: &ConnectionKey, subject: Subject) -> Result<(), SyncError> {
        while !self.store.forget_reading(connection, subject).await? {}
        Ok(())
    }

    /// The next pages of a reading behind this one, in their order.
    pub(super) async fn some_pages(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        reading: &Reading,
        after: u32,
    ) -> Result<Vec<KeptPage>, SyncError> {
        Ok(self.store.kept_pages(connection, subject, reading.generation, after, PAGES).await?)
    }

    /// The pages of a whole reading, in their order.
    pub(super) async fn pages(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        reading: &Reading,
    ) -> Result<Vec<KeptPage>, SyncError> {
        let mut pages: Vec<KeptPage> = Vec::new();
        loop {
            let after = pages.last().map_or(0, |page| page.number);
            let found = self.some_pages(connection, subject, reading, after).await?;
            if found.is_empty() {
                return Ok(pages);
            }
            pages.extend(found);
        }
    }

    /// All members that the organization has at the connection's forge, by rising number.
    pub(super) async fn members_of(&self, whose: Whose<'_>) -> Result<Vec<Versioned<Member>>, SyncError> {
        let (organization, host) = (&whose.organization.slug, &whose.connection.host);
        let mut all: Vec<Versioned<Member>> = Vec::new();
        loop {
            let after = all.last().map(|found| found.value.external_id);
            let found = self.store.members_numbered(organization, host, after, ROWS).await?;
            if found.is_empty() {
                return Ok(all);
            }
            all.extend(found);
        }
    }

    /// One member.
    pub(super) async fn member(
        &self,
        whose: Whose<'_>,
        id: u64,
    ) -> Result<Option<Versioned<Member>>, SyncError> {
        let (organization, host) = (&whose.organization.slug, &whose.connection.host);
        let found = self.store.members_numbered(organization, host, id.checked_sub(1), 1).await?;
        Ok(found.into_iter().find(|found| found.value.external_id == id))
    }

    /// Notes on the connection what was learnt of it.
    pub(super) async fn note(
        &self,
        connection: &ConnectionKey,
        learn: impl Fn(&mut Connection) + Send + Sync,
    ) -> Result<(), SyncError> {
        for _ in 0..TRIES {
            let Some(found) = self.store.versioned_connection(connection).await? else { break };
            let mut new = found.value.clone();
            learn(&mut new);
            if new == found.value {
                break;
            }
            let expects = vec![(RecordKey::Connection(connection.clone()), found.version)];
            if self.store.apply(vec![Change::PutConnection(Box::new(new))], expects).await? {
                break;
            }
        }
        Ok(())
    }
}

/// What a whole reading says of its connection.
pub(super) fn read_whole(
    connection: &mut Connection,
    account: &Account,
    subject: Subject,
    began_at: Timestamp,
    is_settled: bool,
    now: Timestamp,
) {
    // What lies ahead was written by a clock that was wrong, and is not newer.
    let later = |stamp: Option<Timestamp>| stamp.filter(|at| *at <= now).max(Some(began_at));
    connection.account.clone_from(account);
    connection.last_sync_at = later(connection.last_sync_at);
    if subject == Subject::Repositories {
        connection.projects_read_at = later(connection.projects_read_at);
    }
    if subject == Subject::People {
        connection.members_read_at = later(connection.members_read_at);
        let is_answered = connection.roster_stale_since.is_some_and(|since| since <= began_at || since > now);
        if is_settled && is_answered {
            connection.roster_stale_since = None;
        }
    }
}
