//! Builds what leads browsers to a connection: the way to each GitHub, and what its Apps are known by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::edge;
use crate::cli::{Exit, Failure};
use crate::config::{App, Config, StoreUrl};
use crate::linking::{self, AppAccess, Linking, NewApp, Vault};
use crate::domain::change::Change;
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, last4};
use crate::domain::organization::{AppNames, Forge, Kind};
use crate::domain::{Clock, Host, SourceKey, Timestamp};
use crate::outbound::{Endpoint, Outbound};
use crate::provider::github::client::{Github, Site};
use crate::provider::{self, LiveSecret, ProviderError, Reads, Secrets};
use crate::seal::token::Token;
use crate::store::{Store, StoreError};
use crate::web::{Doors, Doorway};

/// Clients of forges that are kept open at once; past it, all are opened anew.
const FORGES_MAX: usize = 64;
/// How often the sources of other daemons are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What the config says of forges and Apps.
struct Known {
    outbound: Outbound,
    /// The way to a declared forge's API.
    ways: HashMap<Url, Endpoint>,
    apps: HashMap<SourceKey, AppAccess>,
    opened: Mutex<HashMap<Url, linking::Forge>>,
}

impl Known {
    fn of(config: &Config, clock: &Clock) -> Self {
        let outbound = Outbound::new(config.outbound_rules(Arc::clone(clock)));
        let mut ways = HashMap::new();
        let mut apps = HashMap::new();
        for connection in &config.connections {
            ways.entry(connection.url.clone()).or_insert_with(|| config.endpoint(connection));
            if let (Some(app), Ok(key)) = (&connection.app, SourceKey::parse(connection.key.as_str())) {
                apps.extend(access(app).map(|access| (key, access)));
            }
        }
        for source in &config.sources {
            let app = source.app.as_ref().and_then(access);
            apps.extend(app.map(|access| (source.key.clone(), access)));
        }
        Self { outbound, ways, apps, opened: Mutex::default() }
    }

    /// The declared way to a forge, or the plain one.
    fn way(&self, kind: Kind, url: &Url) -> Endpoint {
        let plain = || self.outbound.declared(provider::api_url(kind, url), None, None, &[]);
        self.ways.get(url).cloned().unwrap_or_else(plain)
    }

    /// What credentials for a forge's API and for its sign-in are bound to.
    fn bindings(&self, kind: Kind, url: &Url) -> (String, String) {
        let way = self.way(kind, url);
        let web = way.at(url.clone());
        (hex::encode(way.binding().as_bytes()), hex::encode(web.binding().as_bytes()))
    }

    fn forge(&self, kind: Kind, url: &Url) -> Result<linking::Forge, ProviderError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(forge) = opened.get(url) {
            return Ok(forge.clone());
        }
        let way = self.way(kind, url);
        let site = Site::open(&self.outbound, way.at(url.clone()))?;
        let forge = linking::Forge { api: Github::open(&self.outbound, way, Reads::default())?, site };
        if opened.len() >= FORGES_MAX {
            opened.clear();
        }
        opened.insert(url.clone(), forge.clone());
        Ok(forge)
    }
}

/// A declared App, as far as it is whole. What it is called in addresses is asked when it is needed.
fn access(app: &App) -> Option<AppAccess> {
    let text = |secret: &crate::config::Secret| SecretString::from(secret.expose().to_owned());
    let names = AppNames { id: app.id?, client_id: app.client_id.clone()?, slug: String::new(), owner: None };
    let client_secret = app.client_secret.as_ref().map(text);
    Some(AppAccess { names, private_key: text(app.private_key.as_ref()?), client_secret })
}

/// What leads browsers, the doors of all sources, and what they need to be given another config.
pub(super) struct Linked {
    pub(super) linking: Arc<Linking>,
    pub(super) doors: Arc<Doors>,
    known: Arc<RwLock<Arc<Known>>>,
    look: Option<tokio::task::JoinHandle<()>>,
}

impl std::fmt::Debug for Linked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linked").field("connect", &self.linking).finish_non_exhaustive()
    }
}

impl Linked {
    pub(super) async fn new(
        config: &Config,
        store: &Arc<dyn Store>,
        clock: &Clock,
        public_url: &Url,
    ) -> Result<Self, Failure> {
        let doors = Arc::new(Doors::new(doors(config, store.as_ref()).await?));
        let known = Arc::new(RwLock::new(Arc::new(Known::of(config, clock))));
        let (ways, apps) = (Arc::clone(&known), Arc::clone(&known));
        let safe = Safe { store: Arc::clone(store), known: apps, doors: Arc::clone(&doors) };
        let linking = Linking {
            store: Arc::clone(store),
            vault: Arc::new(safe),
            forges: Arc::new(move |kind, url| current(&ways).forge(kind, url)),
            mint: Arc::new(|bearer| Token::generate(bearer).ok()),
            clock: Arc::clone(clock),
            public_url: public_url.clone(),
        };
        let shared = matches!(config.store, StoreUrl::Postgres(_));
        let look = shared.then(|| tokio::spawn(look(Arc::clone(store), Arc::clone(&doors))));
        Ok(Self { linking: Arc::new(linking), doors, known, look })
    }

