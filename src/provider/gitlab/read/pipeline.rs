//! Pipelines and their jobs.

use super::{Told, about, newest, parse, repository_of, unreadable};
use crate::domain::event::{Fact, Run};
use crate::domain::pipeline::{PipelineStatus, RunKind};
use crate::provider::Unreadable;
use crate::provider::gitlab::wire;

pub(super) fn read_pipeline(body: &[u8]) -> Result<Told, Unreadable> {
    let wire::Pipeline { object_attributes: pipeline, project } = parse(body)?;
    let repository = repository_of(project, None, "the pipeline")?;
    let run = Run {
        kind: RunKind::Pipeline,
        id: pipeline.id.ok_or_else(|| unreadable("the pipeline has no number"))?,
        parent: None,
        // A pipeline that is run again keeps its number, and GitLab does not count.
        attempt: 1,
        name: pipeline.name,
        status: status_of(pipeline.status.as_deref()),
        detail: pipeline.status.unwrap_or_default(),
        git_ref: pipeline.git_ref,
        sha: pipeline.sha,
        cause: pipeline.source,
    };
    let at = newest(&[pipeline.created_at, pipeline.finished_at]);
    Ok(Told { about: about(&repository), action: None, at, fact: Fact::RunChanged { repository, run } })
}

pub(super) fn read_job(body: &[u8]) -> Result<Told, Unreadable> {
    let job: wire::Job = parse(body)?;
    let at = newest(&[
        job.build_created_at_iso.or(job.build_created_at),
        job.build_started_at_iso.or(job.build_started_at),
        job.build_finished_at_iso.or(job.build_finished_at),
    ]);
    let mut repository = repository_of(job.project, job.project_id, "the job")?;
    // Before GitLab 16 the project's name for people is all there is; its path is not told.
    repository.visibility = repository.visibility.or(job.repository.visibility_level);
    let run = Run {
        kind: RunKind::Job,
        id: job.build_id.ok_or_else(|| unreadable("the job has no number"))?,
        parent: job.pipeline_id,
        attempt: job.retries_count.unwrap_or_default().saturating_add(1),
        name: job.build_name,
        status: status_of(job.build_status.as_deref()),
        detail: job.build_status.unwrap_or_default(),
        git_ref: job.git_ref,
        sha: job.sha,
        cause: None,
    };
    Ok(Told { about: about(&repository), action: None, at, fact: Fact::RunChanged { repository, run } })
}

/// A status of a later GitLab is neither a beginning nor an end.
fn status_of(word: Option<&str>) -> PipelineStatus {
    match word.unwrap_or_default() {
        "created" | "waiting_for_resource" | "preparing" | "pending" | "scheduled" | "manual" => {
            PipelineStatus::Queued
        }
        "success" => PipelineStatus::Passed,
        "failed" => PipelineStatus::Failed,
        "canceled" | "skipped" => PipelineStatus::Canceled,
        _ => PipelineStatus::Running,
    }
}
