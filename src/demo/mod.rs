//! Recorded deliveries, signed and sent through the front door, and what came of them.
//!
//! The daemon under it is a real one on a throw-away store; `app.rs` starts it. Nothing here reaches past its HTTP.

mod recorded;
mod report;
mod sign;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

pub use recorded::{RECORDED, Recorded, find};
pub use report::{Came, Report, report};
pub use sign::{Keys, headers};

use crate::domain::Clock;
use crate::domain::organization::Forge;

/// The organization of the demo.
pub const ORGANIZATION: &str = "octocoders";
/// What was sent has come to rest after so long, or the demo has failed.
const REST_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// No list of the demo is longer than so many pages of 200.
const PAGES_MAX: usize = 20;

/// Why the demo could not be played.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The daemon did not answer, or not as documented.
    #[error("the demo's daemon did not answer as it should: {0}; nothing of yours was touched, see its log")]
    Daemon(String),
    /// What was stored was not worked off in time.
    #[error(
        "{0} of the demo's deliveries are still at work after 30 s; nothing is lost, see the daemon's log"
    )]
    Late(usize),
}

/// The daemon that the demo speaks to.
pub struct Stage<'a> {
    /// Its public address.
    pub target: &'a Url,
    /// A read token of the demo's organization.
    pub token: &'a SecretString,
    /// What proves the deliveries; the daemon's config has it from [`config`].
    pub keys: &'a Keys,
    /// Tells the time for GitLab's signed one.
    pub clock: &'a Clock,
    /// Sends.
    pub client: &'a reqwest::Client,
}

/// What one delivery was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Which.
    pub recorded: Recorded,
    /// Its signature was spoilt on the way.
    pub forged: bool,
    /// The HTTP status.
    pub status: u16,
    /// The id under which it is kept.
    pub id: Option<String>,
}

/// The config of the demo's daemon: one organization, a source of each forge, everything below `folder`.
#[must_use]
pub fn config(folder: &Path, keys: &Keys) -> String {
    let text = |value: String| toml::Value::String(value).to_string();
    let store = text(format!("sled:{}", folder.join("store").display()));
    let master = text(folder.join("master.key").display().to_string());
    let github = text(keys.github.expose_secret().to_owned());
    let gitlab = text(keys.gitlab.expose_secret().to_owned());
    format!(
        r#"[listen]
public = "127.0.0.1:0"
ops = "127.0.0.1:0"

[store]
url = {store}

[keys]
file = {master}

[[organizations]]
slug = "{ORGANIZATION}"
name = "Octocoders"
home = "github"
authority = "octocoders-github"

[[sources]]
key = "github"
organizations = ["{ORGANIZATION}"]
provider = "github"
webhook_secrets = [{{ value = {github} }}]

[[sources]]
key = "gitlab"
organizations = ["{ORGANIZATION}"]
provider = "gitlab"
signing_tokens = [{{ value = {gitlab} }}]

[[connections]]
source = "github"
key = "octocoders-github"
organization = "{ORGANIZATION}"
kind = "github_cloud"
account = "Octocoders"
"#
    )
}

/// Sends every recorded delivery, one of them forged, and one twice as a forge's "Redeliver" does.
///
/// # Errors
/// When the daemon cannot be reached. A refusal is no error but an answer.
pub async fn play(stage: &Stage<'_>) -> Result<Vec<Played>, DemoError> {
    let mut played = Vec::new();
    for (recorded, number) in RECORDED.iter().zip(1_u32..) {
        let forged = recorded.file == recorded::FORGED;
        played.push(send(stage, *recorded, &delivery_id(number), forged).await?);
    }
    if let Some(first) = RECORDED.first() {
        played.push(send(stage, *first, &delivery_id(1), false).await?);
    }
    Ok(played)
}

/// Shaped like the forges' own; the throw-away store has seen none of them.
fn delivery_id(number: u32) -> String {
    format!("de300000-0000-4000-8000-{number:012}")
}

async fn send(stage: &Stage<'_>, recorded: Recorded, id: &str, forged: bool) -> Result<Played, DemoError> {
    let secret = stage.keys.of(recorded.provider);
    let mut headers = sign::headers(&recorded, id, secret, (stage.clock)()).map_err(DemoError::Daemon)?;
    if forged {
        sign::spoil(&mut headers);
    }
    let source = match recorded.provider {
        Forge::Github => "hooks/github",
        Forge::Gitlab => "hooks/gitlab",
    };
    let request = stage.client.post(address(stage, source)?).body(recorded.body);
    let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status().as_u16();
    let body: Option<Value> = answer.json().await.ok();
    let id = body.as_ref().and_then(|body| body.get("id")?.as_str()).map(str::to_owned);
    Ok(Played { recorded, forged, status, id })
}

/// Waits until everything that was stored has come to rest, and fetches what came of it.
///
/// # Errors
/// When the daemon does not answer as documented, or works on it for more than 30 s.
pub async fn watch(stage: &Stage<'_>, played: &[Played]) -> Result<Came, DemoError> {
    let rest = async {
        loop {
            let deliveries = list(stage, "deliveries").await?;
            if unrested(&deliveries, played) == 0 {
                return Ok(deliveries);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let deliveries = match tokio::time::timeout(REST_MAX, rest).await {
        Ok(deliveries) => deliveries?,
        Err(_) => return Err(DemoError::Late(unrested(&list(stage, "deliveries").await?, played))),
    };
    Ok(Came {
        connections: list(stage, "connections").await?,
        projects: list(stage, "projects").await?,
        members: list(stage, "members").await?,
        deliveries,
    })
}

/// How many of those that were stored are not listed yet, or are listed and at work.
fn unrested(deliveries: &[Value], played: &[Played]) -> usize {
    let rests = |id: &str| {
        let mine = deliveries.iter().find(|one| one.get("id").and_then(Value::as_str) == Some(id));
        let state = mine.and_then(|one| one.get("state")?.as_str());
        state.is_some_and(|state| !matches!(state, "queued" | "working"))
    };
    played.iter().filter_map(|one| one.id.as_deref()).filter(|id| !rests(id)).count()
}

/// A whole list, page by page.
async fn list(stage: &Stage<'_>, name: &str) -> Result<Vec<Value>, DemoError> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut url = address(stage, &format!("api/v1/{name}"))?;
        url.query_pairs_mut().append_pair("limit", "200");
        if let Some(cursor) = &cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let request = stage.client.get(url).bearer_auth(stage.token.expose_secret());
        let answer = request.send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(DemoError::Daemon(format!("GET /api/v1/{name} gave {}", answer.status().as_u16())));
        }
        let mut page: Value = answer.json().await.map_err(unreachable)?;
        let found = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
        items.extend(found.ok_or_else(|| DemoError::Daemon(format!("GET /api/v1/{name} gave no items")))?);
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(items);
        }
    }
    Err(DemoError::Daemon(format!("GET /api/v1/{name} does not end")))
}

fn address(stage: &Stage<'_>, path: &str) -> Result<Url, DemoError> {
    stage.target.join(path).map_err(|error| DemoError::Daemon(format!("no address for {path}: {error}")))
}

/// Without the URL: what stands in it helps nobody.
fn unreachable(error: reqwest::Error) -> DemoError {
    DemoError::Daemon(error.without_url().to_string())
}
