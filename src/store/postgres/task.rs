//! [`Tasks`] on PostgreSQL: taken with `SKIP LOCKED`, and settled by the claim whose fence still stands.

use async_trait::async_trait;
use sqlx::{PgConnection, Row};

use super::act::{Answer, act, lock};
use super::delivery::text;
use super::find::{all, parsed};
use super::{PostgresStore, page, record, replay, trail, version};
use crate::domain::change::AuditEntry;
use crate::domain::task::{Task, TaskState, Wish};
use crate::domain::{ConnectionKey, OrganizationSlug, Timestamp};
use crate::store::task::{TaskClaim, TaskEnd, TaskOutcome, TaskSettled, Tasks, apart, cancelled, settled};
use crate::store::{DUE_WITHIN_MS, Page, Paged, StoreError, TaskFilter};

const PUT: &str = "
    insert into task (id, organization, connection, kind, state, due_at, wished_at, finished_at, fence, record)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::json)
    on conflict (id) do update set state = excluded.state, due_at = excluded.due_at,
        wished_at = excluded.wished_at, finished_at = excluded.finished_at, fence = excluded.fence,
        record = excluded.record
";
const ONE: &str = "select record::text from task where id = $1";
const ONE_LOCKED: &str = "select record::text from task where id = $1 for update";
/// A row that another transaction holds this moment is passed over, so that workers never wait for each other.
const DUE: &str = "
    select record::text from task where due_at is not null and (due_at <= $1 or due_at > $2)
    order by due_at, id limit $3 for update skip locked
";
const LIST: &str = "
    select wished_at, id, record::text from task where (wished_at, id) < ($1, $2)
        and ($3::text is null or organization = $3) and ($4::text is null or connection = $4)
        and ($5::text is null or state = $5) and ($6::text is null or kind = $6)
    order by wished_at desc, id desc limit $7
";

/// Writes a task.
pub(super) async fn put(connection: &mut PgConnection, task: &Task) -> Result<(), StoreError> {
    sqlx::query(PUT)
        .bind(text(&task.id))
        .bind(task.organization.as_ref().map(OrganizationSlug::as_str))
        .bind(task.connection.as_ref().map(ConnectionKey::as_str))
        .bind(task.kind.as_str())
        .bind(task.state.as_str())
        .bind(task.due_at.map(Timestamp::ms))
        .bind(task.wished_at.ms())
        .bind(task.finished_at.map(Timestamp::ms))
        .bind(task.fence.cast_signed())
        .bind(record::json(task)?)
        .execute(connection)
        .await?;
    Ok(())
}

async fn locked(connection: &mut PgConnection, id: &str) -> Result<Option<Task>, StoreError> {
    let row = sqlx::query(ONE_LOCKED).bind(text(id)).fetch_optional(connection).await?;
    row.as_ref().map(parsed).transpose()
}

/// Adds a wish to what there is. The caller holds the task's stripe.
pub(super) async fn wish(connection: &mut PgConnection, wish: &Wish) -> Result<(), StoreError> {
    let before = locked(connection, &wish.id()).await?;
    put(connection, &Task::wished(before, wish)).await
}

async fn claim(
    connection: &mut PgConnection,
    now: Timestamp,
    lease_ms: i64,
    limit: usize,
) -> Result<Vec<TaskClaim>, StoreError> {
    let rows = sqlx::query(DUE)
        .bind(now.ms())
        .bind(now.plus_ms(DUE_WITHIN_MS).ms())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    let mut claims = Vec::with_capacity(rows.len());
    for before in all(&rows, parsed::<Task>)? {
        let task = before.claimed(now, now.plus_ms(lease_ms));
        put(connection, &task).await?;
        claims.push(TaskClaim { task });
    }
    Ok(claims)
}

/// The task, as long as this claim of it holds; nobody else moves it until the transaction ends.
async fn held(connection: &mut PgConnection, id: &str, fence: u64) -> Result<Option<Task>, StoreError> {
    let found = locked(connection, id).await?;
    Ok(found.filter(|task| task.fence == fence && task.state == TaskState::Working))
}

