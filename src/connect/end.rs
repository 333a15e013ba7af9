//! Connections switched off and on, and ended: here at once, at the forge by a task.

use super::paused::{Expecting, is_off};
use super::rest::without_credential;
use super::rotate::LEAKED;
use super::{Connections, NotReady, Ready, Refusal, Undone, gone, hooks, line, organization_hook, wishes};
use crate::domain::ConnectionKey;
use crate::domain::change::Change;
use crate::domain::connection::GRACE_MS;
use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::event::About;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, ConnectionState, Organization, Source};
use crate::domain::task::{Performed, Task, TaskKind, Wish};
use crate::store::StoreError;

/// Others that write the same record are waited for so often.
const TRIES_MAX: usize = 8;

/// What an admin has done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Have it checked now.
    Test,
    /// Have its repositories read now.
    Sync,
    /// Ask nothing of the forge until it is resumed.
    Pause,
    /// Go on.
    Resume,
    /// End it: its credentials are destroyed, hooks that we made are taken away.
    Disconnect,
    /// Block it, with its projects.
    Reject,
    /// Let it in again.
    Allow,
    /// Let the members of an account that is off come in for a further week.
    Extend,
    /// Replace its token by a successor, and the secrets of its hooks.
    Rotate,
    /// Replace the secrets of its hooks, which have leaked: those before end as soon as the forge has the new ones.
    RotateLeaked,
}

impl Verb {
    const fn action(self) -> &'static str {
        match self {
            Self::Test => "connection.tested",
            Self::Sync => "connection.synced",
            Self::Pause => "connection.paused",
            Self::Resume => "connection.resumed",
            Self::Disconnect => "connection.disconnected",
            Self::Reject => "connection.rejected",
            Self::Allow => "connection.allowed",
            Self::Extend => "connection.access-extended",
            Self::Rotate => "secret.rotation-asked",
            Self::RotateLeaked => "secret.leaked",
        }
    }

    /// What is to be done at the forge.
    const fn task(self) -> TaskKind {
        match self {
            Self::Sync => TaskKind::SyncConnection,
            Self::Rotate | Self::RotateLeaked => TaskKind::RotateToken,
            Self::Disconnect => TaskKind::DisconnectConnection,
            _ => TaskKind::CheckConnection,
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::RotateLeaked => LEAKED,
            _ => "",
        }
    }
}

impl Connections {
    /// Does it, and wishes for what is to be done at the forge. `None`: there is no such connection.
    ///
    /// # Errors
    /// [`Undone`]; nothing is changed then.
    pub async fn act(&self, key: &ConnectionKey, verb: Verb, by: &str) -> Result<Option<Task>, Undone> {
        for _ in 0..TRIES_MAX {
            let Some(found) = self.store.versioned_connection(key).await? else { return Ok(None) };
            let old = found.value;
            self.refuse_declared(&old, verb).await?;
            if verb == Verb::Extend && old.access_ends_at().is_none() {
                let message = "the connection is not off: its members come in as the forge confirms them";
                return Err(Refusal::new("connection-on", message).into());
            }
            let now = self.now();
            let mut new = self.changed(&old, verb);
            let reasons = new.reasons.clone();
            new.health.note(&reasons, now);
            let wish = Wish::now(verb.task(), &old.organization, key, by, now);
            let wish = Wish { subject: verb.subject().to_owned(), ..wish };
            let id = wish.id();
            let mut changes = vec![Change::Wish(Box::new(wish))];
            let mut expects = vec![(RecordKey::Connection(key.clone()), found.version)];
            if verb == Verb::Resume {
                changes.extend(wishes(new.read_anew(by, now)));
            }
            if new != old {
                if is_off(&new) != is_off(&old) {
                    let (projects, versions) = self.projects_paused(&mut new).await?;
                    changes.extend(projects);
                    expects.extend(versions);
                }
                changes.push(Change::PutConnection(Box::new(new.clone())));
            }
            let detail = format!("{} {}", old.host, old.account.login);
            changes.push(line(&old, by, verb.action(), &detail, now));
            if self.store.apply(changes, expects).await? {
                if is_off(&new) {
                    self.forget(&new);
                }
                return Ok(self.store.task(&id).await?);
            }
        }
        Err(Undone::Busy)
    }

