//! Bringing a delivery back: by a person, by a redelivery of a dead one, or because its account was bound.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::act::lock;
use super::delivery::{id, number, state, uuid};
use super::{queue, trail};
use crate::domain::change::AuditEntry;
use crate::domain::delivery::DeliveryState;
use crate::domain::{DeliveryId, OrganizationSlug, Timestamp};
use crate::store::{Accepted, StoreError};

const LOOK: &str = "select state, organization from delivery where id = $1 and state > 0 for update";
const HAS_BYTES: &str = "select exists (select from payload where delivery = $1)";

/// A delivery's state, held until the transaction ends.
async fn look(
    connection: &mut PgConnection,
    of: DeliveryId,
) -> Result<Option<(DeliveryState, Option<OrganizationSlug>)>, StoreError> {
    let Some(row) = sqlx::query(LOOK).bind(uuid(of)).fetch_optional(connection).await? else {
        return Ok(None);
    };
    let organization: Option<String> = row.try_get("organization")?;
    let organization = organization.as_deref().and_then(|slug| OrganizationSlug::parse(slug).ok());
    Ok(Some((state(row.try_get("state")?)?, organization)))
}

/// Queues it anew, in a lane of its own, its history kept. `false`: there is none, or its bytes are gone.
pub(super) async fn replay(
    connection: &mut PgConnection,
    of: DeliveryId,
    actor: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    lock(connection, &[]).await?;
    let Some((was, organization)) = look(connection, of).await? else { return Ok(false) };
    let has_bytes: bool = sqlx::query_scalar(HAS_BYTES).bind(uuid(of)).fetch_one(&mut *connection).await?;
    if !has_bytes {
        return Ok(false);
    }
    if was == DeliveryState::Working {
        // A worker has it this moment: that is what was asked for.
        return Ok(true);
    }
    wake(connection, of, now).await?;
    audit(connection, of, was, organization, actor, "delivery.replayed", now).await?;
    Ok(true)
}

/// Queues these anew whose bytes are kept. Returns how many. The caller takes part in the lanes, and the audit log has one
/// line for all of them, once the task that wants them has ended.
pub(super) async fn replay_all(
    connection: &mut PgConnection,
    ids: &[DeliveryId],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut queued: u64 = 0;
    for of in ids {
        let Some((was, _)) = look(connection, *of).await? else { continue };
        if !sqlx::query_scalar::<_, bool>(HAS_BYTES).bind(uuid(*of)).fetch_one(&mut *connection).await? {
            continue;
        }
        if was != DeliveryState::Working {
            wake(connection, *of, now).await?;
        }
        queued = queued.saturating_add(1);
    }
    Ok(queued)
}

async fn audit(
    connection: &mut PgConnection,
    of: DeliveryId,
    was: DeliveryState,
    organization: Option<OrganizationSlug>,
    actor: &str,
    action: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let entry = AuditEntry {
        at,
        organization,
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: of.to_string(),
        detail: format!("was {}", was.as_str()),
        ..AuditEntry::default()
    };
    trail::put(connection, entry).await
}

const WAKE: &str = "
    update delivery set state = 1, attempts_forgiven = attempts, failing_since = null, reason = null,
        finished_at = null where id = $1
";

async fn wake(connection: &mut PgConnection, of: DeliveryId, now: Timestamp) -> Result<(), StoreError> {
    queue::leave(connection, of, now).await?;
    sqlx::query(WAKE).bind(uuid(of)).execute(&mut *connection).await?;
    queue::join_own(connection, of, now).await
}

const COUNT_COPY: &str =
    "update delivery set duplicates = duplicates + 1 where id = $1 returning state, organization";

/// Counts a copy; a copy of a dead one wakes it.
pub(super) async fn note_copy(
    connection: &mut PgConnection,
    of: DeliveryId,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    lock(connection, &[]).await?;
    let row = sqlx::query(COUNT_COPY).bind(uuid(of)).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(Accepted::Duplicate(of)) };
    if row.try_get::<i16, _>("state")? != number(DeliveryState::Dead) {
        return Ok(Accepted::Duplicate(of));
    }
    let organization: Option<String> = row.try_get("organization")?;
    let organization = organization.as_deref().and_then(|slug| OrganizationSlug::parse(slug).ok());
    let (was, action) = (DeliveryState::Dead, "delivery.redelivered");
    wake(connection, of, now).await?;
    audit(connection, of, was, organization, "webhook", action, now).await?;
    Ok(Accepted::Woken(of))
}

const DISCARD: &str = "update delivery set state = 5, reason = 'discarded' where id = $1";

/// Lets a dead letter go. `false`: it is not dead.
pub(super) async fn discard(
    connection: &mut PgConnection,
    of: DeliveryId,
    actor: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some((DeliveryState::Dead, organization)) = look(connection, of).await? else { return Ok(false) };
    let was = DeliveryState::Dead;
    sqlx::query(DISCARD).bind(uuid(of)).execute(&mut *connection).await?;
    audit(connection, of, was, organization, actor, "delivery.discarded", now).await?;
    Ok(true)
}

const UNBOUND: &str = "
    select id from delivery where state = 3 and reason = 'unbound' order by id limit $1 for update skip locked
";

/// Wakes up to `limit` deliveries whose account nobody had bound.
pub(super) async fn wake_unbound(
    connection: &mut PgConnection,
    limit: i64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    lock(connection, &[]).await?;
    let found: Vec<Uuid> = sqlx::query_scalar(UNBOUND).bind(limit).fetch_all(&mut *connection).await?;
    let mut woken: u64 = 0;
    for one in found {
        wake(connection, id(one), now).await?;
        woken = woken.saturating_add(1);
    }
    Ok(woken)
}
