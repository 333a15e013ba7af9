//! What each process reads for its index, so that a body that kills processes is known after the third.
//!
//! A process that lives holds an advisory lock on a connection of its own. It is a hint: a process whose connection broke
//! may be taken for dead, and then a delivery is read alone once, no more.

use sqlx::Postgres;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::act::{Answer, act};
use super::delivery::uuid;
use crate::domain::DeliveryId;
use crate::store::StoreError;

const NOTE: &str = "
    insert into reading (process, lock, deliveries) values ($1, $2, $3)
    on conflict (process) do update set deliveries = excluded.deliveries, ended = false
";
const END: &str = "delete from reading where process = $1";
const LEAVE: &str = "update reading set ended = true where process = $1";
const OTHERS: &str = "select exists (select from reading where process <> $1)";
/// Each delivery that a dead process was at has one death more.
const BURY: &str = "
    with gone as (
        delete from reading where process <> $1 and (ended or pg_try_advisory_xact_lock(7364204, lock))
        returning deliveries
    )
    insert into death as d (delivery, count) select unnest(deliveries), 1 from gone
    on conflict (delivery) do update set count = d.count + 1
";
const LIVE: &str = "select pg_advisory_lock(7364204, $1)";

/// The number of a process's lock.
fn lock(process: Uuid) -> i32 {
    let [.., a, b, c, d] = process.into_bytes();
    i32::from_be_bytes([a, b, c, d])
}

/// Holds the lock for as long as the connection lasts.
pub(super) async fn live<'c>(
    connection: impl sqlx::Executor<'c, Database = Postgres>,
    process: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query(LIVE).bind(lock(process)).execute(connection).await.map(drop)
}

/// Notes that these are read now; with none, that the reading has ended.
pub(super) async fn note(pool: &PgPool, process: Uuid, ids: &[DeliveryId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(uuid).collect();
    act(pool, move |connection| {
        Box::pin(async move {
            let query = if ids.is_empty() {
                sqlx::query(END).bind(process)
            } else {
                sqlx::query(NOTE).bind(process).bind(lock(process)).bind(ids)
            };
            query.execute(connection).await?;
            Ok(Answer::Keep(()))
        })
    })
    .await
}

/// This process ends. What it was reading counts as read to no end.
pub(super) async fn leave(pool: &PgPool, process: Uuid) {
    if let Err(error) = sqlx::query(LEAVE).bind(process).execute(pool).await {
        tracing::debug!(%error, "the end of this process was not noted; its lock says it as well");
    }
}

/// Counts the deaths of processes that are gone.
pub(super) async fn bury(pool: &PgPool, process: Uuid) -> Result<(), StoreError> {
    if !sqlx::query_scalar(OTHERS).bind(process).fetch_one(pool).await? {
        return Ok(());
    }
    act(pool, move |connection| {
        Box::pin(async move {
            sqlx::query(BURY).bind(process).execute(connection).await?;
            Ok(Answer::Keep(()))
        })
    })
    .await
}
