//! Tickets.

use super::super::key::{self, Key, Table};
use super::super::stage::{Rows, Stage};
use crate::domain::Timestamp;
use crate::domain::ticket::{Ticket, TicketPurpose};
use crate::store::StoreError;

/// Tickets past their time that one act forgets at most.
const OLD_MAX: usize = 256;

/// The ticket, as long as it is good for this.
pub(in super::super) fn find<R: Rows>(
    rows: &R,
    hash: &[u8; 32],
    purpose: TicketPurpose,
    now: Timestamp,
) -> Result<Option<Ticket>, StoreError> {
    let found: Option<Ticket> = rows.read(&key::ticket(hash))?;
    Ok(found.filter(|ticket| ticket.purpose == purpose && now < ticket.expires_at))
}

/// Keeps a ticket, and forgets those whose time is over.
pub(in super::super) fn put(
    stage: &mut Stage<'_>,
    hash: &[u8; 32],
    ticket: &Ticket,
    now: Timestamp,
) -> Result<(), StoreError> {
    for (row, value) in stage.with_prefix(&Key::of(Table::Ticket), OLD_MAX)? {
        if stage.decode::<Ticket>(&row, value)?.expires_at <= now {
            stage.delete(Key::raw(row))?;
        }
    }
    stage.put(key::ticket(hash), ticket)
}

/// Takes the ticket.
pub(in super::super) fn redeem(
    stage: &mut Stage<'_>,
    hash: &[u8; 32],
    purpose: TicketPurpose,
    now: Timestamp,
) -> Result<Option<Ticket>, StoreError> {
    let found = find(stage, hash, purpose, now)?;
    if found.is_some() {
        stage.delete(key::ticket(hash))?;
    }
    Ok(found)
}
