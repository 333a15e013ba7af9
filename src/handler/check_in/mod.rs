//! A job checks in: which connection and project it is about, and what is made or proven by it. Pure.
//!
//! Numbers decide. A path finds something only inside of the organization that a CI token names, and a claim never
//! changes what is proven. Where the account is held by somebody else, nothing is told about it.

mod place;
mod project;

use crate::domain::access::ProjectScope;
use crate::domain::change::Change;
use crate::domain::ci::{CheckIn, JobKnown, JobLookup, Policy, Refused, Witness};
use crate::domain::known::RecordKey;
use crate::domain::organization::Connection;
use crate::domain::project::{Project, Proof};
use crate::domain::{OrganizationSlug, Timestamp, id_of};
use crate::handler::work::audit_entry_by;

pub use place::wanted_keys;

/// How long a token lives that is handed to a job (security S45).
const TOKEN_MS: i64 = 15 * 60 * 1000;
/// A project is not written for its `last_check_in_at` alone more often than this: the jobs of one pipeline come at once.
const HEARD_EVERY_MS: i64 = 1000;

/// What is to be done about a check-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// The same came before, for the same job, and would be taken today: the same answer.
    Again(Box<CheckIn>),
    /// This is to be written; then it is the answer.
    Settle(Box<Settlement>),
    /// Nothing.
    Refuse(Refused),
}

/// A check-in that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// What it comes to.
    pub check_in: CheckIn,
    /// The records that were looked at.
    pub expects: Vec<(RecordKey, u64)>,
    /// What to write.
    pub changes: Vec<Change>,
}

/// The id under which a check-in is remembered: of a token, made of issuer and number; of a claim, of what it says.
/// `fresh` tells claims apart that name no job.
#[must_use]
pub fn check_in_id(witness: &Witness, fresh: &str) -> String {
    match witness {
        Witness::Proven(proven, _) => {
            let facts = proven.facts();
            id_of(&["check-in", "proven", &facts.issuer, &facts.token])
        }
        Witness::Claimed(claimed) => {
            let (job, by) = (claimed.job(), claimed.by().organization().as_str());
            let name = job.name.as_deref().unwrap_or(fresh);
            id_of(&["check-in", "claimed", by, job.host.as_str(), &job.full_path.to_lowercase(), name])
        }
    }
}

/// Decides what a check-in comes to.
#[must_use]
pub fn check_in(
    witness: &Witness,
    lookup: &JobLookup,
    known: &JobKnown,
    policy: &Policy,
    now: Timestamp,
) -> Decided {
    let before = known.before.as_ref().map(|before| &before.value);
    if before.is_some_and(|before| !is_same(witness, before)) {
        return Decided::Refuse(Refused::TokenUsed);
    }
    match (decide(&Question { witness, lookup, known, policy, now }), before) {
        // What a rule forbids by now is not answered from memory: an admin may have rejected the account since.
        (Err(refused), _) => Decided::Refuse(refused),
        (Ok(_), Some(before)) => Decided::Again(Box::new(before.clone())),
        (Ok(settlement), None) => Decided::Settle(Box::new(settlement)),
    }
}

/// Whether a check-in of before was this very job's, of the same organization.
fn is_same(witness: &Witness, before: &CheckIn) -> bool {
    let same_organization =
        witness.caller().is_none_or(|caller| *caller.organization() == before.organization);
    before.job == witness.job().name && same_organization
}

/// Everything that a decision stands on.
struct Question<'a> {
    witness: &'a Witness,
    lookup: &'a JobLookup,
    known: &'a JobKnown,
    policy: &'a Policy,
    now: Timestamp,
}

/// A record as it was, and as it will be.
struct Draft<T> {
    before: Option<(u64, T)>,
    after: T,
}

impl<T: PartialEq> Draft<T> {
    fn is_new(&self) -> bool {
        self.before.is_none()
    }

    fn is_changed(&self) -> bool {
        self.before.as_ref().is_none_or(|(_, before)| *before != self.after)
    }

    fn version(&self) -> u64 {
        self.before.as_ref().map_or(0, |(version, _)| *version)
    }
}

fn decide(question: &Question<'_>) -> Result<Settlement, Refused> {
    let known = question.known;
    let organization = known.organization.as_ref().ok_or(Refused::NotRecorded)?;
    let slug = &organization.value.slug;
    if question.policy.require_proof && question.witness.proven().is_none() {
        return Err(Refused::ProofRequired);
    }
    let connection = place::connection(question, slug)?;
    let project = project::project(question, &connection.after)?;
    let mut check_in = record(question, &connection, &project);
    let expects = expects(
        question,
        (RecordKey::Organization(slug.clone()), organization.version),
        &connection,
        &project,
    );
    let mut changes = audit(question, &connection, &project);
    if let Some(claim) = project.after.claimed_as.filter(|_| known.claimed.is_some() && project.is_new()) {
        changes.push(Change::DropProject(slug.clone(), question.lookup.host.clone(), claim));
    }
    if connection.is_changed() {
        changes.push(Change::PutConnection(Box::new(connection.after)));
    }
    check_in.token =
        scope(question, &project.after, &check_in).map(|scope| (scope, token_until(question.now)));
    if project.is_changed() {
        changes.push(Change::PutProject(Box::new(project.after)));
    }
    Ok(Settlement { check_in, expects, changes })
}

