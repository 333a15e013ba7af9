//! Syncs: a connection's repositories, read whole, taken over piece by piece.

use std::collections::BTreeSet;

use super::check::gone;
use super::{Connections, NotReady, Ready};
use crate::domain::change::{Change, Changes};
use crate::domain::event::Repository;
use crate::domain::known::{Known, Lookup, RecordKey};
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::project::Project;
use crate::domain::task::{Performed, Task, TaskKind, Wish};
use crate::domain::{Timestamp, organization};
use crate::handler::sync;
use crate::provider::ProviderError;
use crate::provider::github::client::Repository as GithubRepository;
use crate::store::StoreError;

/// Repositories taken over in one act.
const PIECE: usize = 200;
/// Records that others write at the same moment are read again so often.
const TRIES_MAX: usize = 8;
/// Between two syncs (ruling 28).
const EVERY_MS: i64 = 6 * 60 * 60 * 1000;

/// A list of repositories, and whether what is not in it is not there.
struct Listed {
    repositories: Vec<Repository>,
    is_whole: bool,
}

impl Connections {
    /// Reads the connection's repositories and takes them over.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn sync(&self, task: &Task) -> Result<Performed, StoreError> {
        let Some(found) = self.connection(task).await? else { return Ok(gone()) };
        let connection = found.value;
        let read_at = self.now();
        let listed = match self.read(&connection).await {
            Ok(listed) => listed,
            Err(NotReady::Off(why)) => return Ok(Performed::noted(format!("nothing was read: it is {why}"))),
            Err(NotReady::NoCredential) => {
                return Ok(Performed::noted("nothing was read: the connection has no credential".into()));
            }
            Err(NotReady::Store(error)) => return Err(error),
            Err(NotReady::Provider(error)) => return self.unread(&connection, &error).await,
            Err(other) => return Ok(Performed::Failed { error: other.to_string() }),
        };
        for piece in listed.repositories.chunks(PIECE) {
            let lookup = sync::lookup(piece);
            let take = |known: &Known| sync::listed(known, piece, read_at);
            if !self.take(&connection, &lookup, read_at, take).await? {
                return Ok(Performed::Later { at: None, error: "its projects change all the time".into() });
            }
        }
        if listed.is_whole {
            let numbers: BTreeSet<u64> = listed.repositories.iter().map(|it| it.id).collect();
            let lookup = Lookup { all_projects_of_connection: true, ..Lookup::default() };
            let take = |known: &Known| sync::vanished(known, &numbers, read_at);
            self.take(&connection, &lookup, read_at, take).await?;
        }
        self.synced(&connection, listed.repositories.len(), read_at).await
    }

    /// Reads what is known, decides, writes; again when something changed meanwhile.
    async fn take(
        &self,
        connection: &Connection,
        lookup: &Lookup,
        read_at: Timestamp,
        decide: impl Fn(&Known) -> Changes,
    ) -> Result<bool, StoreError> {
        let source = organization::Source {
            key: connection.source.clone(),
            forge: connection.kind.forge(),
            host: connection.host.clone(),
            url: connection.url.clone(),
            organizations: vec![connection.organization.clone()],
            created_by: String::new(),
            removed: false,
            app: None,
        };
        for _ in 0..TRIES_MAX {
            let Some(known) = self.store.known(&source, connection, lookup).await? else { return Ok(true) };
            let known = Known { received_at: read_at, ..known };
            let Changes { changes, expects, .. } = decide(&known);
            if changes.is_empty() || self.store.apply(changes, expects).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The end of a sync that went well.
    async fn synced(
        &self,
        connection: &Connection,
        count: usize,
        read_at: Timestamp,
    ) -> Result<Performed, StoreError> {
        let Some(found) = self.store.versioned_connection(&connection.key).await? else { return Ok(gone()) };
        let mut new = found.value;
        new.last_sync_at = Some(read_at);
        if count > 0 {
            new.clear_reasons(&[ConnectionState::WaitingFirstJob]);
        }
        let wish = Wish::now(TaskKind::SyncConnection, &new.organization, &new.key, "system", self.now());
        let next = Wish { due_at: self.now().plus_ms(EVERY_MS), ..wish };
        let expects = vec![(RecordKey::Connection(new.key.clone()), found.version)];
        let changes = vec![Change::PutConnection(Box::new(new)), Change::Wish(Box::new(next))];
        Ok(Performed::Done { changes, expects, note: format!("{count} repositories were read") })
    }

    /// A refusal is looked into by a check at once.
    async fn unread(&self, connection: &Connection, error: &ProviderError) -> Result<Performed, StoreError> {
        let is_refused =
            matches!(error, ProviderError::CredentialRefused | ProviderError::NotPermitted { .. });
        if is_refused || matches!(error, ProviderError::Suspended | ProviderError::Gone) {
            let kind = TaskKind::CheckConnection;
            let wish = Wish::now(kind, &connection.organization, &connection.key, "system", self.now());
            self.store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await?;
        }
        let error_text = error.to_string();
        Ok(match error {
            ProviderError::Throttled { until } => Performed::Later { at: Some(*until), error: error_text },
            _ => Performed::Later { at: None, error: error_text },
        })
    }

    async fn read(&self, connection: &Connection) -> Result<Listed, NotReady> {
        let ready = self.forges.ready(connection).await?;
        Ok(match ready {
            Ready::Installation(it) => {
                let all = it.session.all_installation_repositories().await?;
                let is_whole = all.counts_agree();
                let own = |it: &GithubRepository| Some(it.owner.id.get()) == connection.account.external_id;
                let rows = all.into_items().into_iter().filter(own).map(Repository::from);
                Listed { repositories: rows.collect(), is_whole }
            }
            Ready::Github(session) => {
                let mut repositories = Vec::new();
                let mut next = None;
                loop {
                    let login = &connection.account.login;
                    let page = session.organization_repositories(login, next.as_ref()).await?;
                    repositories.extend(page.items.into_iter().map(Repository::from));
                    next = page.next;
                    if next.is_none() {
                        break;
                    }
                }
                // A token sees what its scopes and its owner may see: what it does not see may well be there.
                Listed { repositories, is_whole: false }
            }
            Ready::Gitlab(session) => {
                let group = connection.account.external_id.ok_or(NotReady::NoCredential)?;
                let all = session.all_projects(group).await?;
                // Who is at least a Reporter of the group sees all that is in it.
                let sees_all =
                    connection.health.capabilities.iter().any(|it| it.feature == "projects" && it.ok);
                let is_whole = sees_all && all.counts_agree();
                let kept = all.into_items().into_iter().filter(|it| it.marked_for_deletion_on.is_none());
                Listed { repositories: kept.map(Repository::from).collect(), is_whole }
            }
        })
    }

    /// The connection's projects, switched off or on with it.
    pub(super) async fn projects_paused(
        &self,
        connection: &Connection,
        paused: bool,
    ) -> Result<Vec<Change>, StoreError> {
        let filter = crate::store::ProjectFilter {
            organization: Some(connection.organization.clone()),
            connection: Some(connection.key.clone()),
            ..crate::store::ProjectFilter::default()
        };
        let (mut changes, mut cursor) = (Vec::new(), None);
        loop {
            let page = crate::store::Page { limit: PIECE, cursor };
            let found = self.store.projects(&filter, &page).await?;
            let other = found.items.into_iter().filter(|project| project.paused != paused);
            changes.extend(other.map(|it| Change::PutProject(Box::new(Project { paused, ..it }))));
            cursor = found.next;
            if cursor.is_none() {
                return Ok(changes);
            }
        }
    }
}
