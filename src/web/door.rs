//! Which door proves which source's deliveries. The whole table is swapped at once when the config is read again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::metric::SourceMeter;
use crate::domain::SourceKey;
use crate::domain::delivery::Authenticate;
use crate::domain::organization::Forge;
use crate::provider::Door;

/// One source's door and the forge behind it.
#[derive(Clone)]
pub struct Doorway {
    pub(crate) forge: Forge,
    pub(crate) door: Arc<dyn Authenticate + Send + Sync>,
    pub(crate) meter: Arc<SourceMeter>,
}

impl Doorway {
    /// A provider's door.
    #[must_use]
    pub fn new(door: Door) -> Self {
        let forge = match door {
            Door::Github(_) => Forge::Github,
            Door::Gitlab(_) => Forge::Gitlab,
        };
        Self { forge, door: Arc::new(door), meter: Arc::default() }
    }

    /// Whether it is the very same door.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.door, &other.door)
    }
}

impl std::fmt::Debug for Doorway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doorway").field("forge", &self.forge).finish_non_exhaustive()
    }
}

/// Between two readings that strangers can cause, whoever they are.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A store that takes longer says nothing, and the request is refused.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// Reads what a source's door is this moment.
#[async_trait]
pub trait ReadDoor: Send + Sync {
    /// `None`: it has none, or nobody can say; then nothing changes.
    async fn door(&self, source: &SourceKey) -> Option<Doorway>;
}

/// All doors.
pub struct Doors {
    table: RwLock<Arc<Table>>,
    reader: OnceLock<Arc<dyn ReadDoor>>,
    /// When a door was last read because of a request.
    read_at: Mutex<Option<Instant>>,
    /// Grows with each door that is put into the table by itself.
    additions: AtomicU64,
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doors").field("table", &self.table).finish_non_exhaustive()
    }
}

/// What a request finds behind the name it asks for.
pub(crate) struct Found {
    /// The source's own; `None`: there is no such source.
    pub(crate) doorway: Option<Doorway>,
    /// At which its proof is tried where there is no source: what comes of that counts for nothing, only the time does.
    pub(crate) stand_in: Option<(SourceKey, Doorway)>,
    /// How often a refusal still has to hash the body for nothing.
    pub(crate) decoys: usize,
}

#[derive(Debug)]
struct Table {
    doors: HashMap<SourceKey, Doorway>,
    /// The door with the most secrets: any refusal hashes the body as often as its own must.
    widest: Option<SourceKey>,
}

impl From<HashMap<SourceKey, Doorway>> for Table {
    fn from(doors: HashMap<SourceKey, Doorway>) -> Self {
        let widest = doors.iter().max_by_key(|(_, doorway)| doorway.door.passes());
        Self { widest: widest.map(|(source, _)| source.clone()), doors }
    }
}

impl Table {
    fn find(&self, source: Option<&SourceKey>) -> Found {
        let doorway = source.and_then(|source| self.doors.get(source)).cloned();
        let widest = self.widest.as_ref().and_then(|source| self.doors.get_key_value(source));
        let passes = widest.map_or(1, |(_, doorway)| doorway.door.passes());
        let stand_in =
            widest.filter(|_| doorway.is_none()).map(|(source, door)| (source.clone(), door.clone()));
        let tried = doorway.as_ref().or(stand_in.as_ref().map(|(_, doorway)| doorway));
        let own = tried.map_or(0, |doorway| doorway.door.passes());
        Found { decoys: passes.saturating_sub(own), doorway, stand_in }
    }
}

impl Doors {
    /// From a table.
    #[must_use]
    pub fn new(doors: HashMap<SourceKey, Doorway>) -> Self {
        let table = RwLock::new(Arc::new(doors.into()));
        Self { table, reader: OnceLock::new(), read_at: Mutex::default(), additions: AtomicU64::new(0) }
    }

    /// Who reads a door that a request asks for and that is not in the table, or not as the request proves.
    pub fn read_by(&self, reader: Arc<dyn ReadDoor>) {
        // There is one, from the start on.
        let _ = self.reader.set(reader);
    }

