//! The project a job runs for.

use super::{Draft, HEARD_EVERY_MS, Question};
use crate::domain::Timestamp;
use crate::domain::ci::{ProvenJob, Refused};
use crate::domain::known::Versioned;
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::project::{Project, Proof};

pub(super) fn project(question: &Question<'_>, connection: &Connection) -> Result<Draft<Project>, Refused> {
    let mut draft = match question.witness.proven() {
        Some(proven) => by_proof(question, proven, connection),
        None => by_claim(question, connection),
    };
    let is_stranger = question.witness.proven().is_some_and(|proven| proven.facts().stranger.is_some());
    if is_stranger && draft.is_new() {
        return Err(Refused::Stranger);
    }
    let heard = draft.after.last_check_in_at;
    if heard.is_none_or(|heard| question.now.since(heard) >= HEARD_EVERY_MS) {
        draft.after.last_check_in_at = Some(question.now);
    }
    Ok(draft)
}

fn drafted(found: &Versioned<Project>, after: Project) -> Draft<Project> {
    Draft { before: Some((found.version, found.value.clone())), after }
}

fn by_proof(question: &Question<'_>, proven: &ProvenJob, connection: &Connection) -> Draft<Project> {
    let (known, facts) = (question.known, proven.facts());
    if let Some(found) = &known.project {
        let after = told(proven, &found.value, connection);
        return drafted(found, after);
    }
    let after = match &known.claimed {
        // What was claimed goes on, under the forge's number.
        Some(claimed) => Project {
            connection: connection.key.clone(),
            external_id: facts.project,
            claimed_as: Some(claimed.value.external_id),
            proof: Proof::Proven,
            namespace: Some(facts.namespace),
            full_path: facts.job.full_path.clone(),
            seen_at: Some(facts.issued_at),
            ..claimed.value.clone()
        },
        None => Project {
            external_id: facts.project,
            namespace: Some(facts.namespace),
            seen_at: Some(facts.issued_at),
            ..unknown(question, connection, Proof::Proven)
        },
    };
    Draft { before: None, after }
}

/// What the token says, unless something newer was heard of the project.
fn told(proven: &ProvenJob, old: &Project, connection: &Connection) -> Project {
    let facts = proven.facts();
    let mut new = old.clone();
    let is_newer = old.seen_at.is_none_or(|seen| facts.issued_at >= seen);
    if !is_newer {
        return new;
    }
    let before = (old.full_path.as_str(), old.removed, old.moved_away, &old.connection);
    new.rename(&facts.job.full_path);
    new.namespace = Some(facts.namespace);
    new.removed = false;
    new.moved_away = false;
    if new.connection != connection.key {
        new.connection = connection.key.clone();
        new.paused = is_off(connection);
    }
    // Only what could be taken back by an older statement moves the clock.
    if before != (new.full_path.as_str(), new.removed, new.moved_away, &new.connection) {
        new.seen_at = Some(facts.issued_at);
    }
    new
}

/// A claim says that a job ran, and nothing else: what is proven stays as it is.
fn by_claim(question: &Question<'_>, connection: &Connection) -> Draft<Project> {
    let known = question.known;
    match known.at_path.as_ref().or(known.claimed.as_ref()) {
        Some(found) => drafted(found, found.value.clone()),
        None => Draft {
            before: None,
            after: Project {
                external_id: question.lookup.claim(),
                ..unknown(question, connection, Proof::Claimed)
            },
        },
    }
}

fn is_off(connection: &Connection) -> bool {
    let off = [ConnectionState::Suspended, ConnectionState::Uninstalled];
    off.iter().any(|reason| connection.reasons.contains(reason))
}

fn unknown(question: &Question<'_>, connection: &Connection, proof: Proof) -> Project {
    let job = question.witness.job();
    let now: Timestamp = question.now;
    Project {
        organization: connection.organization.clone(),
        connection: connection.key.clone(),
        provider: job.forge,
        host: job.host.clone(),
        external_id: 0,
        namespace: None,
        claimed_as: None,
        full_path: job.full_path.clone(),
        previous_paths: Vec::new(),
        default_branch: None,
        visibility: None,
        archived: false,
        removed: false,
        moved_away: false,
        paused: is_off(connection),
        ci_state: "none".to_owned(),
        first_seen_at: now,
        last_check_in_at: None,
        last_push_at: None,
        last_pipeline: None,
        seen_at: None,
        proof,
    }
}
