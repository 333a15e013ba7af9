//! [`Keep`] and [`Tickets`] of the stand-in store: no page or route moves a store.

use async_trait::async_trait;

use super::fake::Fake;
use crate::domain::Timestamp;
use crate::domain::ticket::{Ticket, TicketPurpose};
use crate::store::{Frozen, Keep, StoreError, Tickets, keep};

#[async_trait]
impl Keep for Fake {
    fn keyring(&self) -> &crate::seal::Keyring {
        unimplemented!()
    }
    async fn freeze(&self) -> Result<Box<dyn Frozen>, StoreError> {
        unimplemented!()
    }
    async fn is_empty(&self) -> Result<bool, StoreError> {
        unimplemented!()
    }
    async fn import_mark(&self) -> Result<Option<keep::ImportMark>, StoreError> {
        unimplemented!()
    }
    async fn import(&self, _: Vec<keep::Item>, _: keep::ImportMark) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn end_import(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
}

#[async_trait]
impl Tickets for Fake {
    async fn put_ticket(&self, hash: &[u8; 32], ticket: Ticket, _: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        state.tickets.retain(|(kept, _)| kept != hash);
        state.tickets.push((*hash, ticket));
        Ok(())
    }
    async fn ticket(
        &self,
        hash: &[u8; 32],
        purpose: TicketPurpose,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let good = |(kept, ticket): &&([u8; 32], Ticket)| {
            kept == hash && ticket.purpose == purpose && now < ticket.expires_at
        };
        Ok(self.state().tickets.iter().find(good).map(|(_, ticket)| ticket.clone()))
    }
    async fn redeem_ticket(
        &self,
        hash: &[u8; 32],
        purpose: TicketPurpose,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let found = self.ticket(hash, purpose, now).await?;
        if found.is_some() {
            self.state().tickets.retain(|(kept, _)| kept != hash);
        }
        Ok(found)
    }
}
