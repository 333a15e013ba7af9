//! Who does which task. Each kind has exactly one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::connect::Connections;
use crate::domain::Clock;
use crate::domain::task::{Performed, Task, TaskKind};
use crate::follow::{self, Desk};
use crate::store::{Store, StoreError};
use crate::worker::Perform;

/// Everybody who does tasks.
#[derive(Debug)]
pub(super) struct Performers {
    pub(super) connections: Arc<Connections>,
    pub(super) members: Arc<Desk>,
}

/// Between two looks for what has no next run planned.
const SWEEP_EVERY: Duration = Duration::from_secs(10 * 60);

/// Keeps checks and syncs going, for as long as the daemon runs.
pub(super) async fn sweep(connections: Arc<Connections>) {
    loop {
        // A store that is away is looked at again the next time.
        if let Ok(planned) = connections.sweep().await {
            tracing::debug!(planned, "checks and syncs that were not planned are planned");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// Between two looks for lists of members that are due.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Keeps lists of members read, for as long as the daemon runs.
pub(super) async fn follow(store: Arc<dyn Store>, clock: Clock) {
    loop {
        // A store that is away is looked at again the next time.
        if let Err(error) = follow::look(store.as_ref(), clock()).await {
            tracing::debug!(%error, "lists of members that are due were not looked for");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Goes on with a change of keys that was interrupted. One that is only prepared waits for its command.
pub(super) async fn rotate(store: Arc<dyn Store>, clock: Clock) {
    if !store.keyring().has_old_keys() {
        return;
    }
    match store.rotate_keys(false, clock(), &|_, _| {}).await {
        Ok(_) => tracing::info!(code = "keys-rotated", "the change of keys that was interrupted has ended"),
        Err(error) => tracing::info!(%error, "a change of keys waits to be ended: run `keys rotate`"),
    }
}

#[async_trait]
impl Perform for Performers {
    async fn perform(&self, task: &Task) -> Result<Performed, StoreError> {
        match task.kind {
            TaskKind::CheckConnection => self.connections.check(task).await,
            TaskKind::SyncConnection => self.connections.sync(task).await,
            TaskKind::DisconnectConnection => self.connections.disconnect(task).await,
            TaskKind::RotateToken => self.connections.rotate(task).await,
            TaskKind::SyncMembers | TaskKind::SyncPerson => self.members.perform(task).await,
        }
    }
}
