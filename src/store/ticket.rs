//! Tickets: what a one-time link, a browser's session or a `state` stands for, under the hash of what its holder has.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::Timestamp;
use crate::domain::ticket::{Ticket, TicketPurpose};

/// Keeps tickets and takes them back.
#[async_trait]
pub trait Tickets: Send + Sync {
    /// Keeps a ticket, in place of one under the same hash, and forgets those whose time is over.
    async fn put_ticket(&self, hash: &[u8; 32], ticket: Ticket, now: Timestamp) -> Result<(), StoreError>;
    /// The ticket, as long as it is good for this. It stays.
    async fn ticket(
        &self,
        hash: &[u8; 32],
        purpose: TicketPurpose,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError>;
    /// Takes the ticket, as long as it is good for this: of many who come at once, one gets it.
    async fn redeem_ticket(
        &self,
        hash: &[u8; 32],
        purpose: TicketPurpose,
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError>;
}
