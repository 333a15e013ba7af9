//! What is written for a new connection: itself, its source, its credentials, the wishes for a check and a sync.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::hooks::hook_url;
use super::new::{Added, NewApp, NewConnection, NewCredential};
use super::paused::is_off;
use super::probe::Seen;
use super::{Connections, NotReady, Undone, line, organization_hook, wishes};
use crate::domain::change::Change;
use crate::domain::connection::Beginning;
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, last4};
use crate::domain::health::Capability;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{App, Connection, ConnectionState, Forge, Kind, Organization, Source};
use crate::domain::project::Proof;
use crate::domain::{ConnectionKey, Host, SourceKey, id_of};
use crate::handler::{Look, judge, slug_of};
use crate::store::StoreError;

/// Who is written down as the maker of what a file has made.
const BY_FILE: &str = "apply";

/// A connection about to be written, by what was known.
pub(super) struct Draft {
    pub(super) organization: Versioned<Organization>,
    /// The one that made itself, or was disconnected.
    pub(super) before: Option<Versioned<Connection>>,
    pub(super) key: ConnectionKey,
    pub(super) base: Url,
    pub(super) host: Host,
    pub(super) authority: bool,
    pub(super) installation: Option<u64>,
    /// Who holds the account, as it was read.
    pub(super) holders: Vec<(RecordKey, u64)>,
}

/// The names that it would like, best first.
pub(super) fn keys(new: &NewConnection, host: &Host) -> Vec<ConnectionKey> {
    if let Some(key) = &new.key {
        return vec![key.clone()];
    }
    let forge = match new.kind {
        Kind::GithubCloud | Kind::GitlabCloud => new.kind.forge().as_str().to_owned(),
        Kind::GithubEnterpriseServer | Kind::GitlabSelfManaged => slug_of(host.as_str()),
    };
    let plain: String = format!("{forge}-{}", slug_of(&new.account)).chars().take(63).collect();
    let mark: String =
        id_of(&[new.organization.as_str(), host.as_str(), &new.account]).chars().take(8).collect();
    let short: String = plain.chars().take(54).collect();
    let marked = format!("{}-{mark}", short.trim_end_matches('-'));
    let names = [plain.trim_end_matches('-').to_owned(), marked];
    names.iter().filter_map(|name| ConnectionKey::parse(name).ok()).collect()
}

/// Writes all of it in one act. `None`: something changed meanwhile, and nothing was written.
pub(super) async fn write(
    of: &Connections,
    draft: Draft,
    new: &NewConnection,
    seen: &Seen,
    binding: String,
) -> Result<Option<Added>, Undone> {
    let now = of.now();
    let before = draft.before.as_ref().map(|before| &before.value);
    let source_key = SourceKey::parse(draft.key.as_str()).map_err(|_| Undone::Busy)?;
    let mut connection = connection(&draft, new, before, seen, &source_key, now);
    let mut keeper = Keeper { of, connection: &connection, changes: Vec::new() };
    let hook = match &new.credential {
        NewCredential::Token(token) => {
            let owner = CredentialOwner::Connection(connection.key.clone());
            keeper.keep(owner, CredentialKind::AccessToken, token, Some(&binding)).await?;
            keeper.drop_app();
            // What an App had that was never installed, only that App knows.
            let is_left = before.is_some_and(|it| it.credential == "app" && !it.is_believed());
            if is_left { Some(keeper.hook_secret().await?) } else { keeper.hook_secret_unless_kept().await? }
        }
        NewCredential::App(app) => keeper.app(app, &binding).await?,
    };
    let mut changes = keeper.changes;
    changes.push(Change::PutSource(source(&connection, &draft, new)));
    if draft.authority && draft.organization.value.authority.as_ref() != Some(&connection.key) {
        let mut organization = draft.organization.value.clone();
        organization.authority = Some(connection.key.clone());
        organization.home = organization.home.or(Some(connection.kind.forge()));
        changes.push(Change::PutOrganization(organization));
    }
    let action = match before {
        None => "connection.created",
        Some(before) if !before.is_believed() => "connection.promoted",
        Some(_) => "secret.replaced",
    };
    let detail = format!("{} at {}", connection.account.login, connection.host);
    changes.push(line(&connection, &new.by, action, &detail, now));
    changes.extend(wishes(connection.read_anew(&new.by, now)));
    let mut expects = expects(&draft, before.is_none(), &source_key);
    if let Some(before) = before {
        let (ended, versions) = of.abandoned(before).await?;
        changes.extend(ended);
        expects.extend(versions);
    }
    if before.is_some_and(is_off) {
        let (projects, versions) = of.projects_paused(&mut connection).await?;
        changes.extend(projects);
        expects.extend(versions);
    }
    changes.push(Change::PutConnection(Box::new(connection.clone())));
    if !of.store.apply(changes, expects).await? {
        return Ok(None);
    }
    let url = hook_url(of, &connection)?;
    // Hooks are made by us where the token may; at GitHub whoever gave another one may want to set one up by hand.
    let makes = |one: &Capability| one.feature == organization_hook::FEATURE && one.ok;
    let is_made = connection.health.capabilities.iter().any(makes);
    let is_shown = connection.kind.forge() == Forge::Github && !is_made;
    let hook = hook.filter(|_| is_shown).map(|secret| (url, secret));
    Ok(Some(Added { connection, remarks: seen.remarks.clone(), hook }))
}

fn expects(draft: &Draft, is_new: bool, source: &SourceKey) -> Vec<(RecordKey, u64)> {
    let mut expects = draft.holders.clone();
    let version = draft.before.as_ref().map_or(0, |before| before.version);
    expects.push((RecordKey::Connection(draft.key.clone()), version));
    let slug = draft.organization.value.slug.clone();
    expects.push((RecordKey::Organization(slug), draft.organization.version));
    if is_new {
        // A source of that name may be the file's.
        expects.push((RecordKey::Source(source.clone()), 0));
    }
    expects
}

