//! The rest of the stand-in store: no page or route moves a store, and nothing is done outside.

use async_trait::async_trait;
use secrecy::SecretString;

use super::fake::{Fake, paged};
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, SealedCredential};
use crate::domain::known::Versioned;
use crate::domain::organization::Source;
use crate::domain::task::Task;
use crate::domain::ticket::{Ticket, TicketPurpose};
use crate::domain::{SourceKey, Timestamp};
use crate::store::keep::{Rotated, Tell};
use crate::store::*;

#[async_trait]
impl Keep for Fake {
    fn keyring(&self) -> &crate::seal::Keyring {
        unimplemented!()
    }
    async fn freeze(&self) -> Result<Box<dyn Frozen>, StoreError> {
        unimplemented!()
    }
    async fn rotate_keys(&self, _: bool, _: Timestamp, _: &Tell) -> Result<Rotated, StoreError> {
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

#[async_trait]
impl Credentials for Fake {
    async fn seal_credential(
        &self,
        about: CredentialAbout,
        _: &SecretString,
        _: Timestamp,
    ) -> Result<SealedCredential, StoreError> {
        Ok(SealedCredential { about, sealed: String::new() })
    }
    async fn credential(
        &self,
        _: &CredentialOwner,
        _: CredentialKind,
    ) -> Result<Option<Credential>, StoreError> {
        Ok(None)
    }
    async fn credentials(&self, _: &CredentialOwner) -> Result<Vec<CredentialAbout>, StoreError> {
        Ok(Vec::new())
    }
    async fn versioned_source(&self, _: &SourceKey) -> Result<Option<Versioned<Source>>, StoreError> {
        Ok(None)
    }
}

#[async_trait]
impl Tasks for Fake {
    async fn claim_tasks(&self, _: Timestamp, _: i64, _: usize) -> Result<Vec<TaskClaim>, StoreError> {
        unimplemented!()
    }
    async fn extend_task(&self, _: &TaskClaim, _: Timestamp) -> Result<bool, StoreError> {
        unimplemented!()
    }
    async fn settle_task(
        &self,
        _: &TaskClaim,
        _: TaskOutcome,
        _: Timestamp,
    ) -> Result<TaskSettled, StoreError> {
        unimplemented!()
    }
    async fn cancel_task(&self, id: &str, _: &str, now: Timestamp) -> Result<Option<Task>, StoreError> {
        let mut state = self.state();
        let found = state.tasks.iter_mut().find(|task| task.id == id && !task.state.is_final());
        Ok(found.map(|task| {
            *task = task.clone().cancelled(now);
            task.clone()
        }))
    }
    async fn task(&self, id: &str) -> Result<Option<Task>, StoreError> {
        Ok(self.state().tasks.iter().find(|task| task.id == id).cloned())
    }
    async fn tasks(&self, filter: &TaskFilter, page: &Page) -> Result<Paged<Task>, StoreError> {
        let mut all = self.state().tasks.clone();
        all.retain(|task| filter.wants(task));
        Ok(paged(all, page))
    }
}

#[async_trait]
impl Health for Fake {
    async fn probe(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
    async fn figures(&self) -> Result<StoreFigures, StoreError> {
        Ok(StoreFigures::default())
    }
    async fn verify(&self, _: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Vec<String>, StoreError> {
        Ok(vec![])
    }
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
