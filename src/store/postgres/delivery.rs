//! Deliveries as rows: reading one, and the lists.

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::page;
use crate::domain::delivery::{Attempt, DeliveryRecord, DeliveryState};
use crate::domain::{ConnectionKey, DeliveryId, OrganizationSlug, SourceKey, Timestamp};
use crate::store::{DeliveryFilter, Page, Paged, StoreError};

/// One number per state; never renumber. 0 stands for "kept, and not read yet".
pub(super) fn number(state: DeliveryState) -> i16 {
    match state {
        DeliveryState::Queued => 1,
        DeliveryState::Working => 2,
        DeliveryState::Waiting => 3,
        DeliveryState::Done => 4,
        DeliveryState::Ignored => 5,
        DeliveryState::Superseded => 6,
        DeliveryState::Dead => 7,
    }
}

/// The state with this number.
pub(super) fn state(number: i16) -> Result<DeliveryState, StoreError> {
    DeliveryState::ALL
        .into_iter()
        .find(|state| self::number(*state) == number)
        .ok_or_else(|| StoreError::Corrupt(format!("a delivery in the database has state {number}")))
}

/// An id as the database knows it.
pub(super) fn uuid(id: DeliveryId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// Back again.
pub(super) fn id(uuid: Uuid) -> DeliveryId {
    DeliveryId::from_bytes(uuid.into_bytes())
}

/// A text that the database takes: it knows no zero byte.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Columns of a delivery `d` and its place in the queue `q`.
macro_rules! columns {
    () => {
        "d.id, d.source, d.provider, d.organization, d.connection, d.event, d.action, d.external_id, d.hook_id, \
         d.received_at, d.state, d.attempts, d.duplicates, d.last_error, d.reason, d.replay_suspected, d.body_bytes, \
         d.secret_slot, d.finished_at, d.lane"
    };
}
pub(super) use columns;

fn name<T>(row: &PgRow, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, StoreError> {
    let Some(found) = row.try_get::<Option<String>, _>(column)? else { return Ok(None) };
    let damaged = || StoreError::Corrupt(format!("a delivery in the database has no valid {column}"));
    parse(&found).map(Some).ok_or_else(damaged)
}

fn count(row: &PgRow, column: &str) -> Result<u32, StoreError> {
    Ok(row.try_get::<i32, _>(column)?.unsigned_abs())
}

/// Reads a delivery's columns, and `due_at`.
pub(super) fn record(row: &PgRow) -> Result<DeliveryRecord, StoreError> {
    let word = |column: &str| -> Result<String, StoreError> {
        Ok(row.try_get::<Option<String>, _>(column)?.unwrap_or_default())
    };
    let time = |column: &str| -> Result<Option<Timestamp>, StoreError> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_ms))
    };
    let source = name(row, "source", |text| SourceKey::parse(text).ok())?;
    Ok(DeliveryRecord {
        id: id(row.try_get("id")?),
        source: source.ok_or_else(|| StoreError::Corrupt("a delivery has no source".into()))?,
        provider: word("provider")?,
        organization: name(row, "organization", |text| OrganizationSlug::parse(text).ok())?,
        connection: name(row, "connection", |text| ConnectionKey::parse(text).ok())?,
        event: word("event")?,
        action: row.try_get("action")?,
        external_id: word("external_id")?,
        hook_id: word("hook_id")?,
        received_at: Timestamp::from_ms(row.try_get("received_at")?),
        state: state(row.try_get("state")?)?,
        attempts: count(row, "attempts")?,
        duplicates: count(row, "duplicates")?,
        last_error: row.try_get("last_error")?,
        reason: row.try_get("reason")?,
        replay_suspected: row.try_get("replay_suspected")?,
        body_bytes: row.try_get::<i64, _>("body_bytes")?.unsigned_abs(),
        secret_slot: u8::try_from(row.try_get::<i16, _>("secret_slot")?).unwrap_or(u8::MAX),
        finished_at: time("finished_at")?,
        due_at: time("due_at")?,
        lane: word("lane")?,
    })
}

const ONE: &str = concat!(
    "select ",
    columns!(),
    ", q.due_at from delivery d left join queue q on q.delivery = d.id where d.id = $1 and d.state > 0"
);

/// One delivery.
pub(super) async fn one(pool: &PgPool, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
    let row = sqlx::query(ONE).bind(uuid(id)).fetch_optional(pool).await?;
    row.as_ref().map(record).transpose()
}