fn connection(
    draft: &Draft,
    new: &NewConnection,
    before: Option<&Connection>,
    seen: &Seen,
    source: &SourceKey,
    now: crate::domain::Timestamp,
) -> Connection {
    let credential = match new.credential {
        NewCredential::Token(_) => "access_token",
        NewCredential::App(_) => "app",
    };
    let fresh = || Connection {
        credential: credential.into(),
        installation: draft.installation,
        authority: draft.authority,
        reasons: vec![ConnectionState::WaitingFirstJob],
        roster_stale_since: draft.authority.then_some(now),
        ..Connection::begin(Beginning {
            key: draft.key.clone(),
            organization: new.organization.clone(),
            kind: new.kind,
            host: draft.host.clone(),
            url: draft.base.clone(),
            account: seen.found.account.clone(),
            source: source.clone(),
            created_by: new.by.clone(),
            created_at: now,
        })
    };
    let mut it = before.cloned().unwrap_or_else(fresh);
    it.credential = credential.into();
    it.installation = draft.installation.or(it.installation);
    it.authority = draft.authority;
    it.url.clone_from(&draft.base);
    it.source.clone_from(source);
    it.proof = Proof::Proven;
    it.waiting_app = None;
    it.credential_last4 = match &new.credential {
        NewCredential::Token(token) => last4(token.expose_secret()),
        NewCredential::App(_) => None,
    };
    if new.kept_by_file {
        BY_FILE.clone_into(&mut it.created_by);
    }
    if before.is_some_and(|before| !before.is_believed() || before.is_off()) {
        it.paused_at = None;
    }
    it.clear_reasons(&[ConnectionState::Uninstalled, ConnectionState::Suspended, ConnectionState::Limited]);
    judge(&it, &Look::Found(Box::new(seen.found.clone())), now)
}

fn source(connection: &Connection, draft: &Draft, new: &NewConnection) -> Source {
    let app = match &new.credential {
        NewCredential::App(app) => {
            let client_id = app.client_id.clone();
            Some(App { id: app.id, client_id, slug: String::new() })
        }
        NewCredential::Token(_) => None,
    };
    Source {
        key: connection.source.clone(),
        forge: connection.kind.forge(),
        host: draft.host.clone(),
        url: draft.base.clone(),
        organizations: vec![connection.organization.clone()],
        created_by: new.by.clone(),
        removed: false,
        app,
    }
}

/// Seals what is to be kept of a connection.
struct Keeper<'a> {
    of: &'a Connections,
    connection: &'a Connection,
    changes: Vec<Change>,
}

impl Keeper<'_> {
    async fn keep(
        &mut self,
        owner: CredentialOwner,
        kind: CredentialKind,
        secret: &SecretString,
        binding: Option<&String>,
    ) -> Result<(), StoreError> {
        let about = CredentialAbout {
            organization: self.connection.organization.clone(),
            owner,
            kind,
            last4: last4(secret.expose_secret()).filter(|_| kind != CredentialKind::AppKey),
            expires_at: self.connection.health.expires_at.filter(|_| kind == CredentialKind::AccessToken),
            binding: binding.cloned(),
            created_at: self.of.now(),
            rotating_since: None,
        };
        let sealed = self.of.store.seal_credential(about, secret, self.of.now()).await?;
        self.changes.push(Change::PutCredential(Box::new(sealed)));
        Ok(())
    }

    fn of_source(&self) -> CredentialOwner {
        CredentialOwner::Source(self.connection.source.clone())
    }

    /// The source is no App's any more: what the App was believed by is destroyed.
    fn drop_app(&mut self) {
        let of_app = [CredentialKind::AppKey, CredentialKind::ClientSecret];
        let owner = self.of_source();
        self.changes.extend(of_app.map(|kind| Change::DropCredential(owner.clone(), kind)));
    }

    /// A fresh secret for the connection's hook, unless there is a hook that uses one. One that does not open any more
    /// proves nothing, and is made anew.
    async fn hook_secret_unless_kept(&mut self) -> Result<Option<SecretString>, NotReady> {
        let kept = self.of.store.credential(&self.of_source(), CredentialKind::WebhookSecret).await;
        match kept.map_err(NotReady::of_credential) {
            Ok(Some(_)) => Ok(None),
            Ok(None) | Err(NotReady::Unreadable) => self.hook_secret().await.map(Some),
            Err(other) => Err(other),
        }
    }

    /// A fresh secret for the connection's hook.
    async fn hook_secret(&mut self) -> Result<SecretString, NotReady> {
        let secret = SecretString::from(hex::encode(self.of.random_bytes()?));
        self.keep(self.of_source(), CredentialKind::WebhookSecret, &secret, None).await?;
        Ok(secret)
    }

    /// An App's secrets; a webhook secret is made when none is given, and then it is to be shown.
    async fn app(&mut self, app: &NewApp, binding: &String) -> Result<Option<SecretString>, NotReady> {
        let owner = self.of_source();
        self.keep(owner.clone(), CredentialKind::AppKey, &app.private_key, Some(binding)).await?;
        if let Some(secret) = &app.client_secret {
            self.keep(owner.clone(), CredentialKind::ClientSecret, secret, Some(binding)).await?;
        }
        match &app.webhook_secret {
            Some(secret) => {
                self.keep(owner, CredentialKind::WebhookSecret, secret, None).await?;
                Ok(None)
            }
            None => self.hook_secret().await.map(Some),
        }
    }
}
