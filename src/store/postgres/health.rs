//! [`Health`] on PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgPool;

use super::act::{Answer, act};
use super::{PostgresStore, delivery, reading, verify};
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::store::{Health, Load, Scrubbed, StoreError, StoreFigures};

/// How long connections may take to end before the process goes without them.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

const PROBE: &str = "update probe set at = $1";
const TALLY: &str =
    "select state, reason, sum(n)::int8 as n from tally group by state, reason order by state, reason";
const REST: &str = "
    select (select min(due_at) from queue where turn) as due_at,
        (select received_at from delivery where state = 0 order by arrival limit 1) as received_at,
        (select count(*) from queue where blocked) as blocked,
        (select count(*) from task where due_at is not null) as tasks,
        (select due_at from task where due_at is not null order by due_at limit 1) as task_due_at,
        pg_database_size(current_database()) as size
";

async fn figures(pool: &PgPool) -> Result<StoreFigures, StoreError> {
    let mut figures = StoreFigures {
        by_state: DeliveryState::ALL.into_iter().map(|state| (state, 0)).collect(),
        ..StoreFigures::default()
    };
    for row in sqlx::query(TALLY).fetch_all(pool).await? {
        let (number, reason, n): (i16, String, i64) =
            (row.try_get("state")?, row.try_get("reason")?, row.try_get("n")?);
        let n = u64::try_from(n).unwrap_or(0);
        if number == 0 {
            figures.unindexed = n;
            continue;
        }
        let state = delivery::state(number)?;
        for (known, count) in &mut figures.by_state {
            if *known == state {
                *count = count.saturating_add(n);
            }
        }
        if state == DeliveryState::Dead && n > 0 {
            figures.dead_by_reason.push((reason, n));
        }
    }
    let row = sqlx::query(REST).fetch_one(pool).await?;
    let (due, received): (Option<i64>, Option<i64>) = (row.try_get("due_at")?, row.try_get("received_at")?);
    figures.oldest_due_at = due.into_iter().chain(received).min().map(Timestamp::from_ms);
    figures.tasks = row.try_get::<i64, _>("tasks")?.unsigned_abs();
    figures.task_due_at = row.try_get::<Option<i64>, _>("task_due_at")?.map(Timestamp::from_ms);
    figures.lanes_blocked = row.try_get::<i64, _>("blocked")?.unsigned_abs();
    figures.size_bytes = row.try_get::<i64, _>("size")?.unsigned_abs();
    Ok(figures)
}

#[async_trait]
impl Health for PostgresStore {
    fn load(&self) -> Load {
        self.intake.load()
    }

    async fn probe(&self, now: Timestamp) -> Result<(), StoreError> {
        act(&self.pool, move |connection| {
            Box::pin(async move {
                sqlx::query(PROBE).bind(now.ms()).execute(connection).await?;
                Ok(Answer::Keep(()))
            })
        })
        .await
    }

    async fn figures(&self) -> Result<StoreFigures, StoreError> {
        figures(&self.pool).await
    }

    async fn verify(&self, progress: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Vec<String>, StoreError> {
        verify::verify(&self.pool, &self.keyring, progress).await
    }

    async fn scrub(&self) -> Result<Scrubbed, StoreError> {
        verify::scrub(&self.pool, &self.keyring, &mut *self.pass.lock().await).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.stop.cancel();
        self.tasks.close();
        let ended = async {
            reading::leave(&self.pool, self.me).await;
            self.tasks.wait().await;
            self.pool.close().await;
        };
        // What is not closed in time is rolled back by the server; everything acknowledged is committed.
        let _ = tokio::time::timeout(CLOSE_WITHIN, ended).await;
        Ok(())
    }
}
