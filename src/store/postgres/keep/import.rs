//! Writing what another store held, as it was there: versions, times and places in line stay.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::super::delivery::{number, text, uuid};
use super::super::{access, credential, job, queue, record, scan, task, trail};
use crate::domain::credential::SealedCredential;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState};
use crate::domain::{ConnectionKey, DeliveryId, OrganizationSlug, Timestamp};
use crate::seal::Keyring;
use crate::store::credential::close as seal;
use crate::store::keep::{BodySeen, Fact, ImportMark, Item, KeptDelivery};
use crate::store::{StoreError, frame};

const MARK: &str = "select came_from, items, sum from import_mark";
const PUT_MARK: &str = "
    insert into import_mark (came_from, items, sum) values ($1, $2, $3)
    on conflict (one) do update set came_from = excluded.came_from, items = excluded.items, sum = excluded.sum
";
const IS_EMPTY: &str = "
    select not (exists (select from organization) or exists (select from source) or exists (select from connection)
        or exists (select from project) or exists (select from member) or exists (select from pipeline)
        or exists (select from check_in) or exists (select from scan) or exists (select from finding) or exists (select from token) or exists (select from credential) or exists (select from task)
        or exists (select from audit) or exists (select from body_seen)
        or exists (select from delivery) or exists (select from import_mark))
";

/// The import that has not ended.
pub(super) async fn mark(connection: &mut PgConnection) -> Result<Option<ImportMark>, StoreError> {
    let row = sqlx::query(MARK).fetch_optional(connection).await?;
    row.map(|row| {
        let items: i64 = row.try_get("items")?;
        Ok(ImportMark {
            from: row.try_get("came_from")?,
            items: items.unsigned_abs(),
            sum: row.try_get("sum")?,
        })
    })
    .transpose()
}

/// Whether nothing is kept that an import could meet. A setup code does not count.
pub(super) async fn is_empty(connection: &mut PgConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(IS_EMPTY).fetch_one(connection).await?)
}

/// When the first delivery among them came.
pub(super) fn received_at(items: &[Item]) -> Timestamp {
    let times = items.iter().filter_map(|item| match &item.fact {
        Fact::Delivery(kept) => Some(kept.record.received_at),
        Fact::Unindexed(kept) => Some(kept.received_at),
        _ => None,
    });
    times.min().unwrap_or_default()
}

/// A fact, and the bytes of its delivery, sealed with the keys of this store.
pub(super) struct Incoming {
    fact: Fact,
    bytes: Option<Bytes>,
    credential: Option<SealedCredential>,
}

impl From<Fact> for Incoming {
    fn from(fact: Fact) -> Self {
        Self { fact, bytes: None, credential: None }
    }
}

/// What a delivery's bytes become.
struct Bytes {
    frame: Vec<u8>,
    body_hash: Uuid,
    delivery: Delivery,
}

/// Seals the bytes of all of them.
pub(super) fn close_all(ring: &Keyring, items: Vec<Item>) -> Result<Vec<Incoming>, StoreError> {
    let close = |item: Item| {
        let (id, at) = match &item.fact {
            Fact::Delivery(kept) => (kept.record.id, kept.record.received_at),
            Fact::Unindexed(kept) => (kept.id, kept.received_at),
            Fact::Credential(about) => {
                let missing = || StoreError::Corrupt("a credential came without its value".into());
                let (about, secret) = (about.clone(), item.secret.ok_or_else(missing)?);
                let at = about.created_at;
                let sealed = seal(ring, about, &secret, at)?;
                return Ok(Incoming { credential: Some(sealed), ..item.fact.into() });
            }
            _ => return Ok(item.fact.into()),
        };
        let Some(delivery) = item.content else { return Ok(item.fact.into()) };
        let hash = frame::body_hash(&delivery);
        let frame = frame::close(ring, id, &delivery, at)?;
        let bytes = Bytes { frame, body_hash: Uuid::from_bytes(hash), delivery };
        Ok(Incoming { bytes: Some(bytes), ..item.fact.into() })
    };
    items.into_iter().map(close).collect()
}

