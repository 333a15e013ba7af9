//! Tasks: what is done outside, or was.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, shown, time};
use crate::domain::replay::Progress;
use crate::domain::task::{Task, TaskKind, TaskState};
use crate::store::TaskFilter;
use crate::web::auth::{Admin, Call, Reader};
use crate::web::describe::{self, Operation, Parameter};
use crate::web::error::Problem;

/// A piece of work at a forge, or a long one here. Equal wishes are one task; it keeps its id.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskView {
    /// Its id.
    #[schema(examples("0123456789abcdef01234567"))]
    id: String,
    kind: TaskKind,
    /// The organization's slug; null for what the operator wants of all of them.
    #[schema(examples("acme"))]
    organization: Option<String>,
    /// The connection's key; null where no forge is asked.
    #[schema(examples("acme-github"))]
    connection: Option<String>,
    /// About what of it; empty for all. Of a replay: its filter, as JSON.
    #[schema(examples(""))]
    subject: String,
    state: TaskState,
    /// Who wished it last: `cli`, `api_token:…`, `webhook`, `system`.
    #[schema(examples("cli"))]
    wished_by: String,
    /// When.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    wished_at: String,
    /// When it runs next; null once it has ended for good.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    due_at: Option<String>,
    /// Tries since it last ended.
    #[schema(examples(1))]
    attempts: u32,
    /// How often it has ended so far: a run that was asked for is over when this has grown.
    #[schema(examples(1))]
    runs: u64,
    /// When the last try began.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    started_at: Option<String>,
    /// When it last ended.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    finished_at: Option<String>,
    /// What went wrong the last time; null when nothing did.
    #[schema(examples("the forge allows no more requests until 2026-01-31T08:00:00.000Z"))]
    last_error: Option<String>,
    /// What came of it the last time.
    #[schema(examples("all is well"))]
    note: Option<String>,
    progress: Option<ProgressView>,
}

/// How far a replay is; its task is `working` until it has ended.
#[derive(Serialize, ToSchema)]
#[schema(as = ReplayProgress)]
struct ProgressView {
    /// How many deliveries matched when it began; null until they are counted.
    #[schema(examples(120))]
    matched: Option<u64>,
    /// How many of them are queued again.
    #[schema(examples(40))]
    queued: u64,
    /// How many could not be: their bytes are no longer kept.
    #[schema(examples(0))]
    skipped: u64,
}

pub(crate) const LIST: Operation = Operation::list(
    "listTasks",
    "List tasks",
    &[describe::page::<TaskView>("One page of tasks, the one that was wished last first.")],
    &[
        describe::ORGANIZATION,
        Parameter::slug("connection", "The connection's key."),
        Parameter::word::<TaskState>("state", "Where it stands."),
        Parameter::word::<TaskKind>("kind", "What is done."),
    ],
);
pub(crate) const SHOW: Operation =
    Operation::new("showTask", "Show a task", &[describe::json::<TaskView>(200, "The task.")]);

pub(crate) const CANCEL: Operation = Operation::new(
    "cancelTask",
    "End a replay of many deliveries before it is done",
    &[describe::json::<TaskView>(200, "It has ended; what it had queued stays queued.")],
)
.codes(&["not-cancellable", "task-over"]);

fn progress(progress: &Progress) -> ProgressView {
    ProgressView { matched: progress.matched, queued: progress.queued, skipped: progress.skipped }
}

pub(crate) fn view(task: &Task) -> TaskView {
    TaskView {
        id: task.id.clone(),
        kind: task.kind,
        organization: task.organization.as_ref().map(ToString::to_string),
        connection: task.connection.as_ref().map(ToString::to_string),
        subject: task.subject.clone(),
        state: task.state,
        wished_by: task.wished_by.clone(),
        wished_at: task.wished_at.rfc3339(),
        due_at: time(task.due_at),
        attempts: task.attempts,
        runs: task.runs,
        started_at: time(task.started_at),
        finished_at: time(task.finished_at),
        last_error: task.last_error.clone(),
        note: task.note.clone(),
        progress: task.progress.as_ref().map(progress),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let filter = TaskFilter {
        organization: super::scope(&call, &query).await?,
        connection: query.word("connection")?,
        state: query.word("state")?,
        kind: query.word("kind")?,
    };
    Ok(listed(&query, call.front.store.tasks(&filter, &page).await?, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &SHOW)?;
    let found = call.front.store.task(&call.id).await?;
    shown(found.filter(|task| call.caller.sees(task.organization.as_ref())), view)
}

pub(crate) async fn cancel(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &CANCEL)?;
    let store = &call.front.store;
    let found = store.task(&call.id).await?.filter(|task| call.caller.sees(task.organization.as_ref()));
    let task = found.ok_or_else(Problem::not_found)?;
    if !task.kind.is_in_pieces() {
        let message = "only a replay of many deliveries can be cancelled";
        return Err(Problem::new(StatusCode::CONFLICT, "not-cancellable", message));
    }
    let cancelled = store.cancel_task(&task.id, &call.caller.actor(), call.front.now()).await?;
    let over = || Problem::new(StatusCode::CONFLICT, "task-over", "the task has ended already");
    Ok(HttpResponse::Ok().json(view(&cancelled.ok_or_else(over)?)))
}
