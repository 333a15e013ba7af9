//! Deleting what is past its time, a bounded piece at a time.

use sqlx::{PgConnection, Row};

use super::delivery::first_id;
use crate::domain::Timestamp;
use crate::store::{Purged, StoreError};

/// Rows deleted by one act at most.
const ROWS_MAX: i64 = 256;

/// Done, ignored, superseded: never what is unfinished or dead. Ids begin with the time of arrival.
const RECORDS: &str = "
    with old as materialized (
        select id from delivery where state in (4, 5, 6) and id < $1 and received_at < $2
        order by id limit $3 for update skip locked
    ), bytes as (
        delete from payload p using old where p.delivery = old.id returning octet_length(p.frame) as n
    ), gone as (
        delete from delivery d using old where d.id = old.id returning d.id
    )
    select (select count(*) from gone) as records, (select coalesce(sum(n), 0)::int8 from bytes) as bytes
";
const BODIES: &str = "
    delete from body_seen where hash in
        (select hash from body_seen where received_at < $1 order by received_at limit $2)
";
const PAYLOADS: &str = "
    with bytes as (
        delete from payload where delivery in (
            select p.delivery from payload p join delivery d on d.id = p.delivery
            where p.delivery < $1 and d.state in (4, 5, 6) order by p.delivery limit $2
        ) returning octet_length(frame) as n
    )
    select coalesce(sum(n), 0)::int8 from bytes
";

const CHECK_INS: &str = "
    delete from check_in where id in (select id from check_in where at < $1 order by at limit $2)
";
const SCANS: &str = "
    delete from scan where number in (select number from scan where opened_at < $1 order by number limit $2)
";
const TASKS: &str = "
    delete from task where id in (select id from task
        where state in ('done', 'failed') and wished_at < $1 and finished_at < $1 order by wished_at limit $2)
";
const TOKENS: &str = "
    delete from token where id in
        (select id from token where scope is not null and expires_at < $1 order by expires_at limit $2)
";
/// A job's token may finish what it began for six hours (ruling 22); then nobody asks for it any more.
const TOKEN_ENDED_MS: i64 = 8 * 60 * 60 * 1000;

/// Deletes check-ins, scans and ended tasks older than `before`, and jobs' tokens that have long ended. Returns how many.
pub(super) async fn purge_jobs(
    connection: &mut PgConnection,
    before: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let ended = now.plus_ms(-TOKEN_ENDED_MS);
    let check_ins = sqlx::query(CHECK_INS).bind(before.ms()).bind(ROWS_MAX).execute(&mut *connection).await?;
    let tokens = sqlx::query(TOKENS).bind(ended.ms()).bind(ROWS_MAX).execute(&mut *connection).await?;
    let scans = sqlx::query(SCANS).bind(before.ms()).bind(ROWS_MAX).execute(&mut *connection).await?;
    let tasks = sqlx::query(TASKS).bind(before.ms()).bind(ROWS_MAX).execute(&mut *connection).await?;
    let all = [check_ins, tokens, scans, tasks].map(|done| done.rows_affected());
    Ok(all.into_iter().fold(0, u64::saturating_add))
}

/// Deletes what arrived before `metadata_before`, and the bytes of what arrived before `payload_before`.
pub(super) async fn purge(
    connection: &mut PgConnection,
    payload_before: Timestamp,
    metadata_before: Timestamp,
) -> Result<Purged, StoreError> {
    let row = sqlx::query(RECORDS)
        .bind(first_id(metadata_before))
        .bind(metadata_before.ms())
        .bind(ROWS_MAX)
        .fetch_one(&mut *connection)
        .await?;
    let (records, bytes): (i64, i64) = (row.try_get("records")?, row.try_get("bytes")?);
    let bodies =
        sqlx::query(BODIES).bind(metadata_before.ms()).bind(ROWS_MAX).execute(&mut *connection).await?;
    let freed: i64 = sqlx::query_scalar(PAYLOADS)
        .bind(first_id(payload_before))
        .bind(ROWS_MAX)
        .fetch_one(connection)
        .await?;
    Ok(Purged {
        records: records.unsigned_abs().saturating_add(bodies.rows_affected()),
        bytes: bytes.saturating_add(freed).unsigned_abs(),
    })
}
