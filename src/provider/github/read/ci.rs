//! Runs: of a workflow, of one of its jobs, and of any app's checks.

use super::repository::{commit, named};
use super::{Statement, action, needed};
use crate::domain::Timestamp;
use crate::domain::event::{Fact, Run};
use crate::domain::pipeline::{PipelineStatus, RunKind};
use crate::provider::Unreadable;
use crate::provider::github::wire::{Body, Run as WireRun};

/// `workflow_run`.
pub(super) fn workflow_run(body: &Body) -> Result<Statement, Unreadable> {
    let Some(told) = body.workflow_run.as_ref() else { return needed(None, "the workflow run") };
    let at = told.updated_at.or(*told.created_at);
    changed(body, Run { cause: told.event.clone(), ..run(body, told, RunKind::Pipeline)? }, at)
}

/// `workflow_job`.
pub(super) fn workflow_job(body: &Body) -> Result<Statement, Unreadable> {
    let Some(told) = body.workflow_job.as_ref() else { return needed(None, "the workflow job") };
    let at = [*told.created_at, *told.started_at, *told.completed_at].into_iter().flatten().max();
    changed(body, Run { parent: *told.run_id, ..run(body, told, RunKind::Job)? }, at)
}

/// `check_suite`.
pub(super) fn check_suite(body: &Body) -> Result<Statement, Unreadable> {
    let Some(told) = body.check_suite.as_ref() else { return needed(None, "the check suite") };
    let app = told.app.as_ref();
    let name = app.and_then(|app| app.name.clone().or_else(|| app.slug.clone()));
    let at = told.updated_at.or(*told.created_at);
    changed(body, Run { name, ..run(body, told, RunKind::Suite)? }, at)
}

fn changed(body: &Body, run: Run, at: Option<Timestamp>) -> Result<Statement, Unreadable> {
    Ok(Statement { fact: Fact::RunChanged { repository: named(body)?, run }, at })
}

/// What the three kinds have in common.
fn run(body: &Body, told: &WireRun, kind: RunKind) -> Result<Run, Unreadable> {
    Ok(Run {
        kind,
        id: needed(*told.id, "the run's number")?,
        parent: None,
        attempt: told.run_attempt.unwrap_or(1),
        name: told.name.clone(),
        status: status(action(body), told.status.as_deref(), told.conclusion.as_deref()),
        detail: detail(told),
        git_ref: told.head_branch.clone(),
        sha: told.head_sha.as_deref().and_then(commit),
        cause: None,
    })
}

/// The run's own status; the action only where there is none that we know.
fn status(action: &str, status: Option<&str>, conclusion: Option<&str>) -> PipelineStatus {
    let known = |word: &str| match word {
        "requested" | "rerequested" | "queued" | "pending" | "waiting" => Some(PipelineStatus::Queued),
        "in_progress" => Some(PipelineStatus::Running),
        "completed" => Some(ended(conclusion)),
        _ => None,
    };
    status.and_then(known).or_else(|| known(action)).unwrap_or(PipelineStatus::Queued)
}

fn ended(conclusion: Option<&str>) -> PipelineStatus {
    match conclusion {
        Some("success") => PipelineStatus::Passed,
        Some("failure" | "timed_out" | "startup_failure") => PipelineStatus::Failed,
        _ => PipelineStatus::Canceled,
    }
}

fn detail(told: &WireRun) -> String {
    let words = [told.status.as_deref(), told.conclusion.as_deref()];
    words.into_iter().flatten().collect::<Vec<_>>().join(": ")
}
