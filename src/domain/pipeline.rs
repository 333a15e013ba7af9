//! CI runs, as the forges report them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Host, OrganizationSlug, Timestamp};

/// How far a run is. The order is the order of a run's life, so a greater one is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PipelineStatus {
    /// Asked for, not begun.
    Queued,
    /// Runs.
    Running,
    /// Ended well.
    Passed,
    /// Ended badly.
    Failed,
    /// Ended early, skipped, or neither good nor bad.
    Canceled,
}

impl PipelineStatus {
    /// 0 queued, 1 running, 2 ended: what the version guard compares.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Running => 1,
            Self::Passed | Self::Failed | Self::Canceled => 2,
        }
    }
}

/// What kind of run a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// A GitHub workflow run or a GitLab pipeline.
    Pipeline,
    /// One job of it.
    Job,
    /// A GitHub check suite of any app.
    Suite,
}

/// One run, its jobs apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Whose project it ran for.
    pub organization: OrganizationSlug,
    /// The project's forge.
    pub host: Host,
    /// The project's number.
    pub project: u64,
    /// What it is.
    pub kind: RunKind,
    /// The run's number at the forge.
    pub external_id: u64,
    /// The run that a job belongs to.
    pub parent: Option<u64>,
    /// Counts re-runs, from 1.
    pub attempt: u64,
    /// The workflow's or job's name, where it has one.
    pub name: Option<String>,
    /// How far it is.
    pub status: PipelineStatus,
    /// The forge's own word for status and conclusion, for people.
    pub detail: String,
    /// Branch or tag.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// What started it: `push`, `schedule`, `merge_request_event` …
    pub cause: Option<String>,
    /// The forge's time of this statement.
    pub updated_at: Option<Timestamp>,
}

/// The newest pipeline, as a project shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineSummary {
    /// The run's number at the forge.
    pub external_id: u64,
    /// How far it is.
    pub status: PipelineStatus,
    /// Branch or tag.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// The forge's time of this statement.
    pub updated_at: Option<Timestamp>,
}