/// The list through one index; `$1` to `$14` mean the same in all of them.
macro_rules! list {
    ($index:literal) => {
        concat!(
            "select ",
            columns!(),
            ", q.due_at from delivery d left join queue q on q.delivery = d.id where d.state > 0 and ",
            $index,
            " and ($1::text is null or d.organization = $1) and ($2::text is null or d.source = $2) \
             and ($3::text is null or d.connection = $3) and ($4::int2 is null or d.state = $4) \
             and ($5::text is null or d.event = $5) and ($6::text is null or d.reason = $6) \
             and ($7::text is null or d.external_id = $7) and ($13::text is null or d.provider = $13) \
             and ($14::text is null or d.action = $14) and d.received_at >= $8 and d.received_at < $9 and d.id >= $10 and d.id < $11 \
             order by d.id desc limit $12"
        )
    };
}
const BY_EXTERNAL_ID: &str = list!("d.external_id = $7");
const BY_STATE: &str = list!("d.state = $4");
const BY_CONNECTION: &str = list!("d.connection = $3");
const BY_ORGANIZATION: &str = list!("d.organization = $1");
const BY_SOURCE: &str = list!("d.source = $2");
const ALL: &str = list!("true");

/// The least id that a delivery received then can have: ids begin with that time, or with a later one where the clock
/// was set back.
pub(super) fn first_id(at: Timestamp) -> Uuid {
    let ms = u128::from(at.ms().clamp(0, (1 << 48) - 1).unsigned_abs());
    Uuid::from_u128(ms << 80)
}

/// Clocks that were set back by more than this are not looked for.
const SET_BACK_MS_MAX: i64 = 24 * 60 * 60 * 1000;

/// Deliveries, newest first, through the narrowest index the filter allows.
pub(super) async fn list(
    pool: &PgPool,
    filter: &DeliveryFilter,
    page: &Page,
) -> Result<Paged<DeliveryRecord>, StoreError> {
    let sql = if filter.external_id.is_some() {
        BY_EXTERNAL_ID
    } else if filter.state.is_some() {
        BY_STATE
    } else if filter.connection.is_some() {
        BY_CONNECTION
    } else if filter.organization.is_some() {
        BY_ORGANIZATION
    } else if filter.source.is_some() {
        BY_SOURCE
    } else {
        ALL
    };
    let (since, until) =
        (filter.since.map_or(i64::MIN, Timestamp::ms), filter.until.map_or(i64::MAX, Timestamp::ms));
    // The ids only narrow what is looked at.
    let last = filter.until.map_or(Uuid::max(), |until| first_id(until.plus_ms(SET_BACK_MS_MAX)));
    let before =
        page::after::<Uuid>(page).or(filter.behind.map(uuid)).map_or(last, |before| before.min(last));
    let rows = sqlx::query(sql)
        .bind(filter.organization.as_ref().map(OrganizationSlug::as_str))
        .bind(filter.source.as_ref().map(SourceKey::as_str))
        .bind(filter.connection.as_ref().map(ConnectionKey::as_str))
        .bind(filter.state.map(number))
        .bind(filter.event.as_deref().map(text))
        .bind(filter.reason.as_deref().map(text))
        .bind(filter.external_id.as_deref().map(text))
        .bind(since)
        .bind(until)
        .bind(filter.since.map_or(Uuid::nil(), first_id))
        .bind(before)
        .bind(page::rows(page))
        .bind(filter.provider.map(|forge| forge.as_str()))
        .bind(filter.action.as_deref().map(text))
        .fetch_all(pool)
        .await?;
    let found = rows.iter().map(|row| record(row).map(|record| (uuid(record.id), record)));
    Ok(page::cut(page, found.collect::<Result<_, _>>()?))
}

const ATTEMPTS: &str =
    "select number, started_at, took_ms, led_to, error from attempt where delivery = $1 order by number";

/// A delivery's attempts, oldest first.
pub(super) async fn attempts(pool: &PgPool, of: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
    let rows = sqlx::query(ATTEMPTS).bind(uuid(of)).fetch_all(pool).await?;
    rows.iter().map(attempt).collect()
}

/// Reads an attempt's row.
pub(super) fn attempt(row: &PgRow) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        number: count(row, "number")?,
        started_at: Timestamp::from_ms(row.try_get("started_at")?),
        took_ms: row.try_get::<Option<i64>, _>("took_ms")?.map(i64::unsigned_abs),
        led_to: row.try_get::<Option<i16>, _>("led_to")?.map(state).transpose()?,
        error: row.try_get("error")?,
    })
}

/// The sealed bytes of a delivery, if they are still kept.
pub(super) async fn frame(
    connection: &mut PgConnection,
    of: DeliveryId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let frame = sqlx::query_scalar("select frame from payload where delivery = $1");
    Ok(frame.bind(uuid(of)).fetch_optional(connection).await?)
}
