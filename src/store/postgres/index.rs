//! Deliveries that are kept and whose meaning nobody has read: finding them, and giving each its place.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::act::rearrange_lanes;
use super::delivery::{id, number, text, uuid};
use super::queue;
use crate::domain::delivery::DeliveryState;
use crate::domain::{DeliveryId, SourceKey, Timestamp};
use crate::store::{Indexed, StoreError};

/// Bodies brought for one round of the indexer, at most (but always one).
const BYTES_MAX: i64 = 16 << 20;

const UNINDEXED: &str = "
    select d.id, d.received_at, p.frame
    from (
        select w.id, w.received_at, sum(w.body_bytes) over (order by w.id) - w.body_bytes as before
        from (select id, received_at, body_bytes from delivery where state = 0 order by id limit $1) w
    ) d join payload p on p.delivery = d.id
    where d.before < $2 order by d.id
";

/// One that waits, its bytes still sealed.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: DeliveryId,
    pub(super) received_at: Timestamp,
    pub(super) frame: Vec<u8>,
}

/// The oldest deliveries that no index knows yet.
pub(super) async fn waiting(connection: &mut PgConnection, limit: usize) -> Result<Vec<Waiting>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = sqlx::query(UNINDEXED).bind(limit).bind(BYTES_MAX).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Waiting {
                id: id(row.try_get("id")?),
                received_at: Timestamp::from_ms(row.try_get("received_at")?),
                frame: row.try_get("frame")?,
            })
        })
        .collect()
}

/// The first delivery with a body is remembered by it (ruling 4).
const NOTE_BODIES: &str = "
    insert into body_seen (hash, delivery, received_at)
    select distinct on (body_hash) body_hash, id, received_at
    from delivery where id = any($1) and state = 0 order by body_hash, id
    on conflict do nothing
";

const MARK: &str = "
    update delivery d set event = g.event, action = g.action, provider = g.provider, lane = g.lane,
        blocks = g.blocks, state = g.state, reason = g.reason, finished_at = g.finished_at,
        replay_suspected = coalesce((select b.delivery <> d.id from body_seen b where b.hash = d.body_hash), false)
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::int2[], $8::text[],
        $9::int8[]) as g(id, event, action, provider, lane, blocks, state, reason, finished_at)
    where d.id = g.id and d.state = 0
    returning d.id, d.source, d.lane, d.state
";

/// In the order of arrival; the first of an empty lane has the turn.
const ENQUEUE: &str = "
    insert into queue (delivery, lane, turn, due_at)
    select g.id, g.lane, row_number() over (partition by g.lane order by g.id) = 1
        and not exists (select from queue q where q.lane = g.lane), $3
    from unnest($1::uuid[], $2::uuid[]) as g(id, lane) order by g.id
";

/// Gives all of them their place. One that another process was quicker with is left as it is.
pub(super) async fn index(
    connection: &mut PgConnection,
    rows: Vec<Indexed>,
    now: Timestamp,
) -> Result<(), StoreError> {
    rearrange_lanes(connection).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| uuid(row.id)).collect();
    sqlx::query(NOTE_BODIES).bind(&ids).execute(&mut *connection).await?;
    let marked = mark(connection, ids, &rows, now).await?;
    if !marked.is_empty() {
        let (ids, lanes): (Vec<Uuid>, Vec<Uuid>) = marked.into_iter().unzip();
        sqlx::query(ENQUEUE).bind(ids).bind(lanes).bind(now.ms()).execute(connection).await?;
    }
    Ok(())
}

fn state(row: &Indexed) -> DeliveryState {
    row.ended.as_ref().map_or(DeliveryState::Queued, |(state, _)| *state)
}

/// Writes what was read. Gives back those that are to be queued, with their lanes.
async fn mark(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
    rows: &[Indexed],
    now: Timestamp,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    fn all<'a, T>(rows: &'a [Indexed], read: impl Fn(&'a Indexed) -> T) -> Vec<T> {
        rows.iter().map(read).collect()
    }
    let marked = sqlx::query(MARK)
        .bind(ids)
        .bind(all(rows, |row| text(&row.event)))
        .bind(all(rows, |row| row.action.as_deref().map(text)))
        .bind(all(rows, |row| row.provider.as_str()))
        .bind(all(rows, |row| text(&row.lane.key)))
        .bind(all(rows, |row| row.lane.blocks))
        .bind(all(rows, |row| number(state(row))))
        .bind(all(rows, |row| row.ended.as_ref().map(|(_, reason)| text(reason))))
        .bind(all(rows, |row| state(row).is_final().then_some(now.ms())))
        .fetch_all(connection)
        .await?;
    let mut queued = Vec::new();
    for row in &marked {
        if row.try_get::<i16, _>("state")? == number(DeliveryState::Queued) {
            let (source, lane): (String, String) = (row.try_get("source")?, row.try_get("lane")?);
            let source = SourceKey::parse(&source)
                .map_err(|_| StoreError::Corrupt("a delivery names no valid source".into()))?;
            queued.push((row.try_get("id")?, queue::lane(&source, &lane)));
        }
    }
    Ok(queued)
}
