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
#[derive(Debug, Default)]
pub struct Doors {
    table: RwLock<Arc<HashMap<SourceKey, Doorway>>>,
}

impl Doors {
    /// From a table.
    #[must_use]
    pub fn new(table: HashMap<SourceKey, Doorway>) -> Self {
        Self { table: RwLock::new(Arc::new(table)) }
    }

    /// Puts another table in place of the whole one; requests under way keep the one they began with.
    pub fn swap(&self, table: HashMap<SourceKey, Doorway>) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    pub(crate) fn find(&self, source: &SourceKey) -> Option<Doorway> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).get(source).cloned()
    }
}
