//! [`Tasks`] on the embedded store.

use async_trait::async_trait;

use super::act::task;
use super::stage::Rows;
use super::{SledStore, key, list};
use crate::domain::Timestamp;
use crate::domain::task::Task;
use crate::store::task::{TaskClaim, TaskOutcome, TaskSettled, Tasks};
use crate::store::{Page, Paged, StoreError, TaskFilter};

#[async_trait]
impl Tasks for SledStore {
    async fn claim_tasks(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<TaskClaim>, StoreError> {
        if task::due(&self.inner.tree, now, 1)?.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = self.inner.committer.act(move |stage| task::claim(stage, now, lease_ms, limit)).await?;
        Ok(claimed.into_iter().map(|task| TaskClaim { task }).collect())
    }

    async fn extend_task(&self, claim: &TaskClaim, until: Timestamp) -> Result<bool, StoreError> {
        let (id, fence) = (claim.task.id.clone(), claim.task.fence);
        self.inner.committer.act(move |stage| task::extend(stage, &id, fence, until)).await
    }

    async fn settle_task(
        &self,
        claim: &TaskClaim,
        outcome: TaskOutcome,
        now: Timestamp,
    ) -> Result<TaskSettled, StoreError> {
        let (id, fence, floor) = (claim.task.id.clone(), claim.task.fence, self.inner.reader.floor());
        let queues = matches!(outcome, TaskOutcome::Piece { .. });
        let settled = self
            .inner
            .committer
            .act(move |stage| task::settle(stage, &id, fence, outcome, floor, now))
            .await?;
        if queues {
            self.work.notify_waiters();
        }
        Ok(settled)
    }

    async fn cancel_task(&self, id: &str, actor: &str, now: Timestamp) -> Result<Option<Task>, StoreError> {
        let (id, actor) = (id.to_owned(), actor.to_owned());
        self.inner.committer.act(move |stage| task::cancel(stage, &id, &actor, now)).await
    }

    async fn task(&self, id: &str) -> Result<Option<Task>, StoreError> {
        let key = key::task(id);
        self.read(move |inner| inner.tree.read(&key)).await
    }

    async fn tasks(&self, filter: &TaskFilter, page: &Page) -> Result<Paged<Task>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |inner| list::tasks(&inner.tree, &filter, &page)).await
    }
}
