//! Which connection a job is about, or the one that it makes.

use super::{Draft, Question};
use crate::domain::ci::{ProvenJob, Refused, Witness};
use crate::domain::connection::Beginning;
use crate::domain::known::Versioned;
use crate::domain::organization::{Account, Connection, ConnectionState, Kind};
use crate::domain::project::Proof;
use crate::domain::{ConnectionKey, OrganizationSlug, SourceKey, id_of};
use crate::handler::route::{is_inside, plain_key};

/// The names that a connection for the job would like, best first. A claim's is marked, so that it takes no name from
/// whoever proves the account later.
#[must_use]
pub fn wanted_keys(witness: &Witness) -> Vec<ConnectionKey> {
    let Some(caller) = witness.caller() else { return Vec::new() };
    let job = witness.job();
    let plain = plain_key(job.kind(), &job.host, job.login());
    let marked = |parts: &[&str]| {
        let mark: String = id_of(parts).chars().take(8).collect();
        let short: String = plain.chars().take(54).collect();
        format!("{}-{mark}", short.trim_end_matches('-'))
    };
    let (host, login) = (job.host.as_str(), job.login().to_lowercase());
    let own = marked(&[caller.organization().as_str(), host, &login]);
    let names = match witness {
        Witness::Claimed(_) => vec![own],
        Witness::Proven(proven, _) => {
            let number = proven.account().map_or(login, |number| number.to_string());
            let general = marked(&[host, &number]);
            vec![plain, general, own]
        }
    };
    names.iter().filter_map(|name| ConnectionKey::parse(name).ok()).collect()
}

pub(super) fn connection(
    question: &Question<'_>,
    slug: &OrganizationSlug,
) -> Result<Draft<Connection>, Refused> {
    let found = match question.witness {
        Witness::Proven(proven, _) => by_proof(question, proven, slug)?,
        Witness::Claimed(_) => by_claim(question),
    };
    let Some(found) = found else { return created(question, slug) };
    if found.value.rejected_at.is_some() {
        return Err(Refused::Rejected);
    }
    let after = match question.witness.proven() {
        Some(proven) => proven_by(proven, &found.value),
        None => found.value.clone(),
    };
    Ok(Draft { before: Some((found.version, found.value.clone())), after: heard_of(after) })
}

/// Somebody else's account is nobody's here, and what is told of it is the same whoever it is.
fn by_proof<'a>(
    question: &Question<'a>,
    proven: &ProvenJob,
    slug: &OrganizationSlug,
) -> Result<Option<&'a Versioned<Connection>>, Refused> {
    // The forge of other organizations' own, whatever numbers it signs.
    if !proven.facts().counts.includes(slug) {
        return Err(Refused::NotRecorded);
    }
    let known = question.known;
    let holders = known.by_account.iter().chain(&known.by_number);
    if holders.clone().any(|holder| holder.organization != *slug) {
        return Err(Refused::Unavailable);
    }
    let own = |key: &ConnectionKey| known.own.iter().find(|found| found.value.key == *key);
    if let Some(found) = known.numbered().filter_map(own).next() {
        return Ok(Some(found));
    }
    // A path is no proof: without the word of the organization's own CI token nothing is found by it.
    if question.witness.caller().is_none() {
        return Err(Refused::NotRecorded);
    }
    let named = by_path(question, proven.account());
    if named.is_none() && known.by_login.iter().any(|holder| holder.organization != *slug) {
        return Err(Refused::Unavailable);
    }
    Ok(named)
}

fn by_claim<'a>(question: &Question<'a>) -> Option<&'a Versioned<Connection>> {
    let known = question.known;
    let of_project =
        known.at_path.as_ref().or(known.claimed.as_ref()).map(|project| &project.value.connection);
    let own = of_project.and_then(|key| known.own.iter().find(|found| found.value.key == *key));
    // At a forge of one's own, one connection speaks for all of it; at a cloud, each account is somebody else.
    let at_forge = || {
        let is_cloud = matches!(question.witness.job().kind(), Kind::GithubCloud | Kind::GitlabCloud);
        known.own.iter().find(|found| !is_cloud && found.value.rejected_at.is_none())
    };
    own.or_else(|| by_path(question, None)).or_else(at_forge)
}

