//! Ready clients: the way to a connection's forge, and the credential that opens it.
//!
//! The ways of the operator's file are held in memory with their secrets, which are never written anywhere. A connection
//! that was made here has its secret in the store, sealed, with the place it may be sent to: at any other address it is
//! not used (S19).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use secrecy::{ExposeSecret as _, SecretString};

use super::paused::off;
use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::organization::{Connection, Forge};
use crate::domain::{Clock, ConnectionKey, Host};
use crate::outbound::{Binding, Carried, Credential, Endpoint, Limits, Outbound, Rules};
use crate::provider::github::client::{App, AppKey, Github, Session as GithubSession, Site};
use crate::provider::gitlab::client::{Gitlab, Session as GitlabSession};
use crate::provider::{ProviderError, Reads};
use crate::store::{Store, StoreError};

/// How a connection of the operator's file is believed.
#[derive(Debug, Clone)]
pub enum How {
    /// With a personal, group or project token.
    Token(SecretString),
    /// As an installation of an App.
    App {
        /// The App's number or its client id.
        issuer: String,
        /// Its private key, PEM.
        key: SecretString,
    },
}

/// The way to a forge, and how we are believed there.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where its API is.
    pub endpoint: Endpoint,
    /// `None`: not at all.
    pub how: Option<How>,
}

impl Way {
    /// Whether it leads to the same place, and is opened by the same.
    fn is(&self, other: &Self) -> bool {
        let is_opened_so = match (&self.how, &other.how) {
            (Some(How::Token(one)), Some(How::Token(two))) => one.expose_secret() == two.expose_secret(),
            (Some(How::App { issuer, key }), Some(How::App { issuer: other, key: another })) => {
                issuer == other && key.expose_secret() == another.expose_secret()
            }
            (one, two) => one.is_none() && two.is_none(),
        };
        is_opened_so && self.endpoint == other.endpoint
    }
}

/// Everything that the operator's file says of ways.
#[derive(Debug)]
pub struct Ways {
    /// Makes the clients.
    pub outbound: Outbound,
    /// Of declared connections.
    pub declared: HashMap<ConnectionKey, Way>,
    /// Of forges that the file tells how to reach: their authority, proxy and networks hold for every connection there.
    pub hosts: HashMap<Host, Endpoint>,
}

impl Ways {
    /// Of a file that declares no forge: only public addresses are called, over https.
    #[must_use]
    pub fn undeclared(clock: Clock) -> Self {
        let rules = Rules { plain_http: false, private: Vec::new(), limits: Limits::default(), clock };
        Self { outbound: Outbound::new(rules), declared: HashMap::new(), hosts: HashMap::new() }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// It has no credential: it can only listen.
    #[error("the connection has no credential, so nothing can be asked of the forge")]
    NoCredential,
    /// It is switched off here or there: nothing is asked as long as that is so.
    #[error("the connection is off ({0}), so nothing is asked of the forge")]
    Off(&'static str),
    /// Its credential was given for another address. It is not sent; enter it anew.
    #[error(
        "the credential was given for another address, certificate authority or proxy, so it is not sent; enter it anew"
    )]
    Elsewhere,
    /// Its credential cannot be used.
    #[error("the App's key {0}")]
    Key(String),
    /// Its credential is there and does not open: it was damaged, or its key is another.
    #[error("the credential that is kept does not open; enter it anew")]
    Unreadable,
    /// It is being replaced at the forge; presented once more, the old one would void the new one.
    #[error("the token is being replaced, or was and the answer was lost; enter a new one")]
    Rotating,
    /// The system gives no randomness.
    #[error("the system gives no random bytes")]
    Random,
    /// The forge, or the way there.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotReady {
    /// What a credential that cannot be read comes to. Damage is this one credential's: the store goes on.
    pub(super) fn of_credential(error: StoreError) -> Self {
        if matches!(error, StoreError::Corrupt(_)) { Self::Unreadable } else { Self::Store(error) }
    }
}

/// A client that speaks for a connection.
#[derive(Debug, Clone)]
pub enum Ready {
    /// As an installation of an App.
    Installation(Box<Installed>),
    /// With a personal token at GitHub.
    Github(GithubSession),
    /// With a token at GitLab.
    Gitlab(GitlabSession),
}

/// An installation of an App; the App itself can be asked about it.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Speaks as the App.
    pub app: App,
    /// Speaks as its installation.
    pub session: GithubSession,
    /// The installation's number.
    pub installation: u64,
}

impl Installed {
    /// At this installation.
    #[must_use]
    pub fn new(app: App, installation: u64) -> Self {
        Self { session: app.at(installation), app, installation }
    }
}

