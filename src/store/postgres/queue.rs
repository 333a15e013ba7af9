//! The lanes: who stands in one, who has the turn, and what happens when one leaves.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{DeliveryId, SourceKey, Timestamp};
use crate::store::StoreError;
use crate::store::frame::short_hash;
use crate::store::postgres::delivery::uuid;

/// A lane of a source.
pub(super) fn lane(source: &SourceKey, name: &str) -> Uuid {
    Uuid::from_bytes(short_hash(&[source.as_str().as_bytes(), name.as_bytes()]))
}

/// The lane of a delivery that stepped aside or was asked for again: its own.
pub(super) fn own_lane(id: DeliveryId) -> Uuid {
    Uuid::from_bytes(short_hash(&[b"own", id.as_bytes()]))
}

const LEAVE: &str = "delete from queue where delivery = $1 returning lane, turn";
/// One that is leaving this very moment is passed over: the lock waits for it, and then it is not there.
const NEXT: &str = "
    update queue set turn = true, due_at = $2 where delivery =
        (select delivery from queue where lane = $1 and not turn order by position limit 1 for update)
";

/// Takes a delivery out of its lane, if it stands in one; when it had the turn, the next one gets it.
pub(super) async fn leave(
    connection: &mut PgConnection,
    id: DeliveryId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let left: Option<(Uuid, bool)> =
        sqlx::query_as(LEAVE).bind(uuid(id)).fetch_optional(&mut *connection).await?;
    if let Some((lane, true)) = left {
        sqlx::query(NEXT).bind(lane).bind(now.ms()).execute(connection).await?;
    }
    Ok(())
}

const JOIN_OWN: &str = "
    with moved as (update delivery set aside = true where id = $1 and not aside)
    insert into queue (delivery, lane, turn, due_at) values ($1, $2, true, $3)
";

/// Puts a delivery that stands nowhere into a lane of its own.
pub(super) async fn join_own(
    connection: &mut PgConnection,
    id: DeliveryId,
    due: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(JOIN_OWN).bind(uuid(id)).bind(own_lane(id)).bind(due.ms()).execute(connection).await?;
    Ok(())
}

const HOLD: &str = "update queue set due_at = $2, blocked = true where delivery = $1";

/// Lets a failing head keep its lane until it is tried again.
pub(super) async fn hold(
    connection: &mut PgConnection,
    id: DeliveryId,
    until: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(HOLD).bind(uuid(id)).bind(until.ms()).execute(connection).await?;
    Ok(())
}
