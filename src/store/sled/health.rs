//! [`Health`] on the embedded store.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::act::counts;
use super::backlog::UNINDEXED_MAX;
use super::key::{self, Key, Table};
use super::locked;
use super::mover::Sweeper;
use super::stage::{Found, Rows};
use super::{Inner, SledStore};
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::store::{Health, Load, Scrubbed, StoreError, StoreFigures};

/// How long the last checkpoint may take before the process ends without it; the log has everything.
const CLOSE_WITHIN: Duration = Duration::from_secs(4);

/// With so many deliveries unindexed there is soon no room for more.
const CROWDED: usize = UNINDEXED_MAX / 4 * 3;

/// Blocked lanes counted at most; more is as bad.
const BLOCKED_MAX: usize = 10_000;
/// Tasks counted at most.
const TASKS_MAX: usize = 10_000;

/// Bytes of all files below a folder.
pub(super) fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    entries.fold(0, |sum, entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => sum.saturating_add(size(&entry.path())),
        Ok(meta) => sum.saturating_add(meta.len()),
        Err(_) => sum,
    })
}

/// The time that the first of these keys begins with.
fn first_time(rows: &[Found]) -> Option<Timestamp> {
    rows.first().and_then(|(key, _)| key::time_of(key))
}

fn figures(inner: &Inner) -> Result<StoreFigures, StoreError> {
    let counts = counts::load(&inner.tree)?;
    let by_state = DeliveryState::ALL.into_iter();
    let queue = Key::of(Table::Queue);
    let due = first_time(&inner.tree.with_prefix(&queue, 1)?);
    let tasks = inner.tree.with_prefix(&Key::of(Table::TaskByDue), TASKS_MAX)?;
    let waiting = locked(&inner.backlog).oldest().map(|pending| pending.received_at);
    inner.status.measure();
    Ok(StoreFigures {
        by_state: by_state
            .map(|state| (state, counts.by_state.get(state.as_str()).copied().unwrap_or(0)))
            .collect(),
        dead_by_reason: counts.dead_by_reason.into_iter().collect(),
        unindexed: locked(&inner.backlog).len() as u64,
        oldest_due_at: due.into_iter().chain(waiting).min(),
        tasks: tasks.len() as u64,
        task_due_at: first_time(&tasks),
        lanes_blocked: inner.tree.with_prefix(&Key::of(Table::Blocked), BLOCKED_MAX)?.len() as u64,
        size_bytes: size(&inner.dir),
        free_bytes: Some(inner.status.free()),
    })
}

#[async_trait]
impl Health for SledStore {
    fn load(&self) -> Load {
        let status = &self.inner.status;
        let crowded = locked(&self.inner.backlog).len() >= CROWDED;
        Load { waiting: status.waiting(), taken: status.taken(), crowded }
    }

    async fn probe(&self, now: Timestamp) -> Result<(), StoreError> {
        self.inner.status.check_intake()?;
        // A thread that hangs in its sync keeps no delivery, whatever the other log can do.
        self.inner.intake.pass().await?;
        self.inner.committer.act(move |stage| stage.put(key::meta("probe"), &now)).await
    }

    async fn figures(&self) -> Result<StoreFigures, StoreError> {
        self.read(figures).await
    }

    async fn verify(&self, progress: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Vec<String>, StoreError> {
        let _alone = self.verifying.lock().await;
        let mut pass = self.pass(Sweeper::Verify).await?;
        let mut wrong = Vec::new();
        while !pass.is_over() {
            wrong.extend(self.check(&mut pass).await?);
            let (done, all) = pass.progress();
            progress(done, all);
        }
        Ok(wrong)
    }

    async fn scrub(&self) -> Result<Scrubbed, StoreError> {
        let mut place = self.scrubbing.lock().await;
        let mut pass = match place.take() {
            Some(pass) => pass,
            None => self.pass(Sweeper::Scrub).await?,
        };
        let found = self.check(&mut pass).await?;
        let ((done, all), is_last) = (pass.progress(), pass.is_over());
        if !is_last {
            *place = Some(pass);
        }
        Ok(Scrubbed { done, all, found, is_last })
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.intake.stop().await;
        self.inner.committer.stop().await;
        let inner = std::sync::Arc::clone(&self.inner);
        let last = tokio::task::spawn_blocking(move || inner.checkpointer.stop(CLOSE_WITHIN));
        last.await.map_err(|error| StoreError::Failed(format!("the last checkpoint panicked: {error}")))
    }
}
