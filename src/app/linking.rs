//! Builds what leads browsers to a connection: what its Apps are known by, and the doors of the sources it makes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::doors;
use crate::cli::Failure;
use crate::config::{App as DeclaredApp, Config};
use crate::connect::Forges;
use crate::domain::change::Change;
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, last4};
use crate::domain::organization::{App, Forge};
use crate::domain::{Clock, SourceKey, Timestamp};
use crate::linking::{AppAccess, Linking, NewApp, Vault};
use crate::provider::{LiveSecret, Secrets};
use crate::seal::token::Token;
use crate::store::{Store, StoreError};
use crate::web::Doors;

type Declared = HashMap<SourceKey, AppAccess>;

/// The Apps of the operator's file, as far as they are whole.
fn declared(config: &Config) -> Declared {
    let own = config.connections.iter().filter_map(|it| {
        let key = SourceKey::parse(it.key.as_str()).ok()?;
        Some((key, access(it.app.as_ref()?)?))
    });
    let sources = config.sources.iter();
    let shared = sources.filter_map(|it| Some((it.key.clone(), access(it.app.as_ref()?)?)));
    own.chain(shared).collect()
}

/// What it is called in addresses is not in the file; it is asked when it is needed.
fn access(app: &DeclaredApp) -> Option<AppAccess> {
    let text = |secret: &crate::config::Secret| SecretString::from(secret.expose().to_owned());
    let names = App { id: app.id?, client_id: app.client_id.clone(), slug: String::new() };
    let client_secret = app.client_secret.as_ref().map(text);
    Some(AppAccess { names, private_key: text(app.private_key.as_ref()?), client_secret })
}

/// What leads browsers, the doors of all sources, and what they need to be given another config.
pub(super) struct Linked {
    pub(super) linking: Arc<Linking>,
    pub(super) doors: Arc<Doors>,
    declared: Arc<RwLock<Declared>>,
}

impl std::fmt::Debug for Linked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linked").field("linking", &self.linking).finish_non_exhaustive()
    }
}

impl Linked {
    /// The doors are those of the file at first.
    pub(super) fn new(
        config: &Config,
        forges: &Arc<Forges>,
        store: &Arc<dyn Store>,
        clock: &Clock,
        public_url: &Url,
    ) -> Result<Self, Failure> {
        let doors = Arc::new(Doors::new(doors::declared(config)?));
        let declared = Arc::new(RwLock::new(declared(config)));
        let safe = Safe {
            store: Arc::clone(store),
            forges: Arc::clone(forges),
            declared: Arc::clone(&declared),
            doors: Arc::clone(&doors),
        };
        let linking = Linking {
            store: Arc::clone(store),
            forges: Arc::clone(forges),
            vault: Arc::new(safe),
            mint: Arc::new(|bearer| Token::generate(bearer).ok()),
            clock: Arc::clone(clock),
            public_url: public_url.clone(),
        };
        Ok(Self { linking: Arc::new(linking), doors, declared })
    }

    /// Puts another config in force.
    pub(super) fn reload(&self, config: &Config) {
        *self.declared.write().unwrap_or_else(PoisonError::into_inner) = declared(config);
    }
}

/// Declared Apps from the file, the others from the store.
struct Safe {
    store: Arc<dyn Store>,
    forges: Arc<Forges>,
    declared: Arc<RwLock<Declared>>,
    doors: Arc<Doors>,
}

impl Safe {
    /// What an App's secrets are bound to: the way to its forge.
    fn binding(&self, url: &Url) -> String {
        hex::encode(self.forges.endpoint(Forge::Github, url).binding().as_bytes())
    }

    fn declared(&self, source: &SourceKey) -> Option<AppAccess> {
        self.declared.read().unwrap_or_else(PoisonError::into_inner).get(source).cloned()
    }
}

#[async_trait]
impl Vault for Safe {
    async fn seal(&self, app: &NewApp<'_>, now: Timestamp) -> Result<Vec<Change>, StoreError> {
        let binding = self.binding(app.url);
        let secrets = [
            (CredentialKind::AppKey, app.private_key, Some(&binding)),
            (CredentialKind::ClientSecret, app.client_secret, Some(&binding)),
            (CredentialKind::WebhookSecret, app.webhook_secret, None),
        ];
        let mut changes = Vec::new();
        for (kind, secret, binding) in secrets {
            // The end of a key says nothing: all keys end alike.
            let shown = kind != CredentialKind::AppKey;
            let about = CredentialAbout {
                organization: app.organization.clone(),
                owner: CredentialOwner::Source(app.source.clone()),
                kind,
                last4: shown.then(|| last4(secret.expose_secret())).flatten(),
                expires_at: None,
                binding: binding.cloned(),
                created_at: now,
                rotating_since: None,
            };
            let sealed = self.store.seal_credential(about, secret, now).await?;
            changes.push(Change::PutCredential(Box::new(sealed)));
        }
        Ok(changes)
    }

    async fn app(&self, source: &SourceKey) -> Result<Option<AppAccess>, StoreError> {
        if let Some(declared) = self.declared(source) {
            return Ok(Some(declared));
        }
        let Some(found) = self.store.source(source).await? else { return Ok(None) };
        let Some(names) = found.app.filter(|_| !found.removed) else { return Ok(None) };
        let (owner, binding) = (CredentialOwner::Source(source.clone()), self.binding(&found.url));
        // Given for another way to the forge than today's, it is not used.
        let fits = |kept: &crate::store::Credential| kept.about.binding.as_ref() == Some(&binding);
        let key = self.store.credential(&owner, CredentialKind::AppKey).await?.filter(&fits);
        let secret = self.store.credential(&owner, CredentialKind::ClientSecret).await?.filter(&fits);
        let client_secret = secret.map(|kept| kept.secret);
        Ok(key.map(|key| AppAccess { names, private_key: key.secret, client_secret }))
    }

    fn opened(&self, source: &SourceKey, webhook_secret: &SecretString) {
        let live = LiveSecret { secret: webhook_secret.clone(), not_after: None };
        let secrets = Secrets { webhook: vec![live], signing: Vec::new() };
        if let Some(doorway) = doors::doorway(Forge::Github, source, secrets) {
            self.doors.add([(source.clone(), doorway)]);
        }
    }
}