/// What was opened already; what a client remembers of limits and tokens must outlive one use of it.
#[derive(Default)]
struct Opened {
    github: HashMap<Endpoint, Github>,
    gitlab: HashMap<Endpoint, Gitlab>,
    /// By endpoint, issuer and the key's fingerprint: a replaced key is another App.
    apps: HashMap<(Endpoint, String, String), App>,
}

/// Makes clients.
pub struct Forges {
    store: Arc<dyn Store>,
    ways: RwLock<Arc<Ways>>,
    opened: Mutex<Opened>,
    reads: Reads,
}

impl std::fmt::Debug for Forges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forges")
    }
}

impl Forges {
    /// With the ways of the operator's file.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ways: Ways) -> Self {
        let (opened, reads) = (Mutex::default(), Reads::default());
        Self { store, ways: RwLock::new(Arc::new(ways)), opened, reads }
    }

    /// Puts another file's ways in force. Clients stay as they are, with all that a forge has asked of them, unless other
    /// networks or limits hold for every call. Gives the connections that are believed by something else from now on, or
    /// elsewhere.
    pub fn set_ways(&self, mut ways: Ways) -> Vec<ConnectionKey> {
        let before = self.ways();
        let (outbound, is_as_before) = ways.outbound.following(&before.outbound);
        ways.outbound = outbound;
        let is_other = |(key, way): &(&ConnectionKey, &Way)| {
            way.how.is_some() && before.declared.get(*key).is_none_or(|old| !old.is(way))
        };
        let changed = ways.declared.iter().filter(is_other).map(|(key, _)| key.clone()).collect();
        *self.ways.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ways);
        if !is_as_before {
            *self.opened() = Opened::default();
        }
        changed
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ways(&self) -> Arc<Ways> {
        Arc::clone(&self.ways.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the operator's file declares this connection, secrets and all.
    #[must_use]
    pub fn is_declared(&self, key: &ConnectionKey) -> bool {
        self.ways().declared.contains_key(key)
    }

    /// Whether the operator's file has made this connection, or declares it now: it is changed there.
    #[must_use]
    pub fn is_of_file(&self, connection: &Connection) -> bool {
        connection.created_by == "config" || self.is_declared(&connection.key)
    }

    /// Where the API of the forge at this base URL is, and the way there as far as the file tells it.
    #[must_use]
    pub fn endpoint(&self, forge: Forge, base: &url::Url) -> Endpoint {
        let ways = self.ways();
        let api = match forge {
            Forge::Github => crate::provider::github::api_url(base),
            Forge::Gitlab => crate::provider::gitlab::api_url(base),
        };
        let told = Host::of(base).ok().and_then(|host| ways.hosts.get(&host).cloned());
        match told {
            Some(told) if told.base().origin() == api.origin() => told.at(api),
            Some(told) => told,
            None => ways.outbound.declared(api, None, None, &[]),
        }
    }

    /// GitHub's API at an endpoint.
    ///
    /// # Errors
    /// When its address is one that is never called.
    pub fn github(&self, endpoint: &Endpoint) -> Result<Github, ProviderError> {
        let mut opened = self.opened();
        if let Some(known) = opened.github.get(endpoint) {
            return Ok(known.clone());
        }
        let github = Github::open(&self.ways().outbound, endpoint.clone(), self.reads.clone())?;
        opened.github.insert(endpoint.clone(), github.clone());
        Ok(github)
    }

    /// GitHub's own address, where people sign in; by the same way as its API.
    ///
    /// # Errors
    /// When its address is one that is never called.
    pub fn site(&self, base: &url::Url) -> Result<Site, ProviderError> {
        Site::open(&self.ways().outbound, self.site_endpoint(base))
    }

    /// Where people sign in at the GitHub of this base URL.
    #[must_use]
    pub fn site_endpoint(&self, base: &url::Url) -> Endpoint {
        self.endpoint(Forge::Github, base).at(base.clone())
    }

    /// GitLab's API at an endpoint.
    ///
    /// # Errors
    /// When its address is one that is never called.
    pub fn gitlab(&self, endpoint: &Endpoint) -> Result<Gitlab, ProviderError> {
        let mut opened = self.opened();
        if let Some(known) = opened.gitlab.get(endpoint) {
            return Ok(known.clone());
        }
        let gitlab = Gitlab::open(&self.ways().outbound, endpoint.clone())?;
        opened.gitlab.insert(endpoint.clone(), gitlab.clone());
        Ok(gitlab)
    }

    /// An App, with the tokens of its installations remembered.
    ///
    /// # Errors
    /// When its key is none, or the address is one that is never called.
    pub fn app(&self, endpoint: &Endpoint, issuer: &str, key: &SecretString) -> Result<App, NotReady> {
        let github = self.github(endpoint)?;
        let name = Credential::new(key.clone(), Carried::Bearer, endpoint).fingerprint();
        let place = (endpoint.clone(), issuer.to_owned(), name);
        let mut opened = self.opened();
        if let Some(known) = opened.apps.get(&place) {
            return Ok(known.clone());
        }
        let app = github.app(AppKey::parse(issuer, key).map_err(NotReady::Key)?);
        opened.apps.insert(place, app.clone());
        Ok(app)
    }

    /// A client that speaks for a connection: an installation of an App, a personal token, a GitLab token.
    ///
    /// # Errors
    /// [`NotReady`] says what is missing; nothing was asked of the forge.
    pub async fn ready(&self, connection: &Connection) -> Result<Ready, NotReady> {
        if let Some(why) = off(connection) {
            return Err(NotReady::Off(why));
        }
        self.ready_anyway(connection).await
    }

    /// The same for a connection that is off: to see whether it still is, or to take away what was made there.
    ///
    /// # Errors
    /// As [`Self::ready`].
    pub async fn ready_anyway(&self, connection: &Connection) -> Result<Ready, NotReady> {
        if let Some(way) = self.ways().declared.get(&connection.key).cloned() {
            let how = way.how.ok_or(NotReady::NoCredential)?;
            return self.declared(connection, &way.endpoint, how);
        }
        let endpoint = self.endpoint(connection.kind.forge(), &connection.url);
        match connection.credential.as_str() {
            "app" => self.of_app(connection, &endpoint).await,
            "access_token" => self.of_token(connection, &endpoint).await,
            _ => Err(NotReady::NoCredential),
        }
    }

    fn declared(&self, connection: &Connection, endpoint: &Endpoint, how: How) -> Result<Ready, NotReady> {
        match how {
            How::App { issuer, key } => {
                let app = self.app(endpoint, &issuer, &key)?;
                installed(app, connection)
            }
            How::Token(token) => self.with_token(connection.kind.forge(), endpoint, token),
        }
    }

    fn with_token(&self, forge: Forge, endpoint: &Endpoint, token: SecretString) -> Result<Ready, NotReady> {
        Ok(match forge {
            Forge::Github => Ready::Github(self.github(endpoint)?.token(token)),
            Forge::Gitlab => Ready::Gitlab(self.gitlab(endpoint)?.token(token)),
        })
    }

    async fn of_token(&self, connection: &Connection, endpoint: &Endpoint) -> Result<Ready, NotReady> {
        let owner = CredentialOwner::Connection(connection.key.clone());
        let kept = self.store.credential(&owner, CredentialKind::AccessToken).await;
        let kept = kept.map_err(NotReady::of_credential)?.ok_or(NotReady::NoCredential)?;
        if !is_for(kept.about.binding.as_deref(), endpoint) {
            return Err(NotReady::Elsewhere);
        }
        if kept.about.rotating_since.is_some() {
            return Err(NotReady::Rotating);
        }
        self.with_token(connection.kind.forge(), endpoint, kept.secret)
    }

    async fn of_app(&self, connection: &Connection, endpoint: &Endpoint) -> Result<Ready, NotReady> {
        let source = self.store.source(&connection.source).await?.ok_or(NotReady::NoCredential)?;
        let owner = CredentialOwner::Source(source.key.clone());
        let kept = self.store.credential(&owner, CredentialKind::AppKey).await;
        let (kept, facts) =
            kept.map_err(NotReady::of_credential)?.zip(source.app).ok_or(NotReady::NoCredential)?;
        if !is_for(kept.about.binding.as_deref(), endpoint) {
            return Err(NotReady::Elsewhere);
        }
        installed(self.app(endpoint, &facts.id.to_string(), &kept.secret)?, connection)
    }

    /// Lets go of every token that was minted for an installation (S34).
    pub fn forget_installation(&self, host: &Host, installation: u64) {
        let opened = self.opened();
        let there = |endpoint: &Endpoint| {
            let name = endpoint.base().host_str().unwrap_or_default();
            let site = host.as_str().split(['/', ':']).next().unwrap_or_default();
            name == site || name.strip_prefix("api.").is_some_and(|name| name == site)
        };
        for ((endpoint, ..), app) in &opened.apps {
            if there(endpoint) {
                app.forget(installation);
            }
        }
    }
}

fn installed(app: App, connection: &Connection) -> Result<Ready, NotReady> {
    let installation = connection.installation.ok_or(NotReady::NoCredential)?;
    Ok(Ready::Installation(Box::new(Installed::new(app, installation))))
}

/// Whether a secret was given for this endpoint.
fn is_for(binding: Option<&str>, endpoint: &Endpoint) -> bool {
    let given = binding.and_then(|text| hex::decode(text).ok());
    let given = given.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).map(Binding::from_bytes);
    given == Some(endpoint.binding())
}
