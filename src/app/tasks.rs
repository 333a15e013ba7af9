//! Who does which task. Each kind has exactly one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::connect::Connections;
use crate::domain::Clock;
use crate::domain::task::{Performed, Task, TaskKind};
use crate::follow::{self, Desk, Reach};
use crate::store::{Store, StoreError};
use crate::web::Health;
use crate::worker::{self, Perform};

/// Everybody who does tasks.
#[derive(Debug)]
pub(super) struct Performers {
    pub(super) store: Arc<dyn Store>,
    pub(super) connections: Arc<Connections>,
    pub(super) members: Arc<Desk>,
    pub(super) health: Arc<Health>,
}

impl Performers {
    /// Shows operators how looking for missed deliveries goes.
    fn note_catch_up(&self, done: &Performed) {
        match done {
            Performed::Done { note, .. } => self.health.note_catch_up("ok", note),
            // Looking for what was missed is one piece.
            Performed::Piece { .. } => {}
            Performed::Later { error, .. } => self.health.note_catch_up("waiting", error),
            Performed::Failed { error } => self.health.note_catch_up("failed", error),
        }
    }
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

/// Who looks at the store from time to time, for as long as the daemon runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attendant {
    /// For lists of members that are due.
    Members,
    /// To show that somebody listens.
    Lamp,
    /// For deliveries that may have been missed.
    Missed,
}

impl Attendant {
    const fn every(self) -> Duration {
        match self {
            Self::Members => Duration::from_secs(10),
            Self::Lamp => Duration::from_secs(15),
            Self::Missed => Duration::from_secs(30),
        }
    }

    pub(super) async fn attend(self, store: Arc<dyn Store>, reach: Reach, clock: Clock) {
        if matches!(self, Self::Missed) {
            // What was asked for must find the door open, and the lamp lit.
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        loop {
            let looked = match self {
                Self::Members => follow::look(store.as_ref(), reach, clock()).await,
                Self::Lamp => follow::light(store.as_ref(), clock()).await,
                Self::Missed => follow::look_for_missed(store.as_ref(), reach, clock()).await,
            };
            // A store that is away is looked at again the next time.
            if let Err(error) = looked {
                tracing::debug!(%error, attendant = ?self, "the store does not answer");
            }
            tokio::time::sleep(self.every()).await;
        }
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
        let performed = match task.kind {
            TaskKind::CheckConnection => self.connections.check(task).await,
            TaskKind::DisconnectConnection => self.connections.disconnect(task).await,
            TaskKind::RotateToken => self.connections.rotate(task).await,
            TaskKind::ReplayDeliveries => worker::replay(self.store.as_ref(), task).await,
            TaskKind::SyncConnection | TaskKind::SyncMembers | TaskKind::SyncPerson => {
                self.members.perform(task).await
            }
            TaskKind::CatchUp => {
                let done = self.members.perform(task).await?;
                self.note_catch_up(&done);
                Ok(done)
            }
        }?;
        self.connections.look_after(task, &performed).await?;
        Ok(performed)
    }
}
