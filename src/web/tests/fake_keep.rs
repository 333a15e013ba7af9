//! [`Keep`] of the stand-in store: no page or route moves a store.

use async_trait::async_trait;

use super::fake::Fake;
use crate::store::{Frozen, Keep, StoreError, keep};

#[async_trait]
impl Keep for Fake {
    fn keyring(&self) -> &crate::seal::Keyring {
        unimplemented!()
    }
    async fn freeze(&self) -> Result<Box<dyn Frozen>, StoreError> {
        unimplemented!()
    }
    async fn is_empty(&self) -> Result<bool, StoreError> {
        unimplemented!()
    }
    async fn import_mark(&self) -> Result<Option<keep::ImportMark>, StoreError> {
        unimplemented!()
    }
    async fn import(&self, _: Vec<keep::Item>, _: keep::ImportMark) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn end_import(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
}