    /// What the operator's file declares is changed there.
    async fn refuse_declared(&self, old: &Connection, verb: Verb) -> Result<(), Undone> {
        let is_declared = self.forges.is_of_file(old);
        match verb {
            Verb::Disconnect | Verb::Rotate if is_declared => Err(Refusal::declared().into()),
            Verb::RotateLeaked => {
                let source = self.store.source(&old.source).await?;
                let is_declared = is_declared || source.is_some_and(|source| source.created_by == "config");
                if is_declared { Err(Refusal::declared_secret().into()) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn changed(&self, old: &Connection, verb: Verb) -> Connection {
        let mut new = old.clone();
        match verb {
            Verb::Test | Verb::Sync | Verb::Rotate | Verb::RotateLeaked => {}
            Verb::Extend => new.health.access_until = Some(self.now().plus_ms(GRACE_MS)),
            Verb::Pause => new.paused_at = old.paused_at.or(Some(self.now())),
            Verb::Resume => {
                new.paused_at = None;
                new.health.access_until = old.health.access_until.filter(|_| old.is_off());
            }
            Verb::Disconnect => new.add_reason(ConnectionState::Uninstalled),
            Verb::Reject => {
                new.rejected_at = old.rejected_at.or(Some(self.now()));
                new.add_reason(ConnectionState::Uninstalled);
            }
            Verb::Allow if old.rejected_at.is_some() => {
                new.rejected_at = None;
                new.clear_reasons(&[ConnectionState::Uninstalled]);
            }
            Verb::Allow => {}
        }
        new
    }

    /// Takes away at the forge what we made there, as far as that works, and destroys the credentials whatever came of
    /// it (e-59).
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn disconnect(&self, task: &Task) -> Result<Performed, StoreError> {
        let Some(found) = self.connection(task).await? else { return Ok(gone()) };
        let (version, old) = (found.version, found.value);
        if !old.reasons.contains(&ConnectionState::Uninstalled) {
            return Ok(Performed::noted("it was connected again meanwhile".into()));
        }
        if old.projects_lag {
            self.bring_projects(&old).await?;
        }
        let removed = match self.forges.ready_anyway(&old).await {
            Ok(Ready::Gitlab(session)) => hooks::remove(self, &old, &session).await,
            Ok(Ready::Github(session)) => organization_hook::remove(self, &old, &session).await,
            Err(NotReady::Store(error)) => return Err(error),
            _ => (0, old.health.hooks.len()),
        };
        let new = Connection {
            authority: false,
            projects_lag: false,
            waiting_app: None,
            ..without_credential(&old)
        };
        let (mut changes, mut expects) = self.destroyed(&old).await?;
        let (ended, versions) = self.abandoned(&old).await?;
        changes.extend(ended);
        expects.extend(versions);
        expects.push((RecordKey::Connection(old.key.clone()), version));
        if let Some(found) = self.authority_of(&old).await? {
            expects.push((RecordKey::Organization(found.value.slug.clone()), found.version));
            changes.push(Change::PutOrganization(found.value));
        }
        changes.push(Change::PutConnection(Box::new(new)));
        self.forget(&old);
        let (gone, left) = removed;
        let mut note = format!("its credentials are destroyed; hooks removed: {gone}");
        if left > 0 {
            note = format!("{note}; hooks that could not be removed: {left}, remove them at the forge");
        }
        Ok(Performed::Done { changes, expects, note })
    }

    /// The organization without this authority, to be written over the one that was read.
    async fn authority_of(
        &self,
        connection: &Connection,
    ) -> Result<Option<Versioned<Organization>>, StoreError> {
        let found = self.store.versioned_organization(&connection.organization).await?;
        let found = found.filter(|it| it.value.authority.as_ref() == Some(&connection.key));
        Ok(found.map(|it| Versioned { value: Organization { authority: None, ..it.value }, ..it }))
    }

    /// Every credential of the connection, and of its source when nobody else uses that.
    pub(super) async fn destroyed(&self, connection: &Connection) -> Result<Expecting, StoreError> {
        let own = CredentialOwner::Connection(connection.key.clone());
        let mut changes: Vec<Change> = drop_all(own).collect();
        let mut expects = Vec::new();
        let found = self.store.versioned_source(&connection.source).await?;
        let found = found.filter(|found| found.value.created_by != "config");
        if let Some(Versioned { version, value: source }) = found {
            // Whoever begins to use it meanwhile writes it: then this is looked at anew.
            expects.push((RecordKey::Source(source.key.clone()), version));
            if !self.others_use(&source, connection).await? {
                changes.extend(drop_all(CredentialOwner::Source(source.key.clone())));
                changes.push(Change::PutSource(Source { removed: true, ..source }));
            }
        }
        Ok((changes, expects))
    }

    /// The end of an App that was made for the connection and never bound: nothing else is to come of it.
    pub(super) async fn abandoned(&self, connection: &Connection) -> Result<Expecting, StoreError> {
        let Some(waiting) = connection.waiting_app.as_ref().filter(|it| **it != connection.source) else {
            return Ok(Expecting::default());
        };
        let found = self.store.versioned_source(waiting).await?;
        // One that speaks for somebody is in use elsewhere.
        let is_left = |source: &Source| source.created_by != "config" && source.organizations.is_empty();
        let Some(Versioned { version, value }) = found.filter(|found| is_left(&found.value)) else {
            return Ok(Expecting::default());
        };
        let expects = vec![(RecordKey::Source(value.key.clone()), version)];
        let mut changes: Vec<Change> = drop_all(CredentialOwner::Source(value.key.clone())).collect();
        changes.push(Change::PutSource(Source { removed: true, ..value }));
        Ok((changes, expects))
    }

    /// Whether another connection lives by a source's credentials.
    async fn others_use(&self, source: &Source, but: &Connection) -> Result<bool, StoreError> {
        let known = self.store.candidates(&source.key, &source.host, &About::default()).await?;
        let uses = |it: &Connection| it.key != but.key && it.credential == "app";
        Ok(known.of_source.iter().any(uses))
    }
}

fn drop_all(owner: CredentialOwner) -> impl Iterator<Item = Change> {
    CredentialKind::ALL.into_iter().map(move |kind| Change::DropCredential(owner.clone(), kind))
}
