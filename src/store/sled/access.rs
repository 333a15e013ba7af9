//! [`Access`] on the embedded store.

use std::sync::Arc;

use async_trait::async_trait;

use super::act::access;
use super::key::Key;
use super::{Inner, SledStore, list, row};
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
        let by_hash = access::by_hash(hash);
        // A fleet of runners brings the same token a thousand times a second.
        if let Some(found) = hot_token(&self.inner, &by_hash) {
            return Ok(Some(TokenRecord::clone(&found)));
        }
        self.read(move |inner| {
            let id = |value: &[u8]| Ok(String::from_utf8_lossy(value).into_owned());
            let Some(id) = inner.tree.hot(&by_hash, id)? else { return Ok(None) };
            Ok(inner.tree.hot(&access::token(&id), row::decode)?.map(Arc::unwrap_or_clone))
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

/// The token's record, if nothing has to be read for it.
fn hot_token(inner: &Inner, by_hash: &Key) -> Option<Arc<TokenRecord>> {
    let id: Arc<String> = inner.tree.decoded(by_hash).filter(|_| !inner.status.failed())?;
    inner.tree.decoded(&access::token(&id))
}
