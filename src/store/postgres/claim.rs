//! Taking work, and keeping it.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::delivery::{columns, record, uuid};
use super::out::Hands;
use crate::domain::delivery::DeliveryRecord;
use crate::domain::{DeliveryId, Timestamp};
use crate::store::{DUE_WITHIN_MS, StoreError};

/// A delivery that is ours for a while, its bytes still sealed.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) record: DeliveryRecord,
    pub(super) tries: u32,
    pub(super) fence: u64,
    pub(super) frame: Option<Vec<u8>>,
}

/// Heads of lanes that are due: nobody else's, each leased, its attempt counted before it starts. A row that another
/// transaction holds this moment is passed over, so that workers never wait for each other.
macro_rules! claim {
    ($which:literal) => {
        concat!(
            "with head as materialized (
                select q.delivery, q.lane, q.due_at
                from queue q join delivery d on d.id = q.delivery
                where q.turn and q.due_at >= $4 and q.due_at <= $5 and d.state ",
            $which,
            " order by q.due_at, q.lane limit $3
                for update of q, d skip locked
            ), leased as (
                update queue q set due_at = $2 from head h where q.delivery = h.delivery
            ), taken as (
                update delivery d set state = 2, attempts = d.attempts + 1, fence = d.fence + 1
                from head h where d.id = h.delivery
                returning d.*, h.due_at as was_due_at, h.lane as stood_in
            ), begun as (
                insert into attempt (delivery, number, started_at) select d.id, d.attempts, $1 from taken d
            )
            select ",
            columns!(),
            ", $2::int8 as due_at, d.fence, d.attempts_forgiven, p.frame
            from taken d left join payload p on p.delivery = d.id
            order by d.was_due_at, d.stood_in"
        )
    };
}

const CLAIM: &str = claim!("<> 2");
/// Those whose lease ran out.
const CLAIM_LEFT: &str = claim!("= 2");
/// Whether there are any. Few deliveries are at work at a time, however many wait.
const ANY_LEFT: &str = "
    select exists (
        select from delivery d join queue q on q.delivery = d.id
        where d.state = 2 and q.turn and (q.due_at <= $1 or q.due_at > $2)
    )
";

/// What was given, and whether nothing may be beside it.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) taken: Vec<Taken>,
    pub(super) alone: bool,
}

/// Takes up to `limit` deliveries until `lease_end`; one alone when its lease ran out, and only into free hands.
pub(super) async fn claim(
    connection: &mut PgConnection,
    now: Timestamp,
    lease_end: Timestamp,
    limit: usize,
    hands: Hands,
) -> Result<Given, StoreError> {
    let absurd = now.plus_ms(DUE_WITHIN_MS).ms();
    let any = sqlx::query_scalar(ANY_LEFT).bind(now.ms()).bind(absurd).fetch_one(&mut *connection);
    let alone: bool = any.await?;
    let (sql, limit) = match (alone, hands) {
        (_, Hands::Alone) | (true, Hands::Busy) => return Ok(Given { taken: Vec::new(), alone }),
        (true, Hands::Free) => (CLAIM_LEFT, 1),
        (false, _) => (CLAIM, limit),
    };
    // What is due in years was put off by a clock that has been set back since.
    for (from, to) in [(i64::MIN, now.ms()), (absurd.saturating_add(1), i64::MAX)] {
        let rows = sqlx::query(sql)
            .bind(now.ms())
            .bind(lease_end.ms())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(from)
            .bind(to)
            .fetch_all(&mut *connection)
            .await?;
        if !rows.is_empty() {
            let taken = rows.iter().map(taken).collect::<Result<_, _>>()?;
            return Ok(Given { taken, alone });
        }
    }
    Ok(Given { taken: Vec::new(), alone })
}

fn taken(row: &PgRow) -> Result<Taken, StoreError> {
    let record = record(row)?;
    let forgiven: i32 = row.try_get("attempts_forgiven")?;
    Ok(Taken {
        tries: record.attempts.saturating_sub(forgiven.unsigned_abs()),
        fence: row.try_get::<i64, _>("fence")?.unsigned_abs(),
        frame: row.try_get("frame")?,
        record,
    })
}

/// The claim is looked at under its row's lock: without it, a lease that ends this moment could be given to another
/// worker and be lengthened by this one.
const EXTEND: &str = "
    with mine as (
        select id from delivery where id = $1 and fence = $2 and state = 2 for update
    )
    update queue q set due_at = $3 from mine where q.delivery = mine.id
";

/// Moves the end of a lease. `false`: the claim is no longer this one.
pub(super) async fn extend(
    connection: &mut PgConnection,
    id: DeliveryId,
    fence: u64,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let moved = sqlx::query(EXTEND)
        .bind(uuid(id))
        .bind(fence.cast_signed())
        .bind(until.ms())
        .execute(connection)
        .await?;
    Ok(moved.rows_affected() > 0)
}
