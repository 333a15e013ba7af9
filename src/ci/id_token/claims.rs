//! What the two forges' tokens say of a job. Numbers are sent as text, truth as the words `true` and `false`.

use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer};

use super::Refused;
use crate::domain::organization::Forge;

/// A job of a project, by the numbers that decide. Names are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Whose claims they were.
    pub forge: Forge,
    /// The project's number: that of the project which runs the job.
    pub project: NonZeroU64,
    /// The number of its owner: an account at GitHub, the parent group or person at GitLab.
    pub owner: NonZeroU64,
    /// `owner/name`, `group/sub/name`.
    pub path: String,
    /// The owner's name or path.
    pub owner_path: String,
    /// The run or pipeline.
    pub run: String,
    /// The one job of it that holds the token, as precisely as the forge says.
    pub job: String,
    /// What was built.
    pub git_ref: String,
    /// Whether only some may change it.
    pub ref_protected: bool,
    /// What began it: `push`, `pull_request`, `merge_request_event`, …
    pub event: String,
    /// Whether code of another project runs here.
    pub from_fork: bool,
    /// The commit.
    pub commit: Option<String>,
    /// Who began it, by number.
    pub actor: Option<NonZeroU64>,
    /// The level of whoever began it, where the forge says so.
    pub actor_level: Option<String>,
    /// The environment, if there is one.
    pub environment: Option<String>,
    /// Whether the forge's own machine runs it.
    pub hosted: bool,
}

/// What every token has.
#[derive(Debug, Deserialize)]
pub(super) struct Common {
    pub(super) iss: String,
    pub(super) aud: Audience,
    pub(super) jti: String,
    pub(super) exp: i64,
    pub(super) nbf: i64,
    pub(super) iat: i64,
}

/// For whom it is.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// Two audiences mean that the other one could use it here.
    pub(super) fn is_only(&self, ours: &str) -> bool {
        match self {
            Self::One(one) => one == ours,
            Self::Several(all) => all.len() == 1 && all.first().is_some_and(|one| one == ours),
        }
    }
}

/// A number that is sent as text, without sign, blanks or leading zeros, so that it has one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id(NonZeroU64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        let number = if plain { text.parse().ok() } else { None };
        number.map(Self).ok_or_else(|| serde::de::Error::custom("no number"))
    }
}

/// `"true"`; everything else, also what is no text, counts as no.
fn truth<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(serde_json::Value::deserialize(from)?.as_str() == Some("true"))
}

#[derive(Deserialize)]
struct Github {
    repository_id: Id,
    repository_owner_id: Id,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    repository_owner: String,
    #[serde(default)]
    run_id: String,
    #[serde(default)]
    run_attempt: String,
    check_run_id: Option<String>,
    #[serde(default, rename = "ref")]
    git_ref: String,
    #[serde(default, deserialize_with = "truth")]
    ref_protected: bool,
    #[serde(default)]
    event_name: String,
    sha: Option<String>,
    actor_id: Option<Id>,
    environment: Option<String>,
    #[serde(default)]
    runner_environment: String,
}

pub(super) fn github(payload: &[u8]) -> Result<Job, Refused> {
    let it: Github = serde_json::from_slice(payload).map_err(|_| Refused::Ids)?;
    let job = it.check_run_id.unwrap_or_else(|| format!("{}/{}", it.run_id, it.run_attempt));
    Ok(Job {
        forge: Forge::Github,
        project: it.repository_id.0,
        owner: it.repository_owner_id.0,
        path: it.repository,
        owner_path: it.repository_owner,
        run: it.run_id,
        job,
        git_ref: it.git_ref,
        ref_protected: it.ref_protected,
        // A fork's pull request gets no token at all, save by an event that runs the base's own code.
        from_fork: it.event_name == "pull_request_target",
        event: it.event_name,
        commit: it.sha,
        actor: it.actor_id.map(|id| id.0),
        actor_level: None,
        environment: it.environment,
        hosted: it.runner_environment == "github-hosted",
    })
}

#[derive(Deserialize)]
struct Gitlab {
    project_id: Id,
    namespace_id: Id,
    #[serde(default)]
    project_path: String,
    #[serde(default)]
    namespace_path: String,
    job_project_id: Option<Id>,
    job_namespace_id: Option<Id>,
    job_project_path: Option<String>,
    job_namespace_path: Option<String>,
    pipeline_id: Id,
    job_id: Id,
    #[serde(default, rename = "ref")]
    git_ref: String,
    #[serde(default, deserialize_with = "truth")]
    ref_protected: bool,
    #[serde(default)]
    pipeline_source: String,
    sha: Option<String>,
    user_id: Option<Id>,
    user_access_level: Option<String>,
    environment: Option<String>,
    #[serde(default)]
    runner_environment: String,
}

pub(super) fn gitlab(payload: &[u8]) -> Result<Job, Refused> {
    let it: Gitlab = serde_json::from_slice(payload).map_err(|_| Refused::Ids)?;
    // Newer servers say which project runs the job; the older names are those of the code, a fork's perhaps.
    let (project, owner) = match (it.job_project_id, it.job_namespace_id) {
        (Some(project), Some(owner)) => (project, owner),
        (None, None) => (it.project_id, it.namespace_id),
        _ => return Err(Refused::Ids),
    };
    Ok(Job {
        forge: Forge::Gitlab,
        project: project.0,
        owner: owner.0,
        path: it.job_project_path.unwrap_or(it.project_path),
        owner_path: it.job_namespace_path.unwrap_or(it.namespace_path),
        run: it.pipeline_id.0.to_string(),
        job: it.job_id.0.to_string(),
        git_ref: it.git_ref,
        ref_protected: it.ref_protected,
        event: it.pipeline_source,
        from_fork: project != it.project_id,
        commit: it.sha,
        actor: it.user_id.map(|id| id.0),
        actor_level: it.user_access_level,
        environment: it.environment,
        hosted: it.runner_environment == "gitlab-hosted",
    })
}
