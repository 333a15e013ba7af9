//! Small marks under a name, by which a process knows where another one, or it itself before, has stopped.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::known::Versioned;

/// Keeps marks. They do not move to another store: there, looking begins anew.
#[async_trait]
pub trait Marks: Send + Sync {
    /// What stands under this name.
    async fn mark(&self, name: &str) -> Result<Option<Versioned<String>>, StoreError>;
    /// Writes it over the one of this version (0: there is none). `false`: somebody else has written it meanwhile.
    async fn set_mark(&self, name: &str, version: u64, text: String) -> Result<bool, StoreError>;
}