    /// Puts another config in force.
    pub(super) fn reload(&self, config: &Config, clock: &Clock) {
        let known = Arc::new(Known::of(config, clock));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        if let Some(look) = &self.look {
            look.abort();
        }
    }
}

/// Another daemon on the same database may make a source.
async fn look(store: Arc<dyn Store>, doors: Arc<Doors>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match made_doors(store.as_ref()).await {
            Ok(made) => doors.add(made),
            Err(error) => tracing::debug!(%error, "the sources of other daemons cannot be read now"),
        }
    }
}

/// The doors of all sources: what is declared comes before what was made here.
pub(super) async fn doors(
    config: &Config,
    store: &dyn Store,
) -> Result<HashMap<SourceKey, Doorway>, Failure> {
    let failure = |error: StoreError| Failure { exit: Exit::Store, message: error.to_string() };
    let mut all = made_doors(store).await.map_err(failure)?;
    all.extend(edge::doors(config)?);
    Ok(all)
}

fn current(known: &RwLock<Arc<Known>>) -> Arc<Known> {
    Arc::clone(&known.read().unwrap_or_else(PoisonError::into_inner))
}

/// Declared Apps from the config, the others from the store.
struct Safe {
    store: Arc<dyn Store>,
    known: Arc<RwLock<Arc<Known>>>,
    doors: Arc<Doors>,
}

#[async_trait]
impl Vault for Safe {
    async fn seal(&self, app: &NewApp<'_>, now: Timestamp) -> Result<Vec<Change>, StoreError> {
        let kind = Kind::of(Forge::Github, &host(app.url)?);
        let (api, web) = current(&self.known).bindings(kind, app.url);
        let secrets = [
            (CredentialKind::AppKey, app.private_key, Some(api)),
            (CredentialKind::ClientSecret, app.client_secret, Some(web)),
            (CredentialKind::WebhookSecret, app.webhook_secret, None),
        ];
        let mut changes = Vec::new();
        for (kind, secret, binding) in secrets {
            let shown = kind != CredentialKind::AppKey;
            let about = CredentialAbout {
                organization: app.organization.clone(),
                owner: CredentialOwner::Source(app.source.clone()),
                kind,
                last4: shown.then(|| last4(secret.expose_secret())).flatten(),
                expires_at: None,
                binding,
                created_at: now,
                rotating_since: None,
            };
            let sealed = self.store.seal_credential(about, secret, now).await?;
            changes.push(Change::PutCredential(Box::new(sealed)));
        }
        Ok(changes)
    }

    async fn app(&self, source: &SourceKey) -> Result<Option<AppAccess>, StoreError> {
        let known = current(&self.known);
        if let Some(declared) = known.apps.get(source) {
            return Ok(Some(declared.clone()));
        }
        let Some(found) = self.store.source(source).await? else { return Ok(None) };
        let Some(names) = found.app.filter(|_| !found.removed) else { return Ok(None) };
        let (api, web) = known.bindings(Kind::of(found.forge, &found.host), &found.url);
        // Given for another way to the forge than today's, it is not used.
        let secret = |kind, binding: String| async move {
            let opened = self.store.credential(&CredentialOwner::Source(source.clone()), kind).await?;
            let fits = opened.filter(|it| it.about.binding.as_ref() == Some(&binding));
            Ok::<_, StoreError>(fits.map(|it| it.secret))
        };
        let Some(private_key) = secret(CredentialKind::AppKey, api).await? else { return Ok(None) };
        let client_secret = secret(CredentialKind::ClientSecret, web).await?;
        Ok(Some(AppAccess { names, private_key, client_secret }))
    }

    fn opened(&self, source: &SourceKey, webhook_secret: &SecretString) {
        let live = LiveSecret { secret: webhook_secret.clone(), not_after: None };
        let secrets = Secrets { webhook: vec![live], signing: Vec::new() };
        if let Some(doorway) = edge::doorway(Forge::Github, source, secrets) {
            self.doors.add([(source.clone(), doorway)]);
        }
    }
}

fn host(url: &Url) -> Result<Host, StoreError> {
    Host::of(url).map_err(|_| StoreError::Unavailable("the forge's address has no host".into()))
}

/// The doors of all sources that were made here.
async fn made_doors(store: &dyn Store) -> Result<HashMap<SourceKey, Doorway>, StoreError> {
    let mut doors = HashMap::new();
    for source in store.sources().await? {
        if source.removed || source.created_by == "config" {
            continue;
        }
        let owner = CredentialOwner::Source(source.key.clone());
        let mut secrets = Secrets::default();
        for kind in [CredentialKind::WebhookSecret, CredentialKind::SigningToken] {
            let Some(found) = store.credential(&owner, kind).await? else { continue };
            let live = LiveSecret { secret: found.secret, not_after: None };
            let slots = if kind == CredentialKind::WebhookSecret {
                &mut secrets.webhook
            } else {
                &mut secrets.signing
            };
            slots.push(live);
        }
        if secrets.webhook.is_empty() && secrets.signing.is_empty() {
            continue;
        }
        if let Some(doorway) = edge::doorway(source.forge, &source.key, secrets) {
            doors.insert(source.key, doorway);
        }
    }
    Ok(doors)
}
