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
