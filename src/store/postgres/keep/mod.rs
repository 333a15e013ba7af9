//! [`Keep`] on PostgreSQL.

mod frozen;
mod import;
mod section;

use async_trait::async_trait;

use super::act::{Answer, act};
use super::{PostgresStore, keys};
use crate::domain::Timestamp;
use crate::seal::Keyring;
use crate::store::keep::{Fact, Frozen, ImportMark, Item, Keep, Rotated, Tell};
use crate::store::{StoreError, frame};

#[async_trait]
impl Keep for PostgresStore {
    fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    async fn freeze(&self) -> Result<Box<dyn Frozen>, StoreError> {
        Ok(Box::new(frozen::View::new(&self.options, self.pool.clone(), self.keyring.clone()).await?))
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        import::is_empty(&mut *self.pool.acquire().await?).await
    }

    async fn import_mark(&self) -> Result<Option<ImportMark>, StoreError> {
        import::mark(&mut *self.pool.acquire().await?).await
    }

    async fn import(&self, items: Vec<Item>, mark: ImportMark) -> Result<(), StoreError> {
        for delivery in items.iter().filter_map(|item| item.content.as_ref()) {
            // The time only says when the key was made.
            let (scope, at) = (frame::scope_of(delivery.source()), import::received_at(&items));
            keys::ensure(&self.pool, &self.keyring, &scope, at).await?;
        }
        for item in &items {
            if let Fact::Credential(about) = &item.fact {
                let (scope, ..) = about.place();
                keys::ensure(&self.pool, &self.keyring, &scope, about.created_at).await?;
            }
        }
        let ring = self.keyring.clone();
        let closed = tokio::task::spawn_blocking(move || import::close_all(&ring, items)).await;
        let incoming =
            closed.map_err(|error| StoreError::Corrupt(format!("sealing panicked: {error}")))??;
        act(&self.pool, move |connection| {
            Box::pin(async move { import::import(connection, incoming, &mark).await.map(Answer::Keep) })
        })
        .await?;
        self.wake.tell();
        Ok(())
    }

    async fn end_import(&self) -> Result<(), StoreError> {
        act(&self.pool, |connection| {
            Box::pin(async move {
                sqlx::query("delete from import_mark").execute(connection).await?;
                Ok(Answer::Keep(()))
            })
        })
        .await
    }

    async fn rotate_keys(
        &self,
        prepare_only: bool,
        now: Timestamp,
        tell: &Tell,
    ) -> Result<Rotated, StoreError> {
        self.rotate(prepare_only, now, tell).await
    }
}
