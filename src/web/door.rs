//! Which door proves which source's deliveries. The whole table is swapped at once when the config is read again.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

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
}

impl std::fmt::Debug for Doorway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doorway").field("forge", &self.forge).finish_non_exhaustive()
    }
}

/// All doors.
#[derive(Debug)]
pub struct Doors {
    table: RwLock<Arc<Table>>,
}

#[derive(Debug)]
struct Table {
    doors: HashMap<SourceKey, Doorway>,
    /// So often does any refusal hash the body: as the source with the most secrets must.
    passes: usize,
}

impl From<HashMap<SourceKey, Doorway>> for Table {
    fn from(doors: HashMap<SourceKey, Doorway>) -> Self {
        let passes = doors.values().map(|doorway| doorway.door.passes()).max().unwrap_or(1);
        Self { doors, passes }
    }
}

impl Doors {
    /// From a table.
    #[must_use]
    pub fn new(doors: HashMap<SourceKey, Doorway>) -> Self {
        Self { table: RwLock::new(Arc::new(doors.into())) }
    }

    /// Puts another table in place of the whole one; requests under way keep the one they began with.
    pub fn swap(&self, doors: HashMap<SourceKey, Doorway>) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(doors.into());
    }

    /// Puts doors beside those that are there. A source that has one keeps it.
    pub fn add(&self, more: impl IntoIterator<Item = (SourceKey, Doorway)>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut doors = table.doors.clone();
        for (source, doorway) in more {
            doors.entry(source).or_insert(doorway);
        }
        *table = Arc::new(doors.into());
    }

    /// A source's doorway, and how often a refusal there still has to hash the body for nothing.
    pub(crate) fn find(&self, source: Option<&SourceKey>) -> (Option<Doorway>, usize) {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let found = source.and_then(|source| table.doors.get(source)).cloned();
        let own = found.as_ref().map_or(0, |doorway| doorway.door.passes());
        (found, table.passes.saturating_sub(own))
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
            let (found, missing) = doors.find(Some(&key(name)));
            let own = found.map_or(0, |doorway| doorway.door.passes());
            assert_eq!(own + missing, 3, "{name}");
        }
        assert_eq!(doors.find(None).1, 3, "a name that cannot be one");
        assert_eq!(Doors::new(HashMap::new()).find(None).1, 1);
    }
}
