//! What a genuine token says, forge by forge. Numbers decide; names and the subject are shown.

use serde_json::Value;

use super::text::Object;
use super::{Issuer, LEEWAY_S, Rejected};
use crate::domain::Timestamp;
use crate::domain::ci::{Facts, Job, Stranger};
use crate::domain::organization::Forge;

/// Seconds that a token may live at most, by its forge (protocol sections 9.1 and 9.4).
const fn life_max(forge: Forge) -> i64 {
    match forge {
        Forge::Github => 60 * 60,
        Forge::Gitlab => 24 * 60 * 60,
    }
}

/// Events at GitHub that a stranger can cause, while the job runs in the repository's own name.
const STRANGERS: &[&str] = &[
    "pull_request_target",
    "workflow_run",
    "issue_comment",
    "issues",
    "discussion",
    "discussion_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "fork",
    "watch",
    "gollum",
];

/// Reads the claims of a token whose signature is right.
pub(super) fn read(
    claims: &Object,
    issuer: &Issuer,
    audience: &str,
    now: Timestamp,
) -> Result<Facts, Rejected> {
    check_audience(claims, audience)?;
    let signed = Signed::read(claims, issuer, now)?;
    match issuer.forge {
        Forge::Gitlab => gitlab(claims, signed),
        Forge::Github => github(claims, signed),
    }
}

/// What both forges' tokens have.
struct Signed<'a> {
    issuer: &'a Issuer,
    token: String,
    subject: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

impl<'a> Signed<'a> {
    fn read(claims: &Object, issuer: &'a Issuer, now: Timestamp) -> Result<Self, Rejected> {
        let (issued, ends) = check_time(claims, issuer.forge, now)?;
        let at = |seconds: i64| Timestamp::from_ms(seconds.saturating_mul(1000));
        let token = claims.text("jti")?.to_owned();
        if token.len() > 255 {
            return Err(Rejected::Claim("jti"));
        }
        let subject = owned(Some(claims.text("sub")?)).unwrap_or_default();
        Ok(Self { issuer, token, subject, issued_at: at(issued), expires_at: at(ends) })
    }

    fn facts(self, job: Job, place: Place) -> Facts {
        let Place { project, namespace, is_top, is_personal, stranger } = place;
        let (token, subject) = (self.token, self.subject);
        let (issuer, issued_at, expires_at) = (self.issuer.name.clone(), self.issued_at, self.expires_at);
        let counts = self.issuer.counts.clone();
        Facts {
            job,
            project,
            namespace,
            is_top,
            is_personal,
            stranger,
            issuer,
            counts,
            token,
            subject,
            issued_at,
            expires_at,
        }
    }
}

/// Where a job ran, by numbers.
struct Place {
    project: u64,
    namespace: u64,
    is_top: bool,
    is_personal: bool,
    stranger: Option<Stranger>,
}

/// Ours alone: a token for two is in two hands.
fn check_audience(claims: &Object, audience: &str) -> Result<(), Rejected> {
    let only = match claims.get("aud") {
        Some(Value::String(only)) => Some(only.as_str()),
        Some(Value::Array(all)) => match all.as_slice() {
            [only] => only.as_str(),
            _ => None,
        },
        _ => None,
    };
    if only == Some(audience) { Ok(()) } else { Err(Rejected::Audience) }
}

/// All three times must be there, and be whole numbers: a text would count as absent elsewhere.
fn check_time(claims: &Object, forge: Forge, now: Timestamp) -> Result<(i64, i64), Rejected> {
    let seconds = |name| {
        let number = claims.get(name).and_then(Value::as_i64).filter(|number| *number > 0);
        number.ok_or(Rejected::Claim(name))
    };
    let (issued, begins, ends) = (seconds("iat")?, seconds("nbf")?, seconds("exp")?);
    let now = now.ms().div_euclid(1000);
    let life = ends.saturating_sub(issued);
    if life <= 0 || life > life_max(forge) {
        return Err(Rejected::Life);
    }
    if now > ends.saturating_add(LEEWAY_S) {
        return Err(Rejected::Expired);
    }
    let latest = now.saturating_add(LEEWAY_S);
    if begins > latest || issued > latest { Err(Rejected::NotYet) } else { Ok((issued, ends)) }
}

