//! The sign-in is back: who it was is read with their own token, and only an owner's word binds the installation.

use std::num::NonZeroU64;

use secrecy::SecretString;

use super::account::AccountKind;
use super::create::Created;
use super::manifest::Callbacks;
use super::permission::{Purpose, Wants};
use super::proof::{Facts, prove};
use super::session::Visit;
use super::vault::AppAccess;
use super::{Linking, Refusal};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::ci::holders_version;
use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::event::{About, AccountRef};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Account, Connection, ConnectionState, Organization};
use crate::domain::project::Proof;
use crate::domain::ticket::TicketPurpose;
use crate::domain::{ConnectionKey, SourceKey};
use crate::handler::plain_key;
use crate::provider::ProviderError;
use crate::provider::github::client::{
    Exchange, Github, Installation, Level, Membership, Permissions, Person,
};

/// A connection that somebody writes at the same moment is read again so often.
const TRIES_MAX: usize = 8;

/// What was bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The connection.
    pub connection: ConnectionKey,
    /// The account.
    pub login: String,
    /// Who has proven it.
    pub person: String,
    /// Permissions that were wanted and not granted.
    pub missing: Vec<&'static str>,
    /// `all` or `selected`.
    pub repository_selection: String,
}

/// What was read at the forge, and whose word it is.
struct Read {
    installation: Installation,
    person: Person,
    account: Account,
    kind: AccountKind,
}

impl Linking {
    /// Takes the code of the sign-in, proves, and binds.
    ///
    /// # Errors
    /// As [`Refusal`] says. Nothing is bound then.
    pub async fn authorized(
        &self,
        visit: &Visit,
        source: &SourceKey,
        came: Created,
    ) -> Result<Bound, Refusal> {
        let about = self.take_state(visit, TicketPurpose::Proof, source, &came.state).await?;
        let number = about.installation.and_then(NonZeroU64::new).ok_or(Refusal::State)?;
        let bound = self.prove_and_bind(visit, source, number, &came).await;
        if let Err(refusal) = &bound {
            self.note_refused(visit, source, number, refusal).await?;
        }
        let bound = bound?;
        self.close(visit).await?;
        self.store.wake_unbound(self.now()).await?;
        Ok(bound)
    }

    async fn prove_and_bind(
        &self,
        visit: &Visit,
        source: &SourceKey,
        number: NonZeroU64,
        came: &Created,
    ) -> Result<Bound, Refusal> {
        let code = came.code.as_deref().ok_or(Refusal::GivenUp)?;
        let app = self.app(visit).await?;
        let sign_in = app.sign_in().ok_or(Refusal::NoApp)?;
        let api = self.api(&visit.leg)?;
        let site = self.forges.site(&visit.leg.url).map_err(Refusal::Forge)?;
        let back = Callbacks::of(&self.public_url, source).authorized;
        let verifier = visit.verifier(&came.state);
        let exchange = Exchange { code, verifier: &verifier, redirect_uri: back.as_str() };
        let token = site.exchange(&sign_in, &exchange).await.map_err(|error| match error {
            ProviderError::Gone | ProviderError::Refused { .. } => Refusal::SignIn,
            error => Refusal::Forge(error),
        })?;
        let read = self.read(visit, &api, &app, number, &token).await;
        // It was needed for this check alone. Where it cannot be ended, it ends by itself within hours.
        if let Err(error) = api.drop_token(&sign_in, &token).await {
            tracing::debug!(%error, "a sign-in's token could not be ended");
        }
        self.bind(visit, source, &read?).await
    }

    /// Reads all that the proof stands on, and proves.
    async fn read(
        &self,
        visit: &Visit,
        api: &Github,
        app: &AppAccess,
        number: NonZeroU64,
        token: &SecretString,
    ) -> Result<Read, Refusal> {
        let expected = visit.leg.expected.as_ref().ok_or(Refusal::Step)?;
        let app_itself = self.app_at(&visit.leg, app)?;
        let person = api.token(token.clone()).for_person();
        let who = person.who().await.map_err(Refusal::Forge)?.person;
        // The App sees only its own installations: another App's number is as if it were not there.
        let installation = app_itself.installation(number.get()).await.map_err(|error| match error {
            ProviderError::Gone => Refusal::Unproven(super::Unproven::OtherApp),
            error => Refusal::Forge(error),
        })?;
        let reachable = person.reachable_installations().await.map_err(Refusal::Forge)?;
        let membership = match installation.account.as_ref().map(|it| (AccountKind::of(it), &it.login)) {
            Some((Some(AccountKind::Organization), login)) => membership(&person, login).await?,
            _ => None,
        };
        let facts = Facts {
            app: app.names.id,
            expected,
            installation: &installation,
            reachable: reachable.items(),
            person: &who,
            membership: membership.as_ref(),
        };
        let (account, kind) = prove(&facts).map_err(Refusal::Unproven)?;
        let account = Account { login: account.login.clone(), external_id: Some(account.id.get()) };
        Ok(Read { installation, person: who, account, kind })
    }

