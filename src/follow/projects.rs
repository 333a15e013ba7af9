//! Which projects there are: the whole list of an account's repositories.

use std::collections::BTreeMap;

use super::read::read_whole;
use super::{Follower, ProjectsSynced, ROWS, STEPS_MAX, SyncError, Whose};
use crate::domain::ConnectionKey;
use crate::domain::event::Repository;
use crate::domain::organization::ConnectionState;
use crate::domain::roster::{Reading, Rows, Subject};
use crate::handler::{Inventory, ProjectChange, ProjectStep, Stocktaking};
use crate::provider::Directory;
use crate::telemetry::metric::{self, Metric, Value};

impl Follower {
    /// Reads the account's repositories whole, and makes the projects the same.
    ///
    /// # Errors
    /// When the forge or the store does not let it come to its end. Nothing is taken for gone by what was read so far.
    pub async fn projects(
        &self,
        directory: &dyn Directory,
        whose: Whose<'_>,
    ) -> Result<ProjectsSynced, SyncError> {
        let key = &whose.connection.key;
        let account = directory.account().await?;
        let lists = directory.lists(Subject::Repositories, &whose.organization.members);
        let reading = self.whole(directory, key, Subject::Repositories, &lists).await?;
        let list = Inventory {
            repositories: self.listed(key, &reading).await?,
            began_at: reading.began_at,
            is_whole: directory.shows_all() && reading.counts_agree(),
        };
        let began_at = list.began_at;
        let listed = list.repositories.len();
        let read_before = whose.connection.projects_read_at;
        let is_first = read_before.is_none();
        let mut synced =
            ProjectsSynced { pages: reading.pages(), listed, is_first, ..ProjectsSynced::default() };
        self.take_stock(whose, list, &mut synced).await?;
        let is_unheard = self.is_unheard(read_before, synced.has_news(whose.connection)).await?;
        self.note(key, |connection| {
            read_whole(connection, &account, Subject::Repositories, began_at, true, self.now());
            if is_unheard {
                connection.health.unheard_at = Some(self.now());
            }
            if listed > 0 {
                connection.clear_reasons(&[ConnectionState::WaitingFirstJob]);
            }
        })
        .await?;
        self.forget(key, Subject::Repositories).await?;
        Ok(synced)
    }

    /// Compares and writes, a piece of what is recorded at a time.
    async fn take_stock(
        &self,
        whose: Whose<'_>,
        list: Inventory,
        synced: &mut ProjectsSynced,
    ) -> Result<(), SyncError> {
        let (organization, host) = (&whose.organization.slug, &whose.connection.host);
        let mut stocktaking = Stocktaking::new(list, whose.connection, self.now());
        let mut after = None;
        loop {
            let known = self.store.projects_numbered(organization, host, after, ROWS).await?;
            let Some(last) = known.last() else { break };
            after = Some(last.value.external_id);
            self.write_all(stocktaking.compare(known).into_iter(), synced).await?;
        }
        self.write_all(stocktaking.rest(), synced).await
    }

    async fn write_all(
        &self,
        mut steps: impl Iterator<Item = ProjectStep> + Send,
        synced: &mut ProjectsSynced,
    ) -> Result<(), SyncError> {
        loop {
            let chunk: Vec<ProjectStep> = steps.by_ref().take(STEPS_MAX).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            self.write(chunk, synced).await?;
        }
    }

    async fn write(&self, chunk: Vec<ProjectStep>, synced: &mut ProjectsSynced) -> Result<(), SyncError> {
        let all = chunk.iter().flat_map(|step| step.changes.clone()).collect();
        let expects = chunk.iter().flat_map(|step| step.expects.clone()).collect();
        if self.store.apply(all, expects).await? {
            chunk.iter().for_each(|step| synced.count(step.what));
            return Ok(());
        }
        // One of them was written since it was read: the others go on alone, and the next sync looks at it again.
        for step in chunk {
            if self.store.apply(step.changes, step.expects).await? {
                synced.count(step.what);
            } else {
                synced.left = synced.left.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The repositories of a whole reading, by number, out of its kept pages.
    async fn listed(
        &self,
        connection: &ConnectionKey,
        reading: &Reading,
    ) -> Result<BTreeMap<u64, Repository>, SyncError> {
        let mut repositories: BTreeMap<u64, Repository> = BTreeMap::new();
        let mut seen = 0;
        while reading.is_whole() {
            let pages = self.some_pages(connection, Subject::Repositories, reading, seen).await?;
            let Some(last) = pages.last() else { break };
            seen = last.number;
            let rows = pages.into_iter().filter_map(|page| match page.rows {
                Rows::Repositories(rows) => Some(rows),
                Rows::People(_) => None,
            });
            repositories.extend(rows.flatten().map(|row| (row.id, row)));
        }
        if reading.is_whole() && seen == reading.pages() {
            return Ok(repositories);
        }
        self.forget(connection, Subject::Repositories).await?;
        Err(SyncError::Lost)
    }
}

impl ProjectsSynced {
    fn count(&mut self, what: ProjectChange) {
        let counted = match what {
            ProjectChange::Found => &mut self.found,
            ProjectChange::Changed => &mut self.changed,
            ProjectChange::Gone => &mut self.gone,
        };
        *counted = counted.saturating_add(1);
        if !self.is_first {
            metric::count(Metric::ReconcileDrift, &[Value::Word("project")], 1);
        }
    }
}