/// The organization's connection to an account of that name, unless its number is another one, or of that number: one
/// that was rejected holds nothing, so that nothing else leads to it once the account has another name.
fn by_path<'a>(question: &Question<'a>, account: Option<u64>) -> Option<&'a Versioned<Connection>> {
    let path = question.lookup.full_path.to_lowercase();
    let may = |found: &&Versioned<Connection>| {
        let known = &found.value.account;
        match (known.external_id, account) {
            (Some(known), Some(told)) => known == told,
            _ => is_inside(&path, &known.login.to_lowercase()),
        }
    };
    let best = |found: &&Versioned<Connection>| {
        let connection = &found.value;
        let proven = connection.proof == Proof::Proven;
        (connection.rejected_at.is_none(), proven, connection.account.login.len())
    };
    question.known.own.iter().filter(may).max_by_key(best)
}

/// What a token proves of a connection: that the account is there, its number, and what it is called today.
fn proven_by(proven: &ProvenJob, old: &Connection) -> Connection {
    let mut new = Connection { proof: Proof::Proven, ..old.clone() };
    let login = proven.facts().job.login();
    let is_itself = new.account.login.eq_ignore_ascii_case(login);
    match (new.account.external_id, proven.account()) {
        (None, Some(number)) if is_itself => new.account.external_id = Some(number),
        // A name is taken over from a statement that is newer than the last one that was heard.
        (Some(known), Some(number))
            if known == number && old.last_event_at <= Some(proven.facts().issued_at) =>
        {
            login.clone_into(&mut new.account.login);
        }
        _ => {}
    }
    new
}

fn heard_of(mut connection: Connection) -> Connection {
    connection.clear_reasons(&[ConnectionState::WaitingFirstJob]);
    connection
}

/// A connection that makes itself, where all rules allow it.
fn created(question: &Question<'_>, slug: &OrganizationSlug) -> Result<Draft<Connection>, Refused> {
    let (job, policy) = (question.witness.job(), question.policy);
    let proven = question.witness.proven();
    let is_cloud = matches!(job.kind(), Kind::GithubCloud | Kind::GitlabCloud);
    if proven.is_none() && !is_cloud {
        return Err(Refused::UnknownForge);
    }
    if proven.is_some_and(|proven| proven.facts().stranger.is_some()) {
        return Err(Refused::Stranger);
    }
    if !policy.auto_connect {
        return Err(Refused::AutoConnectOff);
    }
    let is_listed = policy.accounts.iter().any(|account| account.eq_ignore_ascii_case(job.login()));
    if !policy.accounts.is_empty() && !is_listed {
        return Err(Refused::NotListed);
    }
    if proven.is_some_and(|proven| proven.facts().is_personal) && !is_listed {
        return Err(Refused::Personal);
    }
    let is_free = |key: &&ConnectionKey| !question.known.taken.contains(key);
    let key = question.lookup.keys.iter().find(is_free).ok_or(Refused::Unavailable)?;
    let after = new(question, slug, key).ok_or(Refused::Unavailable)?;
    Ok(Draft { before: None, after })
}

fn new(question: &Question<'_>, slug: &OrganizationSlug, key: &ConnectionKey) -> Option<Connection> {
    let (job, proven) = (question.witness.job(), question.witness.proven());
    Some(Connection {
        reasons: vec![ConnectionState::Limited],
        proof: if proven.is_some() { Proof::Proven } else { Proof::Claimed },
        ..Connection::begin(Beginning {
            key: key.clone(),
            organization: slug.clone(),
            kind: job.kind(),
            host: job.host.clone(),
            url: job.url.clone(),
            account: Account {
                login: job.login().to_owned(),
                external_id: proven.and_then(ProvenJob::account),
            },
            source: SourceKey::parse(key.as_str()).ok()?,
            created_by: "ci".to_owned(),
            created_at: question.now,
        })
    })
}