    /// Writes the binding, unless somebody else holds the account or takes it at the same moment.
    async fn bind(&self, visit: &Visit, source: &SourceKey, read: &Read) -> Result<Bound, Refusal> {
        for _ in 0..TRIES_MAX {
            let (before, version) = self.target(visit, source, read).await?;
            let holder = self.holder(visit, source, read, &before.key).await?;
            let wants = visit.leg.wants.unwrap_or(Wants { purpose: Purpose::Comments, follows_ci: false });
            let missing = missing(wants, &read.installation.permissions);
            let replaced = token_of(&before);
            let mut connection = bound(before, source, read, !missing.is_empty());
            let organization = self.organization(visit).await?;
            let managed = managed(&organization.value, &connection, read.kind);
            connection.authority = managed.authority.as_ref() == Some(&connection.key);
            connection.roster_stale_since = connection.authority.then(|| self.now());
            let reasons = connection.reasons.clone();
            connection.health.note(&reasons, self.now());
            let mut expects = vec![(RecordKey::Connection(connection.key.clone()), version)];
            expects.push((RecordKey::Organization(visit.organization.clone()), organization.version));
            let number = read.account.external_id.unwrap_or_default();
            expects.push((RecordKey::Account(connection.host.clone(), number), holder));
            let done = Bound {
                connection: connection.key.clone(),
                login: read.account.login.clone(),
                person: read.person.login.clone(),
                missing,
                repository_selection: read.installation.repository_selection.clone(),
            };
            let (speaking, seen) = self.speaking(visit, source).await?;
            expects.push(seen);
            let mut changes = vec![speaking];
            if let Some(token) = replaced {
                changes.push(token);
                let detail = "the App takes the place of its token, which is destroyed here".to_owned();
                let entry = self.entry(visit, "secret.erased", connection.key.as_str(), detail);
                changes.push(Change::Audit(entry));
            }
            changes.push(Change::Audit(self.entry(
                visit,
                "connection.bound",
                connection.key.as_str(),
                format!(
                    "installation {} on {} ({number}), proven by {} ({})",
                    read.installation.id, read.account.login, read.person.login, read.person.id
                ),
            )));
            let wishes = connection.read_anew(&visit.leg.by, self.now());
            changes.extend(wishes.into_iter().map(|wish| Change::Wish(Box::new(wish))));
            if managed != organization.value {
                changes.push(Change::PutOrganization(managed));
            }
            changes.push(Change::PutConnection(Box::new(connection)));
            if self.store.apply(changes, expects).await? {
                return Ok(done);
            }
        }
        Err(Refusal::Changed)
    }

    /// The organization that the session is for.
    async fn organization(&self, visit: &Visit) -> Result<Versioned<Organization>, Refusal> {
        self.store.versioned_organization(&visit.organization).await?.ok_or(Refusal::Changed)
    }

    /// The connection to be bound, with its version: the session's, or a new one.
    async fn target(
        &self,
        visit: &Visit,
        source: &SourceKey,
        read: &Read,
    ) -> Result<(Connection, u64), Refusal> {
        if let Some(key) = &visit.leg.connection {
            let found = self.store.versioned_connection(key).await?;
            let own = found.filter(|it| it.value.organization == visit.organization);
            let found = own.ok_or(Refusal::Changed)?;
            if found.value.rejected_at.is_some() {
                return Err(Refusal::Rejected);
            }
            return Ok((found.value, found.version));
        }
        let host = crate::domain::Host::of(&visit.leg.url).map_err(|_| Refusal::Changed)?;
        let plain = plain_key(visit.leg.kind, &host, &read.account.login);
        let room: String = plain.chars().take(40).collect();
        let number = read.account.external_id.unwrap_or_default();
        let marked = format!("{}-{number}", room.trim_end_matches('-'));
        for name in [plain, marked] {
            let Ok(key) = ConnectionKey::parse(&name) else { continue };
            if self.store.connection(&key).await?.is_none() {
                return Ok((self.blank(visit, key, source, read.account.clone())?, 0));
            }
        }
        Err(Refusal::Changed)
    }

    /// The version of who holds the account: nobody, or this very connection.
    async fn holder(
        &self,
        visit: &Visit,
        source: &SourceKey,
        read: &Read,
        own: &ConnectionKey,
    ) -> Result<u64, Refusal> {
        let host = crate::domain::Host::of(&visit.leg.url).map_err(|_| Refusal::Changed)?;
        let account = AccountRef { id: read.account.external_id, login: read.account.login.clone() };
        let about = About {
            installation: Some(read.installation.id.get()),
            account: Some(account),
            project: None,
            group: None,
        };
        let found = self.store.candidates(source, &host, &about).await?;
        for other in [&found.by_installation, &found.by_account].into_iter().flatten() {
            if other.organization != visit.organization {
                return Err(Refusal::Held);
            }
            if other.key != *own {
                return Err(Refusal::Connected(other.key.to_string()));
            }
        }
        Ok(holders_version(found.by_account.as_ref().map(|it| &it.key)))
    }