    /// Reads a source's door before a request is refused: another process may have made it this moment. At most once a
    /// second in all, so that a flood of wrong requests reads no more than that. `false`: it was not read.
    pub(crate) async fn read_again(&self, source: Option<&SourceKey>) -> bool {
        let Some((reader, source)) = self.reader.get().zip(source) else { return false };
        tokio::time::timeout(READ_WITHIN, self.read(reader.as_ref(), source)).await.unwrap_or(false)
    }

    async fn read(&self, reader: &dyn ReadDoor, source: &SourceKey) -> bool {
        let mut read_at = self.read_at.lock().await;
        if read_at.is_some_and(|at| at.elapsed() < READ_AGAIN_AFTER) {
            return false;
        }
        *read_at = Some(Instant::now());
        if let Some(door) = reader.door(source).await {
            self.put(source.clone(), door);
        }
        true
    }

    /// Puts one door in place of the source's own. What it was counted by goes on.
    fn put(&self, source: SourceKey, door: Doorway) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        self.additions.fetch_add(1, Ordering::Relaxed);
        let mut doors = table.doors.clone();
        let meter = doors.get(&source).map_or_else(|| Arc::clone(&door.meter), |old| Arc::clone(&old.meter));
        doors.insert(source, Doorway { meter, ..door });
        *table = Arc::new(doors.into());
    }

    /// Puts another table in place of the whole one; requests under way keep the one they began with.
    pub fn swap(&self, doors: HashMap<SourceKey, Doorway>) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(doors.into());
    }

    /// How often doors were put into the table by themselves: what the whole table was built from last does not know of
    /// them.
    pub fn additions(&self) -> u64 {
        self.additions.load(Ordering::Relaxed)
    }

    /// Puts doors beside those that are there. A source that has one keeps it.
    pub fn add(&self, more: impl IntoIterator<Item = (SourceKey, Doorway)>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        self.additions.fetch_add(1, Ordering::Relaxed);
        let mut doors = table.doors.clone();
        for (source, doorway) in more {
            doors.entry(source).or_insert(doorway);
        }
        *table = Arc::new(doors.into());
    }

    /// What is behind a source's name.
    pub(crate) fn find(&self, source: Option<&SourceKey>) -> Found {
        self.table.read().unwrap_or_else(PoisonError::into_inner).find(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{LiveSecret, Secrets};

    fn doorway(forge: Forge, webhook: usize, signing: usize) -> Doorway {
        let live = |text: &str| LiveSecret { secret: text.into(), not_after: None };
        let token = live("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
        let secrets = Secrets { webhook: vec![live("a secret"); webhook], signing: vec![token; signing] };
        Doorway::new(Door::new(forge, key("x"), secrets).unwrap())
    }

    fn key(text: &str) -> SourceKey {
        SourceKey::parse(text).unwrap()
    }

    #[test]
    fn s10_every_refusal_hashes_as_often_as_the_source_with_the_most_secrets() {
        let doors = [
            ("one", doorway(Forge::Github, 1, 0)),
            ("three", doorway(Forge::Github, 3, 0)),
            ("plain", doorway(Forge::Gitlab, 2, 0)),
            ("signed", doorway(Forge::Gitlab, 1, 2)),
        ];
        let doors = Doors::new(doors.into_iter().map(|(name, doorway)| (key(name), doorway)).collect());
        for name in ["one", "three", "plain", "signed", "nobody"] {
            let found = doors.find(Some(&key(name)));
            assert_eq!(found.doorway.is_none(), name == "nobody");
            assert_eq!(found.stand_in.is_some(), name == "nobody", "who exists is proven at the own door");
            let tried = found.doorway.or(found.stand_in.map(|(_, doorway)| doorway)).unwrap();
            assert_eq!(tried.door.passes() + found.decoys, 3, "{name}");
        }
        let unnamed = doors.find(None);
        assert_eq!(unnamed.stand_in.unwrap().0, key("three"), "a name that cannot be one");
        let empty = Doors::new(HashMap::new()).find(None);
        assert!(empty.stand_in.is_none());
        assert_eq!(empty.decoys, 1);
    }
}
