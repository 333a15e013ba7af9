//! [`Access`] on the embedded store.

use async_trait::async_trait;

use super::act::access;
use super::stage::Rows;
use super::{SledStore, list};
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::organization::Organization;
use crate::domain::{OrganizationSlug, Timestamp};
use crate::store::{Access, Page, Paged, StoreError};

#[async_trait]
impl Access for SledStore {
    async fn put_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        self.inner.committer.act(move |stage| access::put_token(stage, &token)).await
    }

    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError> {
        let key = access::by_hash(hash);
        self.read(move |inner| {
            let Some(id) = inner.tree.raw(key.as_bytes())? else { return Ok(None) };
            inner.tree.read(&access::token(&String::from_utf8_lossy(&id)))
        })
        .await
    }

    async fn tokens(
        &self,
        organization: Option<&OrganizationSlug>,
        kind: Option<TokenKind>,
        page: &Page,
    ) -> Result<Paged<TokenRecord>, StoreError> {
        let (organization, page) = (organization.cloned(), page.clone());
        self.read(move |inner| list::tokens(&inner.tree, organization.as_ref(), kind, &page)).await
    }

    async fn revoke_token(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.inner.committer.act(move |stage| access::revoke(stage, &id, now)).await
    }

    async fn put_setup_code(&self, hash: &[u8; 32], expires_at: Timestamp) -> Result<(), StoreError> {
        let hash = *hash;
        self.inner.committer.act(move |stage| access::put_setup_code(stage, hash, expires_at)).await
    }

    async fn redeem_setup_code(
        &self,
        hash: &[u8; 32],
        organization: Organization,
        token: TokenRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let hash = *hash;
        self.inner.committer.act(move |stage| access::redeem(stage, &hash, organization, &token, now)).await
    }
}
