//! Syncs as tasks: who is asked, what is done, when it is done again.

use async_trait::async_trait;

use super::{Follower, Mode, PersonSynced, ProjectsSynced, Reach, SyncError, Whose};
use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::organization::{Connection, Member, Organization};
use crate::domain::task::{Performed, Task, TaskKind, Wish};
use crate::provider::{Directory, Events, ProviderError, SentLog};
use crate::store::StoreError;

/// Between two readings of a connection's projects (ruling 28), and where nobody tells of them.
const PROJECTS_EVERY_MS: i64 = 6 * 60 * 60 * 1000;
const POLLED_EVERY_MS: i64 = 10 * 60 * 1000;

/// Why no directory can be asked.
#[derive(Debug, thiserror::Error)]
pub enum NoDirectory {
    /// Nothing is to be asked now, and that is as it should be.
    #[error("{0}")]
    Quiet(String),
    /// Somebody has to look.
    #[error("{0}")]
    Wrong(String),
    /// The forge, or the way there.
    #[error(transparent)]
    Forge(#[from] ProviderError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes directories, and finds logs.
#[async_trait]
pub trait Directories: Send + Sync {
    /// A connection's account, seen with its credential.
    async fn directory(&self, connection: &Connection) -> Result<Box<dyn Directory>, NoDirectory>;
    /// The logs of what was sent to the hooks of a connection's source, as far as its credential may read them.
    async fn logs(&self, connection: &Connection) -> Result<Vec<Box<dyn SentLog>>, NoDirectory>;
    /// The events of a connection's account. `None`: its forge's logs say more.
    async fn events(&self, connection: &Connection) -> Result<Option<Box<dyn Events>>, NoDirectory>;
}

impl Follower {
    /// Does what a task asks for: the projects or the members of a connection's account, or one of the members.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn perform(&self, directories: &dyn Directories, task: &Task) -> Result<Performed, StoreError> {
        let Some((connection, organization)) = self.whose(task).await? else {
            return Ok(Performed::noted("the connection is gone".into()));
        };
        if task.kind == TaskKind::CatchUp {
            return self.catch_up_task(directories, &connection).await;
        }
        let of_members = task.kind != TaskKind::SyncConnection;
        if of_members && organization.authority.as_ref() != Some(&connection.key) {
            return Ok(Performed::noted("another connection manages the members".into()));
        }
        // Frozen: nobody comes, nobody goes, and a refusal would look like an empty list.
        if connection.is_off() {
            return Ok(Performed::noted("nothing was read: the connection is switched off".into()));
        }
        let directory = match directories.directory(&connection).await {
            Ok(directory) => directory,
            Err(NoDirectory::Quiet(why)) => {
                return Ok(Performed::noted(format!("nothing was read: {why}")));
            }
            Err(NoDirectory::Wrong(why)) => return Ok(Performed::Failed { error: why }),
            Err(NoDirectory::Store(error)) => return Err(error),
            Err(NoDirectory::Forge(error)) => return Ok(put_off(&error)),
        };
        let whose = Whose { organization: &organization, connection: &connection };
        self.ask(directory.as_ref(), whose, task).await
    }

    /// Whom a task is about.
    async fn whose(&self, task: &Task) -> Result<Option<(Connection, Organization)>, StoreError> {
        let (Some(key), Some(slug)) = (&task.connection, &task.organization) else { return Ok(None) };
        let connection = self.store.connection(key).await?;
        Ok(connection.zip(self.store.organization(slug).await?))
    }

    async fn ask(
        &self,
        directory: &dyn Directory,
        whose: Whose<'_>,
        task: &Task,
    ) -> Result<Performed, StoreError> {
        let done = match (task.kind, task.subject.parse()) {
            (TaskKind::SyncPerson, Ok(id)) => {
                let why = format!("asked for by {}", task.wished_by);
                let synced = self.person(directory, whose, id, &why).await;
                synced.map(|synced| self.person_done(whose, synced))
            }
            (TaskKind::SyncConnection, _) => {
                let synced = self.projects(directory, whose).await;
                synced.map(|synced| self.projects_done(whose, synced))
            }
            _ => {
                let synced = self.members(directory, whose, Mode::Apply).await;
                synced.map(|synced| Performed::noted(synced.sentence()))
            }
        };
        match done {
            Ok(performed) => Ok(performed),
            Err(SyncError::Store(error)) => Err(error),
            Err(SyncError::Forge(error)) => Ok(put_off(&error)),
            Err(error @ (SyncError::Overtaken | SyncError::Lost)) => {
                Ok(Performed::Later { at: None, error: error.to_string() })
            }
        }
    }

    /// The next one is planned with the end of this one.
    fn projects_done(&self, whose: Whose<'_>, synced: ProjectsSynced) -> Performed {
        let (kind, connection) = (TaskKind::SyncConnection, whose.connection);
        let wish = Wish::now(kind, &whose.organization.slug, &connection.key, "system", self.now());
        let wait = match self.reach.of(connection) {
            Reach::Reached => PROJECTS_EVERY_MS,
            Reach::Polling => POLLED_EVERY_MS,
        };
        let next = Wish { due_at: self.now().plus_ms(wait), ..wish };
        let changes = vec![Change::Wish(Box::new(next))];
        Performed::Done { changes, expects: Vec::new(), note: synced.sentence() }
    }

    /// Where one person is too much, the whole list is read, so that somebody sees all who would go.
    fn person_done(&self, whose: Whose<'_>, synced: PersonSynced) -> Performed {
        match synced {
            PersonSynced::Settled => Performed::noted("the member is as the forge says".into()),
            PersonSynced::Restless => {
                Performed::Later { at: None, error: "the member changed all the time".into() }
            }
            PersonSynced::Held => {
                let wish = whole(whose.organization, whose.connection, "sync", self.now());
                let note = "too many went lately: the whole list is read".into();
                Performed::Done { changes: vec![Change::Wish(Box::new(wish))], expects: Vec::new(), note }
            }
        }
    }
}

/// That all members of a connection be read.
#[must_use]
pub fn whole(organization: &Organization, connection: &Connection, by: &str, at: Timestamp) -> Wish {
    Wish::now(TaskKind::SyncMembers, &organization.slug, &connection.key, by, at)
}

/// That one member be read by themselves.
#[must_use]
pub fn single(member: &Member, by: &str, at: Timestamp) -> Wish {
    let wish = Wish::now(TaskKind::SyncPerson, &member.organization, &member.source, by, at);
    Wish { subject: member.external_id.to_string(), ..wish }
}

/// That the logs of a connection's source be looked through.
#[must_use]
pub fn missed(connection: &Connection, by: &str, at: Timestamp) -> Wish {
    connection.missed(by, at)
}

/// What may pass is tried again; what does not pass is shown, and tried again when it is due anyway.
pub(super) fn put_off(error: &ProviderError) -> Performed {
    let text = error.to_string();
    match error {
        ProviderError::Throttled { until } => Performed::Later { at: Some(*until), error: text },
        error if error.passes() => Performed::Later { at: None, error: text },
        _ => Performed::Failed { error: text },
    }
}
