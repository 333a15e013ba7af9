//! Repositories: their names and settings, and what is pushed and proposed in them.

use super::{Statement, action, needed};
use crate::domain::Timestamp;
use crate::domain::event::{Fact, Repository};
use crate::domain::project::Visibility;
use crate::provider::Unreadable;
use crate::provider::github::wire::{Account, Body, Repository as WireRepository};

/// `repository`.
pub(super) fn repository(body: &Body) -> Result<Statement, Unreadable> {
    let fact = match action(body) {
        "created" | "archived" | "unarchived" | "edited" | "publicized" | "privatized" => {
            Fact::RepositorySeen { repository: named(body)? }
        }
        "deleted" => Fact::RepositoryDeleted { repository: named(body)? },
        "renamed" => renamed(body, named(body)?),
        "transferred" => transferred(body, named(body)?),
        _ => return Ok(Fact::Unwanted.into()),
    };
    Ok(Statement { fact, at: updated(body) })
}

/// Without the old name it is still worth knowing the new one.
fn renamed(body: &Body, repository: Repository) -> Fact {
    let before = body.changes.as_ref().and_then(|changes| changes.repository.as_ref());
    let name = before.and_then(|before| before.name.as_ref()).and_then(|name| name.from.as_deref());
    match (owner(&repository.full_path), name) {
        (Some(owner), Some(name)) => Fact::RepositoryRenamed { from: format!("{owner}/{name}"), repository },
        _ => Fact::RepositorySeen { repository },
    }
}

fn transferred(body: &Body, repository: Repository) -> Fact {
    let from = body.changes.as_ref().and_then(|changes| changes.owner.as_ref());
    let past = from.and_then(|owner| owner.from.as_ref());
    let owner: Option<&Account> = past.and_then(|past| past.organization.as_ref().or(past.user.as_ref()));
    let name = repository.full_path.rsplit_once('/').map(|(_, name)| name);
    let before = owner.and_then(|owner| owner.login.as_deref()).zip(name);
    Fact::RepositoryTransferred {
        from: before.map(|(owner, name)| format!("{owner}/{name}")),
        from_account: owner.and_then(|owner| *owner.id),
        repository,
    }
}

fn owner(full_path: &str) -> Option<&str> {
    full_path.split_once('/').map(|(owner, _)| owner)
}

/// `public`.
pub(super) fn public(body: &Body) -> Result<Statement, Unreadable> {
    let repository = named(body)?;
    Ok(Statement { fact: Fact::RepositorySeen { repository }, at: updated(body) })
}

/// `push`. The commits' own dates are their authors' to choose, so they date nothing here.
pub(super) fn push(body: &Body) -> Result<Statement, Unreadable> {
    let told = body.repository.as_ref();
    let at = told.and_then(|told| (*told.pushed_at).or(*told.updated_at));
    let fact = Fact::Pushed {
        repository: named(body)?,
        git_ref: needed(body.git_ref.clone(), "the ref")?,
        after: body.after.as_deref().and_then(commit),
    };
    Ok(Statement { fact, at })
}

/// `pull_request`.
pub(super) fn pull_request(body: &Body) -> Result<Statement, Unreadable> {
    let Some(told) = body.pull_request.as_ref() else { return needed(None, "the pull request") };
    let is_merged = told.merged.unwrap_or_default() || told.merged_at.is_some();
    let state = match told.state.as_deref() {
        Some("closed") if is_merged => "merged",
        Some("closed") => "closed",
        _ => "open",
    };
    let head = told.head.as_ref().and_then(|head| head.sha.as_deref());
    let fact = Fact::ChangeRequested {
        repository: named(body)?,
        number: needed((*body.number).or(*told.number), "the pull request's number")?,
        state: state.to_owned(),
        head: head.and_then(commit),
    };
    Ok(Statement { fact, at: *told.updated_at })
}

/// The repository that the body is about.
pub(super) fn named(body: &Body) -> Result<Repository, Unreadable> {
    needed(body.repository.as_ref().and_then(seen), "the repository's number")
}

/// When the repository last changed, by GitHub's clock.
pub(super) fn updated(body: &Body) -> Option<Timestamp> {
    body.repository.as_ref().and_then(|told| *told.updated_at)
}

/// A repository as told; `None` without its number.
pub(super) fn seen(told: &WireRepository) -> Option<Repository> {
    Some(Repository {
        id: (*told.id)?,
        full_path: full_path(told),
        default_branch: told.default_branch.clone(),
        visibility: visibility(told),
        archived: *told.archived,
    })
}

fn full_path(told: &WireRepository) -> String {
    let owner = told.owner.as_ref().and_then(|owner| owner.login.as_deref());
    told.full_name
        .clone()
        .or_else(|| Some(format!("{}/{}", owner?, told.name.as_deref()?)))
        .unwrap_or_default()
}

/// `private` covers "internal" too. The short form, which has no owner, says no more than that; a whole repository
/// without `visibility` comes from a server that knows nothing internal. Where the two differ, it is not public.
fn visibility(told: &WireRepository) -> Option<Visibility> {
    match (told.visibility.as_deref(), *told.private) {
        (Some("public"), None | Some(false)) | (None, Some(false)) => Some(Visibility::Public),
        (Some("internal"), _) => Some(Visibility::Internal),
        (Some("private"), _) => Some(Visibility::Private),
        (None | Some("public"), Some(true)) if told.owner.is_some() => Some(Visibility::Private),
        _ => None,
    }
}

/// A commit's hash in SHA-1 or SHA-256. All zeros stand for "no commit".
pub(super) fn commit(hash: &str) -> Option<String> {
    let is_hex = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_hash = matches!(hash.len(), 40 | 64) && is_hex && hash.bytes().any(|byte| byte != b'0');
    is_hash.then(|| hash.to_owned())
}