/// A number of the forge. Both send them as texts.
fn number(claims: &Object, name: &'static str) -> Result<u64, Rejected> {
    let number = match claims.get(name) {
        Some(Value::String(text)) if text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok()
        }
        Some(Value::Number(number)) => number.as_u64(),
        _ => None,
    };
    // Above are our own numbers for what was only claimed.
    number.filter(|number| (1..1 << 62).contains(number)).ok_or(Rejected::Claim(name))
}

/// A path of two segments or more, inside of `parent`.
fn path<'a>(claims: &'a Object, name: &'static str, parent: &str) -> Result<&'a str, Rejected> {
    let path = claims.text(name)?;
    let is_clean = path.len() <= 1024 && !path.chars().any(|c| c.is_control() || c.is_whitespace());
    let below = path.strip_prefix(parent).and_then(|rest| rest.strip_prefix('/'));
    let fits = below.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
    if is_clean && fits && !parent.starts_with('/') { Ok(path) } else { Err(Rejected::Claim(name)) }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(|text| text.chars().filter(|letter| !letter.is_control()).take(255).collect())
}

fn gitlab(claims: &Object, signed: Signed<'_>) -> Result<Facts, Rejected> {
    let told = number(claims, "project_id")?;
    // Since 18.4 the project that runs the job is named apart: in a fork's merge request the others name the fork.
    let names = if claims.get("job_project_id").is_some() {
        ["job_project_id", "job_project_path", "job_namespace_id", "job_namespace_path"]
    } else {
        ["project_id", "project_path", "namespace_id", "namespace_path"]
    };
    let [project, full_path, namespace, parent] = names;
    let project = number(claims, project)?;
    let namespace = number(claims, namespace)?;
    let parent = claims.text(parent)?;
    let full_path = path(claims, full_path, parent)?.to_owned();
    // Login tokens of the same instance lack these.
    let job = number(claims, "job_id")?.to_string();
    number(claims, "pipeline_id")?;
    let user = claims.maybe("user_login")?;
    let reference = claims.maybe("ref_path")?.unwrap_or_default();
    let change = reference.strip_prefix("refs/merge-requests/").and_then(|rest| rest.split('/').next());
    let is_top = !parent.contains('/');
    let is_personal = is_top && user.is_some_and(|user| user.eq_ignore_ascii_case(parent));
    let stranger = (project != told).then_some(Stranger::Fork);
    let job = Job {
        forge: Forge::Gitlab,
        url: signed.issuer.url.clone(),
        host: signed.issuer.host.clone(),
        full_path,
        name: Some(job),
        event: owned(claims.maybe("pipeline_source")?),
        git_ref: owned(claims.maybe("ref")?),
        sha: owned(claims.maybe("sha")?),
        change: change.and_then(|number| number.parse().ok()),
    };
    Ok(signed.facts(job, Place { project, namespace, is_top, is_personal, stranger }))
}

fn github(claims: &Object, signed: Signed<'_>) -> Result<Facts, Rejected> {
    let project = number(claims, "repository_id")?;
    let namespace = number(claims, "repository_owner_id")?;
    let owner = claims.text("repository_owner")?;
    if owner.contains('/') {
        return Err(Rejected::Claim("repository_owner"));
    }
    let full_path = path(claims, "repository", owner)?.to_owned();
    let run = number(claims, "run_id")?;
    let attempt = claims.maybe("run_attempt")?.unwrap_or("1");
    let check = claims.maybe("check_run_id")?.unwrap_or_default();
    let event = claims.maybe("event_name")?;
    let reference = claims.maybe("ref")?.unwrap_or_default();
    let change = reference.strip_prefix("refs/pull/").and_then(|rest| rest.split('/').next());
    let branch = reference.strip_prefix("refs/heads/").or_else(|| reference.strip_prefix("refs/tags/"));
    let head = claims.maybe("head_ref")?;
    let actor = claims.get("actor_id").and_then(Value::as_str).and_then(|actor| actor.parse::<u64>().ok());
    let job = Job {
        forge: Forge::Github,
        url: signed.issuer.url.clone(),
        host: signed.issuer.host.clone(),
        full_path,
        name: owned(Some(format!("{run}/{attempt}/{check}").trim_end_matches('/'))),
        event: owned(event),
        git_ref: owned(branch.or(head)),
        sha: owned(claims.maybe("sha")?),
        change: change.and_then(|number| number.parse().ok()),
    };
    let stranger = event.filter(|event| STRANGERS.contains(event)).map(|_| Stranger::Trigger);
    let (is_top, is_personal) = (true, actor == Some(namespace));
    Ok(signed.facts(job, Place { project, namespace, is_top, is_personal, stranger }))
}
