//! Builds what leads browsers to a connection: the way to each GitHub, and what its Apps are known by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use crate::config::{App, Config};
use crate::connect::{AppAccess, Connect, Forge, NewApp, Vault};
use crate::domain::change::Change;
use crate::domain::organization::{AppNames, Kind};
use crate::domain::{Clock, SourceKey, Timestamp};
use crate::outbound::{Endpoint, Outbound};
use crate::provider::github::client::{Github, Site};
use crate::provider::{self, ProviderError, Reads};
use crate::seal::token::Token;
use crate::store::{Store, StoreError};

/// Clients of forges that are kept open at once; past it, all are opened anew.
const FORGES_MAX: usize = 64;

/// What the config says of forges and Apps.
struct Known {
    outbound: Outbound,
    /// The way to a declared forge's API.
    ways: HashMap<Url, Endpoint>,
    apps: HashMap<SourceKey, AppAccess>,
    opened: Mutex<HashMap<Url, Forge>>,
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

    fn forge(&self, kind: Kind, url: &Url) -> Result<Forge, ProviderError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(forge) = opened.get(url) {
            return Ok(forge.clone());
        }
        let typed = || self.outbound.declared(provider::api_url(kind, url), None, None, &[]);
        let way = self.ways.get(url).cloned().unwrap_or_else(typed);
        let site = Site::open(&self.outbound, way.at(url.clone()))?;
        let forge = Forge { api: Github::open(&self.outbound, way, Reads::default())?, site };
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

/// What leads browsers, and what it needs to be given another config.
pub(super) struct Connecting {
    pub(super) connect: Arc<Connect>,
    known: Arc<RwLock<Arc<Known>>>,
}

impl std::fmt::Debug for Connecting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connecting").field("connect", &self.connect).finish_non_exhaustive()
    }
}

impl Connecting {
    pub(super) fn new(config: &Config, store: Arc<dyn Store>, clock: &Clock, public_url: &Url) -> Self {
        let known = Arc::new(RwLock::new(Arc::new(Known::of(config, clock))));
        let (ways, apps) = (Arc::clone(&known), Arc::clone(&known));
        let connect = Connect {
            vault: Arc::new(Safe { store: Arc::clone(&store), known: apps }),
            store,
            forges: Arc::new(move |kind, url| current(&ways).forge(kind, url)),
            mint: Arc::new(|bearer| Token::generate(bearer).ok()),
            clock: Arc::clone(clock),
            public_url: public_url.clone(),
        };
        Self { connect: Arc::new(connect), known }
    }

    /// Puts another config in force.
    pub(super) fn reload(&self, config: &Config, clock: &Clock) {
        let known = Arc::new(Known::of(config, clock));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

fn current(known: &RwLock<Arc<Known>>) -> Arc<Known> {
    Arc::clone(&known.read().unwrap_or_else(PoisonError::into_inner))
}

/// Declared Apps from the config, the others from the store.
struct Safe {
    store: Arc<dyn Store>,
    known: Arc<RwLock<Arc<Known>>>,
}

#[async_trait]
impl Vault for Safe {
    fn seal(&self, _app: &NewApp<'_>, _now: Timestamp) -> Result<Vec<Change>, StoreError> {
        Err(StoreError::Unavailable("not there yet".into()))
    }

    async fn app(&self, source: &SourceKey) -> Result<Option<AppAccess>, StoreError> {
        if let Some(declared) = current(&self.known).apps.get(source) {
            return Ok(Some(declared.clone()));
        }
        let _ = &self.store;
        Ok(None)
    }

    fn opened(&self, _source: &SourceKey, _webhook_secret: &SecretString) {}
}
