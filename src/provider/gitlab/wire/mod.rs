//! The fields of GitLab's bodies that we use. Every one may be absent or of another type: then it says nothing.

mod lenient;
mod scalar;

use serde::Deserialize;

use crate::domain::Timestamp;
use crate::domain::project::Visibility;
use lenient::{first_object, first_text, maybe, object};
pub(super) use scalar::{clean, parse_visibility};

/// Says which event a body is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Head {
    #[serde(deserialize_with = "maybe")]
    pub(super) object_kind: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) event_name: Option<String>,
}

/// A project, as most events show it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Project {
    #[serde(deserialize_with = "maybe")]
    pub(super) id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) path_with_namespace: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) default_branch: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) visibility_level: Option<Visibility>,
    #[serde(deserialize_with = "maybe")]
    pub(super) visibility: Option<Visibility>,
    #[serde(deserialize_with = "maybe")]
    pub(super) git_ssh_url: Option<String>,
}

/// `object_kind: pipeline`. Its `variables` may hold secrets and are not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pipeline {
    #[serde(deserialize_with = "object")]
    pub(super) object_attributes: PipelineAttributes,
    #[serde(deserialize_with = "object")]
    pub(super) project: Project,
}

/// The pipeline itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PipelineAttributes {
    #[serde(deserialize_with = "maybe")]
    pub(super) id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) name: Option<String>,
    #[serde(rename = "ref", deserialize_with = "maybe")]
    pub(super) git_ref: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) sha: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) source: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) status: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) finished_at: Option<Timestamp>,
}

/// `object_kind: build`. Its `commit.id` is the pipeline's number; the commit is `sha`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Job {
    #[serde(deserialize_with = "maybe")]
    pub(super) build_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) build_name: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) build_status: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) build_created_at: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) build_created_at_iso: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) build_started_at: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) build_started_at_iso: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) build_finished_at: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) build_finished_at_iso: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) pipeline_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) retries_count: Option<u64>,
    #[serde(rename = "ref", deserialize_with = "maybe")]
    pub(super) git_ref: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) sha: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) project_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) project_name: Option<String>,
    #[serde(deserialize_with = "object")]
    pub(super) project: Project,
    #[serde(deserialize_with = "object")]
    pub(super) repository: Project,
}

/// `push`, `tag_push` and `repository_update`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Push {
    #[serde(rename = "ref", deserialize_with = "maybe")]
    pub(super) git_ref: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) after: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) project_id: Option<u64>,
    #[serde(deserialize_with = "object")]
    pub(super) project: Project,
    #[serde(deserialize_with = "first_object")]
    pub(super) changes: RefChange,
    #[serde(deserialize_with = "first_text")]
    pub(super) refs: Option<String>,
}

/// One entry of a repository update.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RefChange {
    #[serde(rename = "ref", deserialize_with = "maybe")]
    pub(super) git_ref: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) after: Option<String>,
}

/// `object_kind: merge_request`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MergeRequest {
    #[serde(deserialize_with = "object")]
    pub(super) object_attributes: MergeRequestAttributes,
    #[serde(deserialize_with = "object")]
    pub(super) project: Project,
}

/// The merge request itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MergeRequestAttributes {
    #[serde(deserialize_with = "maybe")]
    pub(super) iid: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) target_project_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) state: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) action: Option<String>,
    #[serde(deserialize_with = "object")]
    pub(super) last_commit: Commit,
    #[serde(deserialize_with = "maybe")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) updated_at: Option<Timestamp>,
}

/// A commit that is only named.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Commit {
    #[serde(deserialize_with = "maybe")]
    pub(super) id: Option<String>,
}

/// A person in a group or a project.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Member {
    #[serde(deserialize_with = "maybe")]
    pub(super) user_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) user_username: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) group_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) group_access: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) project_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) project_path_with_namespace: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) project_visibility: Option<Visibility>,
    #[serde(deserialize_with = "maybe")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) updated_at: Option<Timestamp>,
}

/// A project that was made, changed or deleted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Repository {
    #[serde(deserialize_with = "maybe")]
    pub(super) project_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) path_with_namespace: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) old_path_with_namespace: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) project_visibility: Option<Visibility>,
    #[serde(deserialize_with = "maybe")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) updated_at: Option<Timestamp>,
}

/// A group that was made, renamed or deleted. `path` is only the last segment of `full_path`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    #[serde(deserialize_with = "maybe")]
    pub(super) group_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) path: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) full_path: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) old_path: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) old_full_path: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) parent_group_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) updated_at: Option<Timestamp>,
}

/// A person's account, or a key of theirs. The key itself is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    #[serde(deserialize_with = "maybe")]
    pub(super) user_id: Option<u64>,
    #[serde(deserialize_with = "maybe")]
    pub(super) username: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) old_username: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) state: Option<String>,
    #[serde(deserialize_with = "maybe")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(deserialize_with = "maybe")]
    pub(super) updated_at: Option<Timestamp>,
}

/// What any other event is about, as far as it tells.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Place {
    #[serde(deserialize_with = "maybe")]
    pub(super) project_id: Option<u64>,
    #[serde(deserialize_with = "object")]
    pub(super) project: Project,
    #[serde(deserialize_with = "maybe")]
    pub(super) group_id: Option<u64>,
    #[serde(deserialize_with = "object")]
    pub(super) group: PlaceGroup,
}

/// A group that is only named.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PlaceGroup {
    #[serde(deserialize_with = "maybe")]
    pub(super) group_id: Option<u64>,
}
