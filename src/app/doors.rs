//! The doors of all sources: those of the operator's file, and those that were made here and have their secrets in the
//! store. The second are looked at again every few seconds, because another process may have made one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::cli::{Exit, Failure};
use crate::config::Config;
use crate::domain::SourceKey;
use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::organization::{Forge, Source};
use crate::provider::{Door, LiveSecret, Secrets};
use crate::store::{Credential, Store, StoreError};
use crate::telemetry::{Fault, metric, report};
use crate::web::{Doorway, Front, ReadDoor};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(3);

/// What the doors made here were built from: when it differs, they are built anew.
type Seen = Vec<(SourceKey, Vec<crate::domain::credential::CredentialAbout>)>;

/// The doors of all declared sources.
pub(super) fn declared(config: &Config) -> Result<HashMap<SourceKey, Doorway>, Failure> {
    let mut table = HashMap::new();
    for (source, (forge, _, secrets)) in config.doors() {
        begin(forge, &source, &secrets);
        let door = Door::new(forge, source.clone(), secrets).map_err(Failure::usage)?;
        table.insert(source, Doorway::new(door));
    }
    Ok(table)
}

fn begin(forge: Forge, source: &SourceKey, secrets: &Secrets) {
    let slots = u8::try_from(secrets.webhook.len().saturating_add(secrets.signing.len())).unwrap_or(u8::MAX);
    metric::begin_source(forge.as_str(), source, slots);
}

/// The door of a source that was made here. `None`: what was kept of it proves nothing.
pub(super) fn doorway(forge: Forge, source: &SourceKey, secrets: Secrets) -> Option<Doorway> {
    begin(forge, source, &secrets);
    Door::new(forge, source.clone(), secrets).ok().map(Doorway::new)
}

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
        match secrets(store, &source.key).await {
            Ok(secrets) => doors.extend(door(&source, secrets).map(|door| (source.key, door))),
            // Not even with the secret that does open: the weaker proof alone would let in more than before.
            Err(StoreError::Corrupt(why)) => {
                let source = source.key.as_str();
                report!(Fault::DoorClosed, source, reason = why, "a source's door stays closed");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(doors)
}

/// What the store keeps to prove a source's deliveries by.
async fn secrets(store: &dyn Store, source: &SourceKey) -> Result<Secrets, StoreError> {
    let owner = CredentialOwner::Source(source.clone());
    let mut secrets = Secrets::default();
    for (now, before) in CredentialKind::OF_HOOKS {
        let slots = match now {
            CredentialKind::SigningToken => &mut secrets.signing,
            _ => &mut secrets.webhook,
        };
        slots.extend(store.credential(&owner, now).await?.map(live));
        match store.credential(&owner, before).await {
            Ok(kept) => slots.extend(kept.map(live)),
            // What was replaced and does not open proves nothing, and closes nothing.
            Err(StoreError::Corrupt(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(secrets)
}

fn live(kept: Credential) -> LiveSecret {
    LiveSecret { secret: kept.secret, not_after: kept.about.expires_at }
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
    let declared = declared(config)?;
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
        // Looked at first: one that is added meanwhile has the table built once more. A door that was made and ended
        // between two looks left no trace in the store, and must not stay open.
        let additions = front.doors.additions();
        if let Ok(now) = seen(front.store.as_ref()).await.map(|seen| (additions, seen))
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

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use url::Url;

    use super::*;
    use crate::domain::change::Change;
    use crate::domain::credential::CredentialAbout;
    use crate::domain::organization::Forge;
    use crate::domain::{Host, OrganizationSlug, Timestamp};

    /// A source that was made here, with its hook's secret.
    async fn made(store: &dyn Store, key: &str, is_damaged: bool) -> Vec<Change> {
        let url = Url::parse("https://gitlab.example.com/").unwrap();
        let organization = OrganizationSlug::parse("acme").unwrap();
        let source = Source {
            key: SourceKey::parse(key).unwrap(),
            forge: Forge::Gitlab,
            host: Host::of(&url).unwrap(),
            url,
            organizations: vec![organization.clone()],
            created_by: "cli".into(),
            removed: false,
            app: None,
        };
        let at = Timestamp::from_ms(1_000);
        let about = CredentialAbout {
            organization,
            owner: CredentialOwner::Source(source.key.clone()),
            kind: CredentialKind::WebhookSecret,
            last4: None,
            expires_at: None,
            binding: None,
            created_at: at,
            rotating_since: None,
        };
        let secret = SecretString::from("0123456789abcdef0123456789abcdef");
        let mut sealed = store.seal_credential(about, &secret, at).await.unwrap();
        if is_damaged {
            let last = sealed.sealed.pop().unwrap();
            sealed.sealed.push(if last == '0' { '1' } else { '0' });
        }
        vec![Change::PutSource(source), Change::PutCredential(Box::new(sealed))]
    }

    #[tokio::test]
    async fn a_secret_that_does_not_open_closes_its_own_door_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, key) = (folder.path().join("store"), folder.path().join("master.key"));
        let opened = crate::store::sled::open(&dir, &key, Timestamp::from_ms(0));
        let opened = opened.unwrap();
        let store: &dyn Store = &opened;
        for (name, is_damaged) in [("damaged", true), ("whole", false)] {
            let changes = made(store, name, is_damaged).await;
            assert!(store.apply(changes, Vec::new()).await.unwrap());
        }
        let doors = all(HashMap::new(), store).await.unwrap();
        let open: Vec<&str> = doors.keys().map(SourceKey::as_str).collect();
        assert_eq!(open, ["whole"]);
    }
}