/// Writes all of them and the mark, if the import may go on to this mark from what is there.
pub(super) async fn import(
    connection: &mut PgConnection,
    incoming: Vec<Incoming>,
    next: &ImportMark,
) -> Result<(), StoreError> {
    // One at a time, whoever it is.
    sqlx::query("lock table import_mark in exclusive mode").execute(&mut *connection).await?;
    let refused = |why: &str| Err(StoreError::Unavailable(why.to_owned()));
    match mark(connection).await? {
        None if is_empty(connection).await? => {
            sqlx::query("delete from setup_code").execute(&mut *connection).await?;
        }
        None => return refused("an import needs an empty store"),
        Some(before) if before.from == next.from && before.items < next.items => {}
        Some(_) => return refused("the store holds another unfinished import"),
    }
    let arrival: i64 =
        sqlx::query_scalar("select nextval('delivery_arrival') * 1024").fetch_one(&mut *connection).await?;
    for (place, one) in (0..).zip(incoming) {
        put(connection, one, arrival.saturating_add(place)).await?;
    }
    sqlx::query(PUT_MARK)
        .bind(&next.from)
        .bind(next.items.cast_signed())
        .bind(&next.sum)
        .execute(connection)
        .await?;
    Ok(())
}

async fn put(connection: &mut PgConnection, one: Incoming, arrival: i64) -> Result<(), StoreError> {
    match one.fact {
        Fact::Organization(it) => record::put_organization(connection, &it.value, Some(it.version)).await,
        Fact::Source(it) => record::put_source(connection, &it.value, Some(it.version)).await,
        Fact::Connection(it) => record::put_connection(connection, &it.value, Some(it.version)).await,
        Fact::Project(it) => record::put_project(connection, &it.value, Some(it.version)).await,
        Fact::Member(it) => record::put_member(connection, &it.value, Some(it.version)).await,
        Fact::Pipeline(it) => record::put_run(connection, &it.value, Some(it.version)).await,
        Fact::CheckIn(it) => job::put_check_in(connection, &it.value, Some(it.version)).await,
        Fact::Scan(it) => scan::put_scan(connection, &it.value, Some(it.version)).await,
        Fact::Finding(it) => scan::put_finding(connection, &it.value, Some(it.version)).await,
        Fact::Token(token) => access::put_token(connection, &token).await,
        Fact::Credential(_) => match one.credential {
            Some(sealed) => credential::put(connection, &sealed).await,
            None => Ok(()),
        },
        Fact::Task(it) => task::put(connection, &it).await,
        Fact::SetupCode(code) => access::put_setup_code(connection, &code.hash, code.expires_at).await,
        Fact::Audit(entry) => trail::put(connection, entry).await,
        Fact::Body(body) => put_body(connection, &body).await,
        Fact::Delivery(kept) => put_delivery(connection, *kept, one.bytes, arrival).await,
        Fact::Unindexed(kept) => {
            let missing = || StoreError::Corrupt("a delivery without an index has no bytes".into());
            put_unindexed(connection, kept.id, kept.received_at, one.bytes.ok_or_else(missing)?, arrival)
                .await
        }
    }
}

