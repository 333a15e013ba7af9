//! What happened lately in an account's repositories, by the forge's own list of events: for a daemon that it cannot tell.

use async_trait::async_trait;

use super::ProviderError;
use crate::domain::Timestamp;
use crate::domain::event::Repository;

/// The events of one account, seen through one credential.
#[async_trait]
pub trait Events: Send + Sync {
    /// The repositories in which something may have happened since then, the latest first. Bounded: of more of them
    /// nothing is said.
    async fn lively(&self, since: Timestamp) -> Result<Vec<Repository>, ProviderError>;
    /// When something was last pushed to a repository, if that was since then.
    async fn pushed_at(&self, repository: u64, since: Timestamp) -> Result<Option<Timestamp>, ProviderError>;
}
