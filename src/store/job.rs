//! What CI jobs need of a store.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::ConnectionKey;
use crate::domain::ci::{JobKnown, JobLookup};
use crate::domain::known::Versioned;
use crate::domain::organization::Connection;

/// Check-ins. They are written like all records, with [`super::Records::apply`].
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Reads what a check-in's decision stands on.
    async fn known_to_job(&self, lookup: &JobLookup) -> Result<JobKnown, StoreError>;
    /// One connection with its version, to be written again.
    async fn versioned_connection(
        &self,
        key: &ConnectionKey,
    ) -> Result<Option<Versioned<Connection>>, StoreError>;
}
