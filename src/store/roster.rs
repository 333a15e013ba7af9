//! What keeping members and projects as the forges have them needs of a store.

use async_trait::async_trait;

use super::{Marks, StoreError};
use crate::domain::known::Versioned;
use crate::domain::organization::Member;
use crate::domain::project::Project;
use crate::domain::roster::{Hold, KeptPage, Reading, Subject};
use crate::domain::{ConnectionKey, Host, OrganizationSlug};

/// Readings of a forge's lists, page by page, and the records that they are compared with. What follows of a reading is
/// written like all records, with [`super::Records::apply`]. A reading does not move to another store: it is begun anew.
#[async_trait]
pub trait Rosters: Marks {
    /// How far a reading has come; `None`: none is under way.
    async fn reading_of(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
    ) -> Result<Option<Reading>, StoreError>;
    /// Keeps a page, and in the same act that the reading has come so far. `false`: the page does not follow the last
    /// one that is kept, because another worker has gone on, or has begun anew; nothing was changed.
    async fn keep_page(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        reading: &Reading,
        page: KeptPage,
    ) -> Result<bool, StoreError>;
    /// Pages of this generation behind this number, in their order, at most `limit`.
    async fn kept_pages(
        &self,
        connection: &ConnectionKey,
        subject: Subject,
        generation: u64,
        after: u32,
        limit: usize,
    ) -> Result<Vec<KeptPage>, StoreError>;
    /// Forgets the reading with a bounded piece of its pages. `true`: nothing is left of it.
    async fn forget_reading(&self, connection: &ConnectionKey, subject: Subject) -> Result<bool, StoreError>;
    /// Members of one organization at one forge, by rising number, behind this number.
    async fn members_numbered(
        &self,
        organization: &OrganizationSlug,
        host: &Host,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Versioned<Member>>, StoreError>;
    /// Projects of one organization at one forge, by rising number, behind this number.
    async fn projects_numbered(
        &self,
        organization: &OrganizationSlug,
        host: &Host,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Versioned<Project>>, StoreError>;
    /// The removals that wait for a person.
    async fn hold(&self, organization: &OrganizationSlug) -> Result<Option<Versioned<Hold>>, StoreError>;
}
