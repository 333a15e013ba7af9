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

/// Those over which a process has died come first, so that they are read singly.
const UNINDEXED: &str = "
    select d.id, d.received_at, d.deaths, p.frame
    from (
        select w.*, sum(w.body_bytes) over (order by w.deaths = 0, w.arrival) - w.body_bytes as before
        from (
            (select d.id, d.arrival, d.received_at, d.body_bytes, x.count as deaths
                from death x join delivery d on d.id = x.delivery where d.state = 0 order by d.arrival limit $1)
            union all
            (select d.id, d.arrival, d.received_at, d.body_bytes, 0
                from delivery d where d.state = 0 and not exists (select from death x where x.delivery = d.id)
                order by d.arrival limit $1)
        ) w order by w.deaths = 0, w.arrival limit $1
    ) d join payload p on p.delivery = d.id
    where d.before < $2 order by d.deaths = 0, d.arrival
";

/// One that waits, its bytes still sealed.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: DeliveryId,
    pub(super) received_at: Timestamp,
    pub(super) deaths: u32,
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
                deaths: row.try_get::<i32, _>("deaths")?.unsigned_abs(),
                frame: row.try_get("frame")?,
            })
        })
        .collect()
}

/// The first delivery with a body is remembered by it (ruling 4).
const NOTE_BODIES: &str = "
    insert into body_seen (hash, delivery, received_at)
    select distinct on (body_hash) body_hash, id, received_at
    from delivery where id = any($1) and state = 0 order by body_hash, arrival
    on conflict do nothing
";

const MARK: &str = "
    update delivery d set event = g.event, action = g.action, provider = g.provider, lane = g.lane,
        blocks = g.blocks, state = g.state, reason = g.reason, finished_at = g.finished_at,
        replay_suspected = coalesce((select b.delivery <> d.id from body_seen b where b.hash = d.body_hash), false)
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::int2[], $8::text[],
        $9::int8[]) as g(id, event, action, provider, lane, blocks, state, reason, finished_at)
    where d.id = g.id and d.state = 0
    returning d.id, d.arrival, d.source, d.lane, d.state
";

/// In the order of arrival; the first of an empty lane has the turn.
const ENQUEUE: &str = "
    insert into queue (delivery, lane, turn, due_at)
    select g.id, g.lane, row_number() over (partition by g.lane order by g.place) = 1
        and not exists (select from queue q where q.lane = g.lane), $3
    from unnest($1::uuid[], $2::uuid[]) with ordinality as g(id, lane, place) order by g.place
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
    sqlx::query("delete from death where delivery = any($1)").bind(&ids).execute(&mut *connection).await?;
    let mut marked = mark(connection, ids, &rows, now).await?;
    marked.sort_unstable();
    if !marked.is_empty() {
        let (ids, lanes): (Vec<Uuid>, Vec<Uuid>) = marked.into_iter().map(|(_, id, lane)| (id, lane)).unzip();
        sqlx::query(ENQUEUE).bind(ids).bind(lanes).bind(now.ms()).execute(connection).await?;
    }
    Ok(())
}

fn state(row: &Indexed) -> DeliveryState {
    row.ended.as_ref().map_or(DeliveryState::Queued, |(state, _)| *state)
}

/// Writes what was read. Gives back those that are to be queued: when they came, their ids and lanes.
async fn mark(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
    rows: &[Indexed],
    now: Timestamp,
) -> Result<Vec<(i64, Uuid, Uuid)>, StoreError> {
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
            queued.push((row.try_get("arrival")?, row.try_get("id")?, queue::lane(&source, &lane)));
        }
    }
    Ok(queued)
}
