//! Repositories, keyed by organization, host and numeric id: a name is only what one is called today.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConnectionKey, Host, OrganizationSlug, Timestamp};
use crate::domain::organization::Forge;
use crate::domain::pipeline::PipelineSummary;

/// Where a project stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectState {
    /// Known, no CI seen yet.
    NotSetUp,
    /// CI was set up; its first run is awaited.
    Waiting,
    /// CI runs were seen.
    Active,
    /// Its connection is suspended.
    Paused,
    /// Archived at the forge.
    Archived,
    /// Deleted, or no longer granted to us.
    Removed,
    /// Now belongs to an account outside of this organization.
    MovedAway,
}

/// How sure we are that a record is what it says.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// A signed event, an ID token or the forge's API said so, or the operator has declared it.
    #[default]
    Proven,
    /// A CI job said so.
    Claimed,
}

/// Who can see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Everybody signed in at the instance.
    Internal,
    /// Those who were let in.
    Private,
}

/// One repository in one organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Whose project.
    pub organization: OrganizationSlug,
    /// The connection it came through.
    pub connection: ConnectionKey,
    /// Its forge's language.
    pub provider: Forge,
    /// Its forge.
    pub host: Host,
    /// Its number there; of a claimed project, [`claim_number`].
    pub external_id: u64,
    /// The number of the group, user or owner it lies in, where an ID token told it.
    #[serde(default)]
    pub namespace: Option<u64>,
    /// The [`claim_number`] under which it was first recorded: its id stays.
    #[serde(default)]
    pub claimed_as: Option<u64>,
    /// What it is called today, `owner/name` or `group/sub/name`.
    pub full_path: String,
    /// What it was called before, newest first, at most 32.
    pub previous_paths: Vec<String>,
    /// Its default branch, where known.
    pub default_branch: Option<String>,
    /// Who can see it, where known.
    pub visibility: Option<Visibility>,
    /// Archived at the forge.
    pub archived: bool,
    /// The forge has taken it away: deleted, or no longer granted.
    pub removed: bool,
    /// It went to an account outside of the organization.
    pub moved_away: bool,
    /// Its connection is suspended.
    pub paused: bool,
    /// `none`, `running`, `passing` or `failing`: of the default branch's newest pipeline, else of the newest one.
    pub ci_state: String,
    /// When it was first heard of.
    pub first_seen_at: Timestamp,
    /// When CI last checked in.
    pub last_check_in_at: Option<Timestamp>,
    /// The newest push heard of.
    pub last_push_at: Option<Timestamp>,
    /// The newest pipeline.
    pub last_pipeline: Option<PipelineSummary>,
    /// The newest statement about its name and settings that was applied.
    pub seen_at: Option<Timestamp>,
    /// How sure we are.
    pub proof: Proof,
}

impl Project {
    /// The one state to show.
    #[must_use]
    pub fn state(&self) -> ProjectState {
        if self.removed {
            ProjectState::Removed
        } else if self.moved_away {
            ProjectState::MovedAway
        } else if self.archived {
            ProjectState::Archived
        } else if self.paused {
            ProjectState::Paused
        } else if self.last_pipeline.is_some() || self.last_check_in_at.is_some() {
            ProjectState::Active
        } else {
            ProjectState::NotSetUp
        }
    }

    /// The id shown to people and used in URLs: host and number, the organization being given by the place.
    #[must_use]
    pub fn id(&self) -> String {
        project_id(&self.organization, &self.host, self.claimed_as.unwrap_or(self.external_id))
    }

    /// The forge's number, once it is proven.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        (self.proof == Proof::Proven).then_some(self.external_id)
    }

    /// What to call it: its path, or its number as long as the forge has told no path (`#380`, which no path can be).
    #[must_use]
    pub fn shown_path(&self) -> String {
        if self.full_path.is_empty() { format!("#{}", self.external_id) } else { self.full_path.clone() }
    }

    /// Takes a new name, keeping the old one as an alias.
    pub fn rename(&mut self, to: &str) {
        if self.full_path == to {
            return;
        }
        let old = std::mem::replace(&mut self.full_path, to.to_owned());
        self.remember_path(&old);
    }

    /// Adds an old name to the history, newest first, once.
    pub fn remember_path(&mut self, old: &str) {
        if old.is_empty() || old == self.full_path {
            return;
        }
        self.previous_paths.retain(|path| path != old && *path != self.full_path);
        self.previous_paths.insert(0, old.to_owned());
        self.previous_paths.truncate(32);
    }
}

/// A stable id made of what makes a project one: 24 hex digits.
#[must_use]
pub fn project_id(organization: &OrganizationSlug, host: &Host, external_id: u64) -> String {
    crate::domain::id_of(&[organization.as_str(), host.as_str(), &external_id.to_string()])
}

/// The number under which a repository is recorded as long as its path is all that is known, and only by a job's word.
/// Above all numbers of the forges, and small enough for a signed column.
#[must_use]
pub fn claim_number(full_path: &str) -> u64 {
    const CLAIMED: u64 = 1 << 62;
    let digits = crate::domain::id_of(&["claimed project", &full_path.to_lowercase()]);
    u64::from_str_radix(digits.get(..15).unwrap_or_default(), 16).unwrap_or_default() | CLAIMED
}
