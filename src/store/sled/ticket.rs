//! [`Tickets`] on the embedded store.

use async_trait::async_trait;

use super::SledStore;
use super::act::ticket;
use crate::domain::Timestamp;
use crate::domain::ticket::{Ticket, TicketPurpose};
use crate::store::{StoreError, Tickets};

#[async_trait]
impl Tickets for SledStore {
    async fn put_ticket(&self, hash: &[u8; 32], ticket: Ticket, now: Timestamp) -> Result<(), StoreError> {
        let hash = *hash;
        self.inner.committer.act(move |stage| ticket::put(stage, &hash, &ticket, now)).await
    }

    async fn ticket(
        &self,
        hash: &[u8; 32],
        purpose: TicketPurpose,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let hash = *hash;
        self.read(move |inner| ticket::find(&inner.tree, &hash, purpose, now)).await
    }

    async fn redeem_ticket(
        &self,
        hash: &[u8; 32],
        purpose: TicketPurpose,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let hash = *hash;
        self.inner.committer.act(move |stage| ticket::redeem(stage, &hash, purpose, now)).await
    }
}
