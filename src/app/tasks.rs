//! Who does which task. Each kind has exactly one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::connect::Connections;
use crate::domain::task::{Performed, Task, TaskKind};
use crate::store::StoreError;
use crate::worker::Perform;

/// Everybody who does tasks.
#[derive(Debug)]
pub(super) struct Performers {
    pub(super) connections: Arc<Connections>,
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

#[async_trait]
impl Perform for Performers {
    async fn perform(&self, task: &Task) -> Result<Performed, StoreError> {
        match task.kind {
            TaskKind::CheckConnection => self.connections.check(task).await,
            TaskKind::SyncConnection => self.connections.sync(task).await,
            TaskKind::DisconnectConnection => self.connections.disconnect(task).await,
            TaskKind::RotateToken => self.connections.rotate(task).await,
        }
    }
}
