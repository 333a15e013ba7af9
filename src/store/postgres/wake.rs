//! Telling the workers that there may be work: at once in this process, by `NOTIFY` in the others.
//!
//! A notice that is lost costs a second, never a delivery: everybody looks by itself as well.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{connect, reading};

const CHANNEL: &str = "scm_connect_work";
/// Others are told at most so often; the last notice is never left out. Each `NOTIFY` takes a lock of the whole
/// database while it commits, so it is a transaction of its own, apart from the work.
const TOLD_EVERY: Duration = Duration::from_millis(20);
/// Between two tries to listen.
const LISTEN_EVERY: Duration = Duration::from_secs(1);
/// Whoever waits looks by itself after this time, whatever it asked for.
const POLL_MS: u64 = 1_000;

/// The two bells.
#[derive(Debug, Clone, Default)]
pub(super) struct Wake {
    here: Arc<Notify>,
    others: Arc<Notify>,
}

impl Wake {
    /// Starts both tasks; `me` tells our own notices from the others'.
    pub(super) fn start(
        pool: PgPool,
        options: &PgConnectOptions,
        me: Uuid,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let wake = Self::default();
        let (teller, listener, name) = (wake.clone(), wake.clone(), me.to_string());
        // Its connection is its own: waiting for a notice must not take one from the work.
        let line = connect::unguarded(1).connect_lazy_with(options.clone());
        tasks.spawn(
            stop.clone().run_until_cancelled_owned(async move { teller.tell_others(&pool, &name).await }),
        );
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move { listener.listen(&line, me).await }));
        wake
    }

    /// There may be work.
    pub(super) fn tell(&self) {
        self.here.notify_waiters();
        self.others.notify_one();
    }

    /// Returns when there may be work, or after `at_most_ms`.
    pub(super) async fn wait(&self, at_most_ms: u64) {
        let at_most = Duration::from_millis(at_most_ms.min(POLL_MS));
        let _ = tokio::time::timeout(at_most, self.here.notified()).await;
    }

    async fn tell_others(&self, pool: &PgPool, me: &str) {
        loop {
            self.others.notified().await;
            let told = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(me).execute(pool).await;
            if let Err(error) = told {
                tracing::debug!(%error, "other processes were not told; they look by themselves");
            }
            tokio::time::sleep(TOLD_EVERY).await;
        }
    }

    async fn listen(&self, line: &PgPool, me: Uuid) {
        loop {
            if let Err(error) = self.hear(line, me).await {
                tracing::debug!(%error, "notices are not heard for the moment");
            }
            tokio::time::sleep(LISTEN_EVERY).await;
        }
    }

    async fn hear(&self, line: &PgPool, me: Uuid) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(line).await?;
        listener.listen(CHANNEL).await?;
        // This connection stands for the process: as long as it holds the lock, nobody takes the process for dead.
        reading::live(&mut listener, me).await?;
        let me = me.to_string();
        loop {
            // What came while the connection was away is unknown, so that counts as a notice too.
            if listener.try_recv().await?.is_none_or(|notice| notice.payload() != me) {
                self.here.notify_waiters();
            }
        }
    }
}
