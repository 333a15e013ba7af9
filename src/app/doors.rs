//! The doors of all sources: those of the operator's file, and those that were made here and have their secrets in the
//! store. The second are looked at again every few seconds, because another process may have made one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::edge;
use crate::cli::{Exit, Failure};
use crate::config::Config;
use crate::domain::SourceKey;
use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::organization::Source;
use crate::provider::{Door, LiveSecret, Secrets};
use crate::store::{Store, StoreError};
use crate::telemetry::metric;
use crate::web::{Doorway, Front};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(3);

/// What the doors made here were built from: when it differs, they are built anew.
type Seen = Vec<(SourceKey, Vec<crate::domain::credential::CredentialAbout>)>;

/// Sources that were made here and still count.
async fn made_here(store: &dyn Store) -> Result<Vec<Source>, StoreError> {
    let all = store.sources().await?;
    Ok(all.into_iter().filter(|source| source.created_by != "config" && !source.removed).collect())
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
        let owner = CredentialOwner::Source(source.key.clone());
        let mut secrets = Secrets::default();
        for kind in [CredentialKind::WebhookSecret, CredentialKind::SigningToken] {
            let Some(kept) = store.credential(&owner, kind).await? else { continue };
            let live = LiveSecret { secret: kept.secret, not_after: None };
            match kind {
                CredentialKind::SigningToken => secrets.signing.push(live),
                _ => secrets.webhook.push(live),
            }
        }
        if secrets.webhook.is_empty() && secrets.signing.is_empty() {
            continue;
        }
        let slots =
            u8::try_from(secrets.webhook.len().saturating_add(secrets.signing.len())).unwrap_or(u8::MAX);
        metric::begin_source(source.forge.as_str(), &source.key, slots);
        if let Ok(door) = Door::new(source.forge, source.key.clone(), secrets) {
            doors.insert(source.key, Doorway::new(door));
        }
    }
    Ok(doors)
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
    Ok(Arc::new(Mutex::new(declared)))
}

/// Keeps the doors as the store has them, for as long as the daemon runs.
pub(super) async fn keep(front: Arc<Front>, declared: Declared) {
    let mut before = None;
    loop {
        if let Ok(now) = seen(front.store.as_ref()).await
            && before.as_ref() != Some(&now)
        {
            let declared = declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Ok(doors) = all(declared, front.store.as_ref()).await {
                front.doors.swap(doors);
                before = Some(now);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
