//! Tokens and the setup code.

use super::bench::{Bench, NOON};
use super::records::{organization, page};
use crate::domain::OrganizationSlug;
use crate::domain::access::{TokenKind, TokenRecord};

pub(super) fn token(id: &str, hash: u8) -> TokenRecord {
    TokenRecord {
        id: id.into(),
        hash: hex::encode([hash; 32]),
        kind: TokenKind::Admin,
        organization: OrganizationSlug::parse("acme").unwrap(),
        name: None,
        created_at: NOON,
        expires_at: NOON.plus_ms(1000),
        revoked_at: None,
        scope: None,
        member: None,
    }
}

pub(in crate::store) async fn a_token_is_found_by_its_hash_and_can_be_revoked(bench: &Bench) {
    bench.store().await.put_token(token("one", 1)).await.unwrap();
    bench.restart().await;
    let store = bench.store().await;
    assert_eq!(store.token_by_hash(&[1; 32]).await.unwrap(), Some(token("one", 1)));
    assert_eq!(store.token_by_hash(&[2; 32]).await.unwrap(), None);
    assert!(store.revoke_token("one", NOON).await.unwrap());
    assert!(!store.revoke_token("two", NOON).await.unwrap());
    assert!(!store.token_by_hash(&[1; 32]).await.unwrap().unwrap().is_live(NOON));
    assert_eq!(store.tokens(None, Some(TokenKind::Admin), &page()).await.unwrap().items.len(), 1);
    assert!(store.tokens(None, Some(TokenKind::Ci), &page()).await.unwrap().items.is_empty());
}

pub(in crate::store) async fn a_setup_code_works_once(bench: &Bench) {
    let store = bench.store().await;
    let redeem = |hash: u8, id: &str, at: i64| store.redeem_setup_code_of(hash, token(id, 9), at);
    store.put_setup_code(&[7; 32], NOON.plus_ms(1000)).await.unwrap();
    assert!(!redeem(8, "wrong", 0).await, "another code");
    assert!(!redeem(7, "late", 1000).await, "too late");
    assert!(redeem(7, "right", 0).await);
    assert!(!redeem(7, "again", 0).await, "used up");
    assert_eq!(store.token_by_hash(&[9; 32]).await.unwrap().unwrap().id, "right");
}

/// Spells a redemption shorter.
trait Redeem {
    async fn redeem_setup_code_of(&self, hash: u8, token: TokenRecord, at: i64) -> bool;
}

impl Redeem for std::sync::Arc<dyn crate::store::Store> {
    async fn redeem_setup_code_of(&self, hash: u8, token: TokenRecord, at: i64) -> bool {
        self.redeem_setup_code(&[hash; 32], organization("acme"), token, NOON.plus_ms(at)).await.unwrap()
    }
}
