//! Meaning: GitLab's bodies in our own words.
//!
//! The body says what it is (`object_kind`, else `event_name`); the header is not covered by a plain token's proof,
//! so it only tells a group's or project's hook from the instance's.

mod group;
mod member;
mod person;
mod pipeline;
mod project;
mod push;

use serde::de::DeserializeOwned;

use super::wire::{self, clean};
use crate::domain::Timestamp;
use crate::domain::delivery::Delivery;
use crate::domain::event::{About, AccountRef, Event, Fact, Repository};
use crate::provider::Unreadable;

/// The header of every hook of an instance.
const SYSTEM: &str = "System Hook";

/// What a body tells, apart from its name.
struct Told {
    about: About,
    action: Option<String>,
    at: Option<Timestamp>,
    fact: Fact,
}

/// Reads a delivery.
///
/// # Errors
/// When the body is no JSON object, or does not name what its kind of event is about.
pub fn read(delivery: &Delivery) -> Result<Event, Unreadable> {
    let body = delivery.body();
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(unreadable("it is no JSON object"));
    }
    let header = clean(&delivery.envelope().event);
    let head: wire::Head = parse(body)?;
    let kind = head.object_kind.or(head.event_name).unwrap_or_default();
    if kind.is_empty() && is_read(&header) {
        return Err(unreadable("it does not say which event it is"));
    }
    let told = tell(&kind, body)?;
    let name = name_of(&kind, header, &told.fact);
    let action = if name == SYSTEM { Some(kind).filter(|kind| !kind.is_empty()) } else { told.action };
    Ok(Event { name, action, about: told.about, at: told.at, fact: told.fact })
}

fn tell(kind: &str, body: &[u8]) -> Result<Told, Unreadable> {
    match kind {
        "pipeline" => pipeline::read_pipeline(body),
        "build" => pipeline::read_job(body),
        "push" | "tag_push" => push::read_push(body),
        "repository_update" => push::read_update(body),
        // Group hooks of old versions were recorded without any number in them. That is no reason for a dead letter:
        // there is nothing in such a body that a better reader could find.
        "merge_request" => push::read_merge_request(body).or_else(|_| read_unwanted(body)),
        "project_create" | "project_update" | "project_rename" | "project_transfer" | "project_destroy" => {
            project::read(kind, body)
        }
        "group_create" | "group_rename" | "group_destroy" | "subgroup_create" | "subgroup_destroy" => {
            group::read(kind, body)
        }
        "user_create" | "user_rename" | "user_destroy" | "user_failed_login" => person::read(kind, body),
        "key_create" | "key_destroy" => person::read_key(kind, body),
        _ if member::is_about_group(kind) => member::read_group(kind, body),
        _ if member::is_about_project(kind) => member::read_project(kind, body),
        _ => read_unwanted(body),
    }
}

/// The hook that sends events of this kind to groups and projects; `None` for what only an instance sends.
fn hook_of(kind: &str) -> Option<&'static str> {
    match kind {
        "pipeline" => Some("Pipeline Hook"),
        "build" => Some("Job Hook"),
        "push" => Some("Push Hook"),
        "tag_push" => Some("Tag Push Hook"),
        "merge_request" => Some("Merge Request Hook"),
        "project_create" | "project_destroy" => Some("Project Hook"),
        "subgroup_create" | "subgroup_destroy" => Some("Subgroup Hook"),
        _ if member::is_about_group(kind) => Some("Member Hook"),
        _ => None,
    }
}

/// Whether events with this header are read, so that one without a kind is broken and not merely unknown.
fn is_read(header: &str) -> bool {
    let kinds =
        ["pipeline", "build", "push", "tag_push", "merge_request", "project_create", "subgroup_create"];
    kinds.into_iter().any(|kind| hook_of(kind) == Some(header)) || header == "Member Hook"
}

fn name_of(kind: &str, header: String, fact: &Fact) -> String {
    // An instance's hook never sends these, whatever the header says.
    let never_of_system = matches!(kind, "pipeline" | "build" | "subgroup_create" | "subgroup_destroy");
    match hook_of(kind) {
        Some(hook) if never_of_system || header != SYSTEM => hook.to_owned(),
        None if *fact != Fact::Unwanted => SYSTEM.to_owned(),
        _ => header,
    }
}

fn read_unwanted(body: &[u8]) -> Result<Told, Unreadable> {
    let place: wire::Place = parse(body)?;
    let project = place.project.id.or(place.project_id);
    let account = place.project.path_with_namespace.as_deref().and_then(account_of);
    let group = place.group_id.or(place.group.group_id);
    let about = About { project, group, account, ..About::default() };
    Ok(Told { about, action: None, at: None, fact: Fact::Unwanted })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    // The parser's own words may quote the body, so they are not passed on.
    serde_json::from_slice(body).map_err(|_| unreadable("it is no well-formed JSON"))
}

fn unreadable(why: &str) -> Unreadable {
    Unreadable(why.to_owned())
}

/// The newest of an event's times: GitLab has no time of the event itself.
fn newest(times: &[Option<Timestamp>]) -> Option<Timestamp> {
    times.iter().copied().flatten().max()
}

/// The account at the top of a full path.
fn account_of(path: &str) -> Option<AccountRef> {
    let login = path.split('/').next().filter(|login| !login.is_empty())?;
    Some(AccountRef { id: None, login: login.to_owned() })
}

/// A project's number may stand beside the project, and only there.
fn repository_of(project: wire::Project, beside: Option<u64>, what: &str) -> Result<Repository, Unreadable> {
    let id = project.id.or(beside).ok_or_else(|| Unreadable(format!("{what} names no project")))?;
    Ok(Repository {
        id,
        full_path: project.path_with_namespace.unwrap_or_default(),
        default_branch: project.default_branch,
        visibility: project.visibility_level.or(project.visibility),
        archived: None,
    })
}

fn about(repository: &Repository) -> About {
    About { project: Some(repository.id), account: account_of(&repository.full_path), ..About::default() }
}

#[cfg(test)]
mod tests;
