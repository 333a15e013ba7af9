//! Tasks: what is done outside, or was.

use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, shown, time};
use crate::domain::task::{Task, TaskKind, TaskState};
use crate::store::TaskFilter;
use crate::web::auth::{Call, Reader};
use crate::web::describe::{self, Operation, Parameter};

/// A piece of work at a forge. Equal wishes are one task; it keeps its id.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskView {
    /// Its id.
    #[schema(examples("0123456789abcdef01234567"))]
    id: String,
    kind: TaskKind,
    /// The organization's slug.
    #[schema(examples("acme"))]
    organization: String,
    /// The connection's key.
    #[schema(examples("acme-github"))]
    connection: String,
    /// About what of it; empty for all.
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

pub(crate) fn view(task: &Task) -> TaskView {
    TaskView {
        id: task.id.clone(),
        kind: task.kind,
        organization: task.organization.to_string(),
        connection: task.connection.to_string(),
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
    shown(found.filter(|task| call.caller.sees(Some(&task.organization))), view)
}
