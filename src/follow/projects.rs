//! Which projects there are: the whole list of an account's repositories.

use std::collections::BTreeMap;

use super::read::read_whole;
use super::{Follower, ProjectsSynced, ROWS, STEPS_MAX, SyncError, Whose};
use crate::domain::event::Repository;
use crate::domain::known::Versioned;
use crate::domain::project::Project;
use crate::domain::roster::{KeptPage, Reading, Rows, Subject};
use crate::handler::{Inventory, ProjectChange, ProjectStep, inventory};
use crate::provider::Directory;

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
        let pages = self.pages(key, Subject::Repositories, &reading).await?;
        let Some(list) = together(&reading, pages) else {
            self.forget(key, Subject::Repositories).await?;
            return Err(SyncError::Lost);
        };
        let known = self.projects_of(whose).await?;
        let steps = inventory(&list, &known, whose.connection, self.now());
        let mut synced = ProjectsSynced {
            pages: reading.pages(),
            listed: list.repositories.len(),
            ..ProjectsSynced::default()
        };
        let mut steps = steps.into_iter();
        loop {
            let chunk: Vec<ProjectStep> = steps.by_ref().take(STEPS_MAX).collect();
            if chunk.is_empty() {
                break;
            }
            self.write(chunk, &mut synced).await?;
        }
        self.note(key, |connection| {
            read_whole(connection, &account, Subject::Repositories, list.began_at, true);
        })
        .await?;
        self.forget(key, Subject::Repositories).await?;
        Ok(synced)
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

    async fn projects_of(&self, whose: Whose<'_>) -> Result<BTreeMap<u64, Versioned<Project>>, SyncError> {
        let (organization, host) = (&whose.organization.slug, &whose.connection.host);
        let mut all: BTreeMap<u64, Versioned<Project>> = BTreeMap::new();
        loop {
            let after = all.last_key_value().map(|(id, _)| *id);
            let found = self.store.projects_numbered(organization, host, after, ROWS).await?;
            if found.is_empty() {
                return Ok(all);
            }
            all.extend(found.into_iter().map(|found| (found.value.external_id, found)));
        }
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
    }
}

/// The list, if its reading is whole and no page is missing.
fn together(reading: &Reading, pages: Vec<KeptPage>) -> Option<Inventory> {
    let all = reading.is_whole() && u32::try_from(pages.len()).ok() == Some(reading.pages());
    let mut repositories: BTreeMap<u64, Repository> = BTreeMap::new();
    for page in pages {
        if let Rows::Repositories(rows) = page.rows {
            repositories.extend(rows.into_iter().map(|row| (row.id, row)));
        }
    }
    let counts_agree = reading.counts_agree();
    all.then_some(Inventory { repositories, began_at: reading.began_at, counts_agree })
}
