//! The audit log as chains, for whoever checks or exports it.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::OrganizationSlug;
use crate::domain::audit::Link;
use crate::domain::change::AuditEntry;

/// A chain: whose it is (`None`: the operator's own), and its last line as the store remembers it.
pub type Chain = (Option<OrganizationSlug>, Link);

/// The chains of the audit log. Lines are added like all records, with [`super::Records::apply`], which links them.
#[async_trait]
pub trait Trail: Send + Sync {
    /// All chains, the operator's first, then by organization.
    async fn chains(&self) -> Result<Vec<Chain>, StoreError>;
    /// Lines of one chain behind this number, in their order, at most `limit`.
    async fn chained(
        &self,
        organization: Option<&OrganizationSlug>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError>;
}