fn record(question: &Question<'_>, connection: &Draft<Connection>, project: &Draft<Project>) -> CheckIn {
    let (job, proven) = (question.witness.job(), question.witness.proven());
    CheckIn {
        id: question.lookup.check_in.clone(),
        organization: connection.after.organization.clone(),
        connection: connection.after.key.clone(),
        kind: connection.after.kind,
        host: job.host.clone(),
        project: project.after.id(),
        full_path: project.after.full_path.clone(),
        proof: if proven.is_some() { Proof::Proven } else { Proof::Claimed },
        job: job.name.clone(),
        event: job.event.clone(),
        git_ref: job.git_ref.clone(),
        sha: job.sha.clone(),
        subject: proven.map(|proven| proven.facts().subject.clone()),
        made_connection: connection.is_new(),
        // A claim that is proven goes on under its id: nothing new is in the list.
        made_project: project.is_new() && project.after.claimed_as.is_none(),
        token: None,
        at: question.now,
    }
}

/// Only proven jobs get a token, and none in which a stranger had a hand.
fn scope(question: &Question<'_>, project: &Project, check_in: &CheckIn) -> Option<ProjectScope> {
    let proven = question.witness.proven().filter(|proven| proven.facts().stranger.is_none())?;
    let is_there = !project.removed && !project.moved_away;
    is_there.then(|| ProjectScope {
        connection: check_in.connection.clone(),
        host: project.host.clone(),
        number: project.external_id,
        project: check_in.project.clone(),
        sha: check_in.sha.clone(),
        change: proven.facts().job.change,
    })
}

/// When a token ends that is handed out now.
const fn token_until(now: Timestamp) -> Timestamp {
    now.plus_ms(TOKEN_MS)
}

fn expects(
    question: &Question<'_>,
    organization: (RecordKey, u64),
    connection: &Draft<Connection>,
    project: &Draft<Project>,
) -> Vec<(RecordKey, u64)> {
    let (known, lookup) = (question.known, question.lookup);
    let home = &project.after;
    let key_of = |number| RecordKey::Project(home.organization.clone(), home.host.clone(), number);
    let claim = known.claimed.as_ref().map_or(0, |claimed| claimed.version);
    let mut expects = vec![
        organization,
        (RecordKey::Connection(connection.after.key.clone()), connection.version()),
        (key_of(home.external_id), project.version()),
        (RecordKey::CheckIn(lookup.check_in.clone()), 0),
    ];
    if home.external_id != lookup.claim() {
        expects.push((key_of(lookup.claim()), claim));
    }
    let takes_account = connection.is_new()
        || connection.before.as_ref().is_some_and(|(_, before)| before.account != connection.after.account);
    if takes_account {
        expects.extend(known.holders(lookup));
    }
    expects
}

fn audit(question: &Question<'_>, connection: &Draft<Connection>, project: &Draft<Project>) -> Vec<Change> {
    let slug: &OrganizationSlug = &connection.after.organization;
    let proven = question.witness.proven();
    let word = if proven.is_some() { "by a job's ID token" } else { "by a CI token's word" };
    let entry = |action: &str, subject: &str, detail: &str| {
        let actor =
            question.witness.caller().map_or("ci".to_owned(), |caller| format!("api_token:{}", caller.id()));
        Change::Audit(audit_entry_by(&actor, question.now, Some(slug), action, subject.to_owned(), detail))
    };
    let (key, account) = (connection.after.key.as_str(), connection.after.account.login.as_str());
    let was_claim = |before: Proof, after: Proof| before == Proof::Claimed && after == Proof::Proven;
    let mut lines = Vec::new();
    match &connection.before {
        None => {
            let detail = format!("{} {account}, {word}", connection.after.host);
            lines.push(entry("connection.created", key, &detail));
        }
        Some((_, before)) if was_claim(before.proof, connection.after.proof) => {
            lines.push(entry("connection.proven", key, word));
        }
        Some(_) => {}
    }
    if project.after.claimed_as.is_some() && project.is_new() {
        lines.push(entry("project.proven", &project.after.full_path, word));
    } else if project.is_new() {
        lines.push(entry("project.created", &project.after.full_path, word));
    }
    lines
}