async fn put_body(connection: &mut PgConnection, body: &BodySeen) -> Result<(), StoreError> {
    sqlx::query("insert into body_seen (hash, delivery, received_at) values ($1, $2, $3)")
        .bind(Uuid::from_bytes(body.hash))
        .bind(uuid(body.first))
        .bind(body.at.ms())
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_frame(connection: &mut PgConnection, of: DeliveryId, frame: Vec<u8>) -> Result<(), StoreError> {
    sqlx::query("insert into payload (delivery, frame) values ($1, $2)")
        .bind(uuid(of))
        .bind(frame)
        .execute(connection)
        .await?;
    Ok(())
}

const PUT_UNINDEXED: &str = "
    insert into delivery (id, arrival, source, dedupe, received_at, body_hash, external_id, hook_id, secret_slot,
        body_bytes)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
";

async fn put_unindexed(
    connection: &mut PgConnection,
    of: DeliveryId,
    received_at: Timestamp,
    bytes: Bytes,
    arrival: i64,
) -> Result<(), StoreError> {
    let (delivery, envelope) = (&bytes.delivery, bytes.delivery.envelope());
    // An earlier delivery with the same key came at another time, and its window was over.
    let dedupe = Uuid::from_bytes(frame::key_of(delivery));
    sqlx::query("update delivery set dedupe = null where dedupe = $1")
        .bind(dedupe)
        .execute(&mut *connection)
        .await?;
    sqlx::query(PUT_UNINDEXED)
        .bind(uuid(of))
        .bind(arrival)
        .bind(delivery.source().as_str())
        .bind(dedupe)
        .bind(received_at.ms())
        .bind(bytes.body_hash)
        .bind(text(&envelope.external_id))
        .bind(text(&envelope.hook_id))
        .bind(i16::from(envelope.secret_slot))
        .bind(i64::try_from(delivery.body().len()).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
    put_frame(connection, of, bytes.frame).await
}

const PUT_DELIVERY: &str = "
    insert into delivery (id, arrival, source, dedupe, received_at, body_hash, external_id, hook_id, secret_slot,
        body_bytes, state, duplicates, provider, event, action, organization, connection, lane, blocks, aside,
        replay_suspected, attempts, attempts_forgiven, fence, failing_since, last_error, reason, finished_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
        $24, $25, $26, $27, $28)
";

async fn put_delivery(
    connection: &mut PgConnection,
    kept: KeptDelivery,
    bytes: Option<Bytes>,
    arrival: i64,
) -> Result<(), StoreError> {
    let record = &kept.record;
    let small = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let dedupe = frame::dedupe_key(&record.source, &record.hook_id, &record.external_id);
    sqlx::query(PUT_DELIVERY)
        .bind(uuid(record.id))
        .bind(arrival)
        .bind(record.source.as_str())
        .bind(kept.holds_key.then(|| Uuid::from_bytes(dedupe)))
        .bind(record.received_at.ms())
        .bind(bytes.as_ref().map(|bytes| bytes.body_hash))
        .bind(text(&record.external_id))
        .bind(text(&record.hook_id))
        .bind(i16::from(record.secret_slot))
        .bind(i64::try_from(record.body_bytes).unwrap_or(i64::MAX))
        .bind(number(record.state))
        .bind(small(record.duplicates))
        .bind(text(&record.provider))
        .bind(text(&record.event))
        .bind(record.action.as_deref().map(text))
        .bind(record.organization.as_ref().map(OrganizationSlug::as_str))
        .bind(record.connection.as_ref().map(ConnectionKey::as_str))
        .bind(text(&record.lane))
        .bind(kept.blocks)
        .bind(kept.aside)
        .bind(record.replay_suspected)
        .bind(small(record.attempts))
        .bind(small(kept.attempts_forgiven))
        .bind(kept.fence.cast_signed())
        .bind(kept.failing_since.map(Timestamp::ms))
        .bind(record.last_error.as_deref().map(text))
        .bind(record.reason.as_deref().map(text))
        .bind(record.finished_at.map(Timestamp::ms))
        .execute(&mut *connection)
        .await?;
    for attempt in &kept.attempts {
        put_attempt(connection, record.id, attempt).await?;
    }
    if let Some(bytes) = bytes {
        put_frame(connection, record.id, bytes.frame).await?;
    }
    put_in_line(connection, &kept).await
}

async fn put_attempt(
    connection: &mut PgConnection,
    of: DeliveryId,
    attempt: &Attempt,
) -> Result<(), StoreError> {
    let sql = "insert into attempt (delivery, number, started_at, took_ms, led_to, error)
        values ($1, $2, $3, $4, $5, $6)";
    sqlx::query(sql)
        .bind(uuid(of))
        .bind(i32::try_from(attempt.number).unwrap_or(i32::MAX))
        .bind(attempt.started_at.ms())
        .bind(attempt.took_ms.map(u64::cast_signed))
        .bind(attempt.led_to.map(number))
        .bind(attempt.error.as_deref().map(text))
        .execute(connection)
        .await?;
    Ok(())
}

/// Its place in the lane; those of one lane come in their order.
async fn put_in_line(connection: &mut PgConnection, kept: &KeptDelivery) -> Result<(), StoreError> {
    let record = &kept.record;
    let (true, Some(due)) = (kept.is_in_line(), record.due_at) else { return Ok(()) };
    let lane =
        if kept.aside { queue::own_lane(record.id) } else { queue::lane(&record.source, &record.lane) };
    let failed = record.state == DeliveryState::Waiting;
    sqlx::query("insert into queue (delivery, lane, turn, due_at, blocked) values ($1, $2, $3, $4, $5)")
        .bind(uuid(record.id))
        .bind(lane)
        .bind(kept.turn)
        .bind(due.ms())
        .bind(kept.turn && kept.blocks && !kept.aside && failed)
        .execute(connection)
        .await?;
    Ok(())
}
