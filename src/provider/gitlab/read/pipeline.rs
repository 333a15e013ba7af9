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
    if repository.full_path.is_empty() {
        let clone_url = job.repository.git_ssh_url.as_deref().and_then(path_in);
        let name = job.project_name.as_deref().filter(|name| is_path(name));
        repository.full_path = clone_url.or(name).unwrap_or_default().to_owned();
    }
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

/// The project's path in the address from which it is cloned by SSH: `git@host:group/name.git`, or the `ssh://` form.
/// An address for HTTP would not do: an instance may lie below a path of its own, and that stands in it too.
fn path_in(clone_url: &str) -> Option<&str> {
    let path = match clone_url.strip_prefix("ssh://") {
        Some(rest) => rest.split_once('/')?.1,
        None => clone_url.split_once(':')?.1,
    };
    let path = path.strip_suffix(".git").unwrap_or(path);
    is_path(path).then_some(path)
}

/// Before GitLab 16 a job's project is named for people (`John Smith / site`), or by its path.
fn is_path(text: &str) -> bool {
    let segment = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    text.contains('/') && text.split('/').all(segment)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_in_a_clone_address_and_nothing_else_is_taken_for_one() {
        for (url, path) in [
            ("git@gitlab.com:jsmithy2/release-tools-fake.git", Some("jsmithy2/release-tools-fake")),
            ("ssh://git@gitlab.example.com:2222/group/sub/name.git", Some("group/sub/name")),
            ("git@host:group/name", Some("group/name")),
            ("git@host:name.git", None),
            ("git@host:/etc/passwd", None),
            ("git@host:a//b.git", None),
            ("git@host:John Smith / name", None),
            ("ssh://git@host", None),
            ("", None),
        ] {
            assert_eq!(path_in(url), path, "{url}");
        }
        assert!(is_path("gitlab-org/gitlab-test") && !is_path("John Smith / release-tools-fake"));
    }
}
