//! [`Marks`] on the embedded store.

use async_trait::async_trait;

use super::SledStore;
use super::key::{self, Key};
use super::stage::Rows;
use crate::domain::known::Versioned;
use crate::store::{Marks, StoreError};

fn place(name: &str) -> Key {
    key::meta(&format!("mark {name}"))
}

#[async_trait]
impl Marks for SledStore {
    async fn mark(&self, name: &str) -> Result<Option<Versioned<String>>, StoreError> {
        let place = place(name);
        self.read(move |inner| inner.tree.read(&place)).await
    }

    async fn set_mark(&self, name: &str, version: u64, text: String) -> Result<bool, StoreError> {
        let place = place(name);
        let set = self.inner.committer.act(move |stage| {
            let known: Option<Versioned<String>> = stage.read(&place)?;
            if known.map_or(0, |known| known.version) != version {
                return Ok(false);
            }
            stage.put(place, &Versioned { version: version.saturating_add(1), value: text })?;
            Ok(true)
        });
        set.await
    }
}
