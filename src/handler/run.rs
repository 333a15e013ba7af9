//! CI runs. A run goes forward only; the newest pipeline, and nothing else, says how a project's CI stands.

use super::project;
use super::work::Work;
use crate::domain::Timestamp;
use crate::domain::event::{Repository, Run};
use crate::domain::pipeline::{Pipeline, PipelineStatus, PipelineSummary, RunKind};
use crate::domain::project::Project;

pub(super) fn changed(work: &mut Work<'_>, repository: &Repository, run: &Run) {
    let project = project::mention(work, repository);
    let known = work.known.run(repository.id, run.kind, run.id);
    let new = record(work, &project, run, known);
    if known.is_some_and(|known| is_older(&new, known)) {
        return work.supersede(format!("run {} is further than that", run.id));
    }
    if run.kind == RunKind::Pipeline {
        summarize(work, project, &new);
    }
    work.put_run(new);
}

/// What is told, over what is known: a later statement may tell less.
fn record(work: &Work<'_>, project: &Project, run: &Run, known: Option<&Pipeline>) -> Pipeline {
    let before = |pick: fn(&Pipeline) -> &Option<String>| known.and_then(|known| pick(known).clone());
    Pipeline {
        organization: work.connection.organization.clone(),
        host: work.connection.host.clone(),
        project: project.external_id,
        kind: run.kind,
        external_id: run.id,
        parent: run.parent.or(known.and_then(|known| known.parent)),
        attempt: run.attempt,
        name: run.name.clone().or_else(|| before(|run| &run.name)),
        status: run.status,
        detail: run.detail.clone(),
        git_ref: run.git_ref.clone().or_else(|| before(|run| &run.git_ref)),
        sha: run.sha.clone().or_else(|| before(|run| &run.sha)),
        cause: run.cause.clone().or_else(|| before(|run| &run.cause)),
        updated_at: work.told_at().or(known.and_then(|known| known.updated_at)),
    }
}

/// Compares attempt, then how far it is, then the forge's time where both sides have one.
fn is_older(new: &Pipeline, known: &Pipeline) -> bool {
    let steps = |run: &Pipeline| (run.attempt, run.status.rank());
    match steps(new).cmp(&steps(known)) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => is_before(new.updated_at, known.updated_at),
    }
}

fn is_before(new: Option<Timestamp>, known: Option<Timestamp>) -> bool {
    new.zip(known).is_some_and(|(new, known)| new < known)
}

/// Writes the newest pipeline of the default branch, else the newest, into the project.
fn summarize(work: &mut Work<'_>, mut project: Project, run: &Pipeline) {
    // A change request's branch may be called like the default branch, in a fork: it is another branch.
    let is_default_ref = run.git_ref.is_some() && run.git_ref == project.default_branch;
    let git_ref = run.git_ref.clone().filter(|_| !(is_default_ref && is_change_request(run)));
    let new = PipelineSummary {
        external_id: run.external_id,
        status: run.status,
        git_ref,
        sha: run.sha.clone(),
        updated_at: run.updated_at,
    };
    let replaces = project.last_pipeline.as_ref().is_none_or(|old| {
        let is_default =
            |run: &PipelineSummary| run.git_ref.is_some() && run.git_ref == project.default_branch;
        old.external_id == new.external_id
            || (is_default(&new), new.external_id) > (is_default(old), old.external_id)
    });
    if replaces {
        ci_state(new.status).clone_into(&mut project.ci_state);
        project.last_pipeline = Some(new);
        work.put_project(project);
    }
}

fn is_change_request(run: &Pipeline) -> bool {
    let causes =
        ["pull_request", "pull_request_target", "merge_request_event", "external_pull_request_event"];
    run.cause.as_deref().is_some_and(|cause| causes.contains(&cause))
}

const fn ci_state(status: PipelineStatus) -> &'static str {
    match status {
        PipelineStatus::Queued | PipelineStatus::Running => "running",
        PipelineStatus::Passed => "passing",
        PipelineStatus::Failed => "failing",
        PipelineStatus::Canceled => "none",
    }
}
