//! What CI jobs need of a store.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{FindingFilter, Page, Paged, StoreError};
use crate::domain::access::{Approval, TokenRecord};
use crate::domain::ci::{JobKnown, JobLookup};
use crate::domain::known::Versioned;
use crate::domain::organization::{Connection, Organization};
use crate::domain::scan::{Branch, Finding, Scan};
use crate::domain::{ConnectionKey, OrganizationSlug, Timestamp};

/// Check-ins. They are written like all records, with [`super::Records::apply`].
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Reads what a check-in's decision stands on.
    async fn known_to_job(&self, lookup: &JobLookup) -> Result<JobKnown, StoreError>;
    /// A number for a scan, greater than all that were given out before, by whichever process: the findings of a branch
    /// are what the scan with the greatest number says. They begin with 1 and stay below 2⁵³.
    async fn next_scan_number(&self) -> Result<u64, StoreError>;
    /// The scan with the client's id.
    async fn scan(&self, unique_id: &str) -> Result<Option<Versioned<Scan>>, StoreError>;
    /// The scan with our number.
    async fn scan_numbered(&self, number: u64) -> Result<Option<Versioned<Scan>>, StoreError>;
    /// Writes findings; those that were there before keep the time at which they were first seen, and all else when a
    /// later scan has spoken of them.
    async fn record_findings(&self, findings: Vec<Finding>) -> Result<(), StoreError>;
    /// Closes open findings of these rules on the branch that the scan did not see, a bounded piece at a time. Gives
    /// back where to go on.
    async fn close_findings(
        &self,
        branch: &Branch,
        scan: u64,
        rules: &BTreeSet<String>,
        after: Option<String>,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError>;
    /// A page of findings, by project, branch and mark.
    async fn findings(&self, filter: &FindingFilter, page: &Page) -> Result<Paged<Finding>, StoreError>;
    /// Remembers that an admin lets a command line in, by the hash of its request.
    async fn put_approval(
        &self,
        hash: &[u8; 32],
        approval: Approval,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// The approval of a request, as long as it counts.
    async fn approval(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<Approval>, StoreError>;
    /// Uses an approval up and keeps the token that it gives, in one act. `false`: it is gone.
    async fn redeem_approval(
        &self,
        hash: &[u8; 32],
        token: TokenRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// One connection with its version, to be written again.
    async fn versioned_connection(
        &self,
        key: &ConnectionKey,
    ) -> Result<Option<Versioned<Connection>>, StoreError>;
    /// The same of an organization.
    async fn versioned_organization(
        &self,
        slug: &OrganizationSlug,
    ) -> Result<Option<Versioned<Organization>>, StoreError>;
}