async fn settle(
    connection: &mut PgConnection,
    id: &str,
    fence: u64,
    outcome: TaskOutcome,
    now: Timestamp,
) -> Result<Answer<TaskSettled>, StoreError> {
    let (changes, expects, mut end) = apart(outcome);
    lock(connection, &record::stripes(&expects, &changes)).await?;
    if held(connection, id, fence).await?.is_none() {
        return Ok(Answer::Undo(TaskSettled::LeaseLost));
    }
    if !version::hold(connection, &expects).await? {
        return Ok(Answer::Undo(TaskSettled::Changed));
    }
    record::apply(connection, changes).await?;
    if let TaskEnd::Piece { piece, queued, .. } = &mut end {
        *queued = replay::replay_all(connection, &piece.deliveries, now).await?;
    }
    // Read again: one of the changes may be a wish for this very task.
    if let Some(task) = held(connection, id, fence).await? {
        end_with(connection, settled(task, end, now)).await?;
    }
    Ok(Answer::Keep(TaskSettled::Done))
}

async fn end_with(
    connection: &mut PgConnection,
    (task, line): (Task, Option<AuditEntry>),
) -> Result<(), StoreError> {
    put(connection, &task).await?;
    match line {
        Some(line) => trail::put(connection, line).await,
        None => Ok(()),
    }
}

/// Ends a task that is done in pieces. `None`: it cannot be ended.
async fn cancel(
    connection: &mut PgConnection,
    id: &str,
    actor: &str,
    now: Timestamp,
) -> Result<Option<Task>, StoreError> {
    let Some(before) = locked(connection, id).await? else { return Ok(None) };
    let Some(ended) = cancelled(before, actor, now) else { return Ok(None) };
    let task = ended.0.clone();
    end_with(connection, ended).await?;
    Ok(Some(task))
}

#[async_trait]
impl Tasks for PostgresStore {
    async fn claim_tasks(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<TaskClaim>, StoreError> {
        act(&self.pool, move |connection| {
            Box::pin(async move { claim(connection, now, lease_ms, limit).await.map(Answer::Keep) })
        })
        .await
    }

    async fn extend_task(&self, claim: &TaskClaim, until: Timestamp) -> Result<bool, StoreError> {
        let (id, fence) = (claim.task.id.clone(), claim.task.fence);
        act(&self.pool, move |connection| {
            Box::pin(async move {
                let Some(task) = held(connection, &id, fence).await? else { return Ok(Answer::Keep(false)) };
                put(connection, &Task { due_at: Some(until), ..task }).await?;
                Ok(Answer::Keep(true))
            })
        })
        .await
    }

    async fn settle_task(
        &self,
        claim: &TaskClaim,
        outcome: TaskOutcome,
        now: Timestamp,
    ) -> Result<TaskSettled, StoreError> {
        let (id, fence) = (claim.task.id.clone(), claim.task.fence);
        let queues = matches!(outcome, TaskOutcome::Piece { .. });
        let settled = act(&self.pool, move |connection| {
            Box::pin(async move { settle(connection, &id, fence, outcome, now).await })
        })
        .await?;
        if queues {
            self.wake.tell();
        }
        Ok(settled)
    }

    async fn cancel_task(&self, id: &str, actor: &str, now: Timestamp) -> Result<Option<Task>, StoreError> {
        let (id, actor) = (id.to_owned(), actor.to_owned());
        act(&self.pool, move |connection| {
            Box::pin(async move { cancel(connection, &id, &actor, now).await.map(Answer::Keep) })
        })
        .await
    }

    async fn task(&self, id: &str) -> Result<Option<Task>, StoreError> {
        let row = sqlx::query(ONE).bind(text(id)).fetch_optional(&self.pool).await?;
        row.as_ref().map(parsed).transpose()
    }

    async fn tasks(&self, filter: &TaskFilter, page: &Page) -> Result<Paged<Task>, StoreError> {
        let (at, id) = page::after::<(i64, String)>(page).unwrap_or_else(|| (i64::MAX, "~".into()));
        let rows = sqlx::query(LIST)
            .bind(at)
            .bind(id)
            .bind(filter.organization.as_ref().map(OrganizationSlug::as_str))
            .bind(filter.connection.as_ref().map(ConnectionKey::as_str))
            .bind(filter.state.map(TaskState::as_str))
            .bind(filter.kind.map(|kind| kind.as_str()))
            .bind(page::rows(page))
            .fetch_all(&self.pool)
            .await?;
        let found = rows.iter().map(|row| {
            let place: (i64, String) = (row.try_get("wished_at")?, row.try_get("id")?);
            Ok((place, parsed(row)?))
        });
        Ok(page::cut(page, found.collect::<Result<_, StoreError>>()?))
    }
}