    /// From now on a source that was made here speaks for the organization. It is written in any case, so that whoever
    /// ends it at the same moment, because nobody used it, sees that somebody does.
    async fn speaking(
        &self,
        visit: &Visit,
        source: &SourceKey,
    ) -> Result<(Change, (RecordKey, u64)), Refusal> {
        let found = self.store.versioned_source(source).await?.ok_or(Refusal::NoApp)?;
        let (version, mut found) = (found.version, found.value);
        // A token may have taken the place of an App that had waited.
        let is_left = found.created_by != "config" && found.app.is_none();
        if found.removed || is_left {
            return Err(Refusal::NoApp);
        }
        if !found.organizations.contains(&visit.organization) {
            found.organizations.push(visit.organization.clone());
        }
        Ok((Change::PutSource(found), (RecordKey::Source(source.clone()), version)))
    }

    fn entry(&self, visit: &Visit, action: &str, subject: &str, detail: String) -> AuditEntry {
        AuditEntry {
            at: self.now(),
            organization: Some(visit.organization.clone()),
            actor: visit.leg.by.clone(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail,
            ..AuditEntry::default()
        }
    }

    async fn note_refused(
        &self,
        visit: &Visit,
        source: &SourceKey,
        number: NonZeroU64,
        refusal: &Refusal,
    ) -> Result<(), Refusal> {
        let detail = format!("installation {number}: {}", refusal.as_str());
        let entry = self.entry(visit, "connection.bind-refused", source.as_str(), detail);
        self.store.apply(vec![Change::Audit(entry)], Vec::new()).await?;
        Ok(())
    }
}

/// The person's own membership; who is in nothing is told apart from a forge that does not answer.
async fn membership(
    person: &crate::provider::github::client::Session,
    login: &str,
) -> Result<Option<Membership>, Refusal> {
    match person.own_membership(login).await {
        Ok(membership) => Ok(Some(membership)),
        Err(ProviderError::Gone) => Ok(None),
        Err(error) => Err(Refusal::Forge(error)),
    }
}

/// The organization once the connection is bound. Whoever has signed in at this forge and owns the account there is its
/// founder when nobody has signed in before (ruling 14); its members are then managed there. A person's own account has
/// no members.
fn managed(organization: &Organization, connection: &Connection, kind: AccountKind) -> Organization {
    let mut managed = organization.clone();
    if kind == AccountKind::Organization {
        let forge = connection.kind.forge();
        managed.home = organization.home.or(Some(forge));
        if managed.gives_authority(forge, &connection.key) {
            managed.authority = Some(connection.key.clone());
            return managed;
        }
    }
    organization.clone()
}

/// What was wanted and not granted: the installation decides, not the manifest.
fn missing(wants: Wants, granted: &Permissions) -> Vec<&'static str> {
    let level = |level| if level == "write" { Level::Write } else { Level::Read };
    let lacking = |it: &&crate::linking::Permission| !granted.allow(it.name, level(it.level));
    wants.permissions().into_iter().filter(lacking).map(|it| it.name).collect()
}

/// The end of the token by which it was believed.
fn token_of(before: &Connection) -> Option<Change> {
    let owner = CredentialOwner::Connection(before.key.clone());
    let has = before.credential == "access_token";
    has.then_some(Change::DropCredential(owner, CredentialKind::AccessToken))
}

fn bound(before: Connection, source: &SourceKey, read: &Read, lacks: bool) -> Connection {
    let mut connection = before;
    connection.account = read.account.clone();
    connection.source = source.clone();
    connection.credential = "app".into();
    connection.credential_last4 = None;
    connection.waiting_app = None;
    connection.installation = Some(read.installation.id.get());
    connection.permissions = granted(&read.installation.permissions);
    if !read.installation.repository_selection.is_empty() {
        connection.repository_selection = Some(read.installation.repository_selection.clone());
    }
    connection.proof = Proof::Proven;
    connection.clear_reasons(&[
        ConnectionState::AwaitingApproval,
        ConnectionState::WaitingFirstJob,
        ConnectionState::Uninstalled,
        ConnectionState::Suspended,
        ConnectionState::Limited,
        ConnectionState::PermissionMissing,
        ConnectionState::TokenInvalid,
        ConnectionState::TokenExpiring,
    ]);
    if lacks {
        connection.add_reason(ConnectionState::PermissionMissing);
    }
    if read.installation.suspended_at.is_some() {
        connection.add_reason(ConnectionState::Suspended);
    }
    connection
}

fn granted(permissions: &Permissions) -> std::collections::BTreeMap<String, String> {
    let word = |level| match level {
        Level::Read => "read",
        Level::Write => "write",
        Level::Admin => "admin",
        Level::Unknown => "unknown",
    };
    permissions.iter().map(|(name, level)| (name.to_owned(), word(level).to_owned())).collect()
}
