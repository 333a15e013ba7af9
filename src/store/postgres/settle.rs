//! Ending an attempt: the delivery's new state and all that it changes, or nothing.

use sqlx::{PgConnection, Row};

use super::act::{Answer, lock};
use super::delivery::{number, text, uuid};
use super::{queue, record, version};
use crate::domain::change::{Changes, Verdict};
use crate::domain::delivery::DeliveryState;
use crate::domain::{ConnectionKey, DeliveryId, OrganizationSlug, Timestamp};
use crate::store::{Outcome, StoreError};

/// A failing head of a blocking lane is waited for so long; then it steps aside.
const BLOCKED_MS_MAX: i64 = 15 * 60 * 1000;
const ERROR_BYTES_MAX: usize = 1024;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    LeaseLost,
    Changed,
}

/// A claim, as far as it is told from others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) id: DeliveryId,
    pub(super) fence: u64,
}

/// What a delivery becomes.
struct End<'a> {
    state: DeliveryState,
    reason: Option<&'a str>,
    /// Shown with the delivery.
    last_error: Option<&'a str>,
    /// Kept with the attempt.
    error: Option<&'a str>,
    finished_at: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    forgiven: bool,
    organization: Option<&'a OrganizationSlug>,
    connection: Option<&'a ConnectionKey>,
}

impl<'a> End<'a> {
    fn of(state: DeliveryState, reason: Option<&'a str>, now: Timestamp) -> Self {
        Self {
            state,
            reason,
            last_error: None,
            error: None,
            finished_at: Some(now),
            failing_since: None,
            forgiven: false,
            organization: None,
            connection: None,
        }
    }
}

/// Only the claim that is still the delivery's own may write: its fence is part of the very statement.
const END: &str = "
    with mine as (
        update delivery set state = $3, reason = $4, finished_at = $7,
            last_error = case when $9 then last_error else $5 end,
            failing_since = case when $9 then failing_since when $8::int8 is null then null
                else coalesce(failing_since, $8) end,
            attempts_forgiven = case when $9 then attempts else attempts_forgiven end,
            organization = coalesce($10, organization), connection = coalesce($11, connection)
        where id = $1 and fence = $2 and state = 2
        returning id, attempts, blocks, failing_since
    ), ended as (
        update attempt a set took_ms = greatest($12 - a.started_at, 0), led_to = $3, error = $6
        from mine where a.delivery = mine.id and a.number = mine.attempts
    )
    select blocks, failing_since from mine
";

/// Writes the end. `None`: the claim is lost. Else whether a failing head holds its lane, and since when it fails.
async fn end(
    connection: &mut PgConnection,
    held: Held,
    end: End<'_>,
    now: Timestamp,
) -> Result<Option<(bool, Timestamp)>, StoreError> {
    let row = sqlx::query(END)
        .bind(uuid(held.id))
        .bind(held.fence.cast_signed())
        .bind(number(end.state))
        .bind(end.reason.map(bounded))
        .bind(end.last_error.map(bounded))
        .bind(end.error.map(bounded))
        .bind(end.finished_at.map(Timestamp::ms))
        .bind(end.failing_since.map(Timestamp::ms))
        .bind(end.forgiven)
        .bind(end.organization.map(OrganizationSlug::as_str))
        .bind(end.connection.map(ConnectionKey::as_str))
        .bind(now.ms())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let since: Option<i64> = row.try_get("failing_since")?;
    Ok(Some((row.try_get("blocks")?, since.map_or(now, Timestamp::from_ms))))
}

/// Settles a claim.
pub(super) async fn settle(
    connection: &mut PgConnection,
    held: Held,
    outcome: Outcome,
    now: Timestamp,
) -> Result<Answer<Ended>, StoreError> {
    match outcome {
        Outcome::Apply(changes) => apply(connection, held, changes, now).await,
        Outcome::Retry { at, error } => retry(connection, held, at, &error, now).await,
        Outcome::Park { reason, error } => {
            lock(connection, &[]).await?;
            let parked = End {
                last_error: Some(&error),
                error: Some(&error),
                ..End::of(DeliveryState::Dead, Some(&reason), now)
            };
            leave_with(connection, held, parked, now).await
        }
    }
}

async fn leave_with(
    connection: &mut PgConnection,
    held: Held,
    as_this: End<'_>,
    now: Timestamp,
) -> Result<Answer<Ended>, StoreError> {
    if end(connection, held, as_this, now).await?.is_none() {
        return Ok(Answer::Undo(Ended::LeaseLost));
    }
    queue::leave(connection, held.id, now).await?;
    Ok(Answer::Keep(Ended::Done))
}

async fn apply(
    connection: &mut PgConnection,
    held: Held,
    changes: Changes,
    now: Timestamp,
) -> Result<Answer<Ended>, StoreError> {
    lock(connection, &record::stripes(&changes.expects, &changes.changes)).await?;
    let superseded_by;
    let mut as_this = match changes.verdict {
        Verdict::Done => End::of(DeliveryState::Done, None, now),
        Verdict::Ignored(reason) => End::of(DeliveryState::Ignored, Some(reason.as_str()), now),
        Verdict::Superseded(by) => {
            superseded_by = by;
            End {
                last_error: Some(&superseded_by),
                error: Some(&superseded_by),
                ..End::of(DeliveryState::Superseded, Some("superseded"), now)
            }
        }
        // It leaves the lane, so that it holds nobody back, and waits to be woken. A wait is no failure: it does not
        // bring the delivery nearer to its end.
        Verdict::Unbound => {
            End { finished_at: None, forgiven: true, ..End::of(DeliveryState::Waiting, Some("unbound"), now) }
        }
    };
    as_this.organization = changes.organization.as_ref();
    as_this.connection = changes.connection.as_ref();
    let ended = leave_with(connection, held, as_this, now).await?;
    if let Answer::Undo(_) = ended {
        return Ok(ended);
    }
    if !version::hold(connection, &changes.expects).await? {
        return Ok(Answer::Undo(Ended::Changed));
    }
    record::apply(connection, changes.changes).await?;
    Ok(ended)
}

async fn retry(
    connection: &mut PgConnection,
    held: Held,
    at: Timestamp,
    error: &str,
    now: Timestamp,
) -> Result<Answer<Ended>, StoreError> {
    lock(connection, &[]).await?;
    let waiting = End {
        last_error: Some(error),
        error: Some(error),
        finished_at: None,
        failing_since: Some(now),
        ..End::of(DeliveryState::Waiting, Some("retry"), now)
    };
    let Some((blocks, since)) = end(connection, held, waiting, now).await? else {
        return Ok(Answer::Undo(Ended::LeaseLost));
    };
    if blocks && now.since(since) < BLOCKED_MS_MAX {
        queue::hold(connection, held.id, at).await?;
    } else {
        queue::leave(connection, held.id, now).await?;
        queue::join_own(connection, held.id, at).await?;
    }
    Ok(Answer::Keep(Ended::Done))
}

/// At most 1 KiB, cut between characters.
fn bounded(long: &str) -> String {
    let mut end = long.len().min(ERROR_BYTES_MAX);
    while !long.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text(long.get(..end).unwrap_or_default())
}
