//! The doors of all sources: those of the operator's file, and those that were made here and have their secrets in the
//! store. The second are looked at again every few seconds, because another process may have made one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::edge;
use crate::cli::{Exit, Failure};
use crate::config::Config;
use crate::domain::SourceKey;
use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::organization::Source;
use crate::provider::{Door, LiveSecret, Secrets};
use crate::store::{Store, StoreError};
use crate::telemetry::metric;
use crate::web::{Doorway, Front, ReadDoor};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(3);

/// What the doors made here were built from: when it differs, they are built anew.
type Seen = Vec<(SourceKey, Vec<crate::domain::credential::CredentialAbout>)>;

/// Sources that were made here and still count.
async fn made_here(store: &dyn Store) -> Result<Vec<Source>, StoreError> {
    let all = store.sources().await?;
    Ok(all.into_iter().filter(is_made_here).collect())
}

fn is_made_here(source: &Source) -> bool {
    source.created_by != "config" && !source.removed
}

async fn seen(store: &dyn Store) -> Result<Seen, StoreError> {
    let mut seen = Seen::new();
    for source in made_here(store).await? {
        let owner = CredentialOwner::Source(source.key.clone());
        seen.push((source.key, store.credentials(&owner).await?));
    }
    Ok(seen)
}

/// The doors of sources that were made here.
async fn stored(store: &dyn Store) -> Result<HashMap<SourceKey, Doorway>, StoreError> {
    let mut doors = HashMap::new();
    for source in made_here(store).await? {
        let secrets = secrets(store, &source.key).await?;
        doors.extend(door(&source, secrets).map(|door| (source.key, door)));
    }
    Ok(doors)
}

/// What the store keeps to prove a source's deliveries by.
async fn secrets(store: &dyn Store, source: &SourceKey) -> Result<Secrets, StoreError> {
    let owner = CredentialOwner::Source(source.clone());
    let mut secrets = Secrets::default();
    for kind in [CredentialKind::WebhookSecret, CredentialKind::SigningToken] {
        let Some(kept) = store.credential(&owner, kind).await? else { continue };
        let live = LiveSecret { secret: kept.secret, not_after: None };
        match kind {
            CredentialKind::SigningToken => secrets.signing.push(live),
            _ => secrets.webhook.push(live),
        }
    }
    Ok(secrets)
}

/// A source's door; without a secret it has none.
fn door(source: &Source, secrets: Secrets) -> Option<Doorway> {
    let count = secrets.webhook.len().saturating_add(secrets.signing.len());
    if count == 0 {
        return None;
    }
    metric::begin_source(source.forge.as_str(), &source.key, u8::try_from(count).unwrap_or(u8::MAX));
    Door::new(source.forge, source.key.clone(), secrets).ok().map(Doorway::new)
}

/// Reads the door of a source that was made here, at the moment when somebody knocks at it.
struct Reader {
    store: Arc<dyn Store>,
    declared: Declared,
}

#[async_trait]
impl ReadDoor for Reader {
    async fn door(&self, source: &SourceKey) -> Option<Doorway> {
        // The same is read of every name, so that no name can be told by the time it takes.
        let found = self.store.source(source).await.ok()?;
        let secrets = secrets(self.store.as_ref(), source).await.ok()?;
        let is_declared = lock(&self.declared).contains_key(source);
        let found = found.filter(|found| !is_declared && is_made_here(found))?;
        door(&found, secrets)
    }
}

fn lock(declared: &Declared) -> MutexGuard<'_, HashMap<SourceKey, Doorway>> {
    declared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All doors; where both name a source, the file's word holds.
pub(super) async fn all(
    declared: HashMap<SourceKey, Doorway>,
    store: &dyn Store,
) -> Result<HashMap<SourceKey, Doorway>, StoreError> {
    let mut doors = stored(store).await?;
    doors.extend(declared);
    Ok(doors)
}

/// The doors of the operator's file, as it was last read.
pub(super) type Declared = Arc<Mutex<HashMap<SourceKey, Doorway>>>;

/// Opens all doors before anybody knocks.
pub(super) async fn open(front: &Front, config: &Config) -> Result<Declared, Failure> {
    let declared = edge::doors(config)?;
    let doors = all(declared.clone(), front.store.as_ref()).await;
    front.doors.swap(doors.map_err(|error| Failure { exit: Exit::Store, message: error.to_string() })?);
    let declared = Arc::new(Mutex::new(declared));
    let reader = Reader { store: Arc::clone(&front.store), declared: Arc::clone(&declared) };
    front.doors.read_by(Arc::new(reader));
    Ok(declared)
}

/// Keeps the doors as the store has them, for as long as the daemon runs.
pub(super) async fn keep(front: Arc<Front>, declared: Declared) {
    let mut before = None;
    loop {
        if let Ok(now) = seen(front.store.as_ref()).await
            && before.as_ref() != Some(&now)
        {
            let declared = lock(&declared).clone();
            if let Ok(doors) = all(declared, front.store.as_ref()).await {
                front.doors.swap(doors);
                before = Some(now);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
