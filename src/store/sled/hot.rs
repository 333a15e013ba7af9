//! Records that are asked for again and again, decoded once: an organization's CI token, the records whose versions
//! thousands of check-ins stand on.
//!
//! Exact: a row that is written goes out while nobody can read it ([`super::database`] does both under its lock).

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::key::Table;
use super::locked;

/// Past it all are forgotten: what is asked for comes back at once.
const RECORDS_MAX: usize = 2048;
/// The tables whose records may lie here.
const TABLES: [Table; 5] =
    [Table::Organization, Table::Connection, Table::Project, Table::Token, Table::TokenByHash];

/// What is decoded, by the key of its row.
#[derive(Default)]
pub(super) struct Hot(Mutex<HashMap<Vec<u8>, Arc<dyn Any + Send + Sync>>>);

impl Hot {
    /// The record, if it lies here.
    pub(super) fn find<T: Any + Send + Sync>(&self, key: &[u8]) -> Option<Arc<T>> {
        let found = may_lie_here(key).then(|| locked(&self.0).get(key).cloned())?;
        found?.downcast().ok()
    }

    /// Puts what was decoded in. For whoever keeps writers out.
    pub(super) fn put<T: Any + Send + Sync>(&self, key: &[u8], record: Arc<T>) {
        if !may_lie_here(key) {
            return;
        }
        let mut all = locked(&self.0);
        if all.len() >= RECORDS_MAX {
            all.clear();
        }
        all.insert(key.to_vec(), record);
    }

    /// These rows are written.
    pub(super) fn forget<'a>(&self, keys: impl Iterator<Item = &'a Vec<u8>>) {
        let mut keys = keys.filter(|key| may_lie_here(key)).peekable();
        if keys.peek().is_some() {
            let mut all = locked(&self.0);
            keys.for_each(|key| drop(all.remove(key)));
        }
    }
}

fn may_lie_here(key: &[u8]) -> bool {
    key.first().is_some_and(|first| TABLES.iter().any(|table| *table as u8 == *first))
}
