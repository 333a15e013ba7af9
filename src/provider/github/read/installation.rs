//! The App's own life on an account: installed, granted repositories, switched off, taken away.

use super::{Statement, action, login, needed, person, repository};
use crate::domain::Timestamp;
use crate::domain::event::{Fact, Repository};
use crate::provider::Unreadable;
use crate::provider::github::wire::{Body, Field, Installation, Repository as WireRepository};

/// `installation`.
pub(super) fn lifecycle(body: &Body) -> Result<Statement, Unreadable> {
    let empty = Installation::default();
    let told = body.installation.as_ref().unwrap_or(&empty);
    let permissions = || told.permissions.clone().unwrap_or_default();
    let fact = match action(body) {
        "created" => Fact::Installed {
            selection: told.repository_selection.clone().unwrap_or_default(),
            permissions: permissions(),
            repositories: repositories(&body.repositories),
            requester: body.requester.as_ref().and_then(person),
        },
        "deleted" => Fact::Uninstalled,
        "suspend" => Fact::Suspended,
        "unsuspend" => Fact::Unsuspended,
        "new_permissions_accepted" => Fact::PermissionsAccepted { permissions: permissions() },
        _ => return Ok(Fact::Unwanted.into()),
    };
    needed(*told.id, "the installation's number")?;
    Ok(Statement { fact, at: newest(told) })
}

/// `installation_repositories`.
pub(super) fn selection(body: &Body) -> Result<Statement, Unreadable> {
    if !matches!(action(body), "added" | "removed") {
        return Ok(Fact::Unwanted.into());
    }
    let Some(told) = body.installation.as_ref() else { return needed(None, "the installation") };
    needed(*told.id, "the installation's number")?;
    let selection = body.repository_selection.clone().or_else(|| told.repository_selection.clone());
    let fact = Fact::RepositoriesSelected {
        selection: selection.unwrap_or_default(),
        added: repositories(&body.repositories_added),
        removed: repositories(&body.repositories_removed),
    };
    Ok(Statement { fact, at: newest(told) })
}

/// `installation_target`.
pub(super) fn target(body: &Body) -> Result<Statement, Unreadable> {
    if action(body) != "renamed" {
        return Ok(Fact::Unwanted.into());
    }
    let Some(account) = body.account.as_ref() else { return needed(None, "the account") };
    needed(*account.id, "the account's number")?;
    let changes = body.changes.as_ref();
    let before = changes.and_then(|changes| changes.login.as_ref().or(changes.slug.as_ref()));
    let fact = Fact::AccountRenamed {
        from: before.and_then(|before| before.from.clone()),
        to: needed(login(account), "the account's new name")?,
    };
    Ok(Statement { fact, at: *account.updated_at })
}

/// `github_app_authorization`.
pub(super) fn authorization(body: &Body) -> Result<Statement, Unreadable> {
    if action(body) != "revoked" {
        return Ok(Fact::Unwanted.into());
    }
    let person = needed(body.sender.as_ref().and_then(person), "the person's number")?;
    Ok(Fact::AuthorizationRevoked { person }.into())
}

/// A suspension is dated apart, and older versions do not touch `updated_at` then.
fn newest(told: &Installation) -> Option<Timestamp> {
    [*told.created_at, *told.updated_at, *told.suspended_at].into_iter().flatten().max()
}

fn repositories(list: &Field<Vec<WireRepository>>) -> Vec<Repository> {
    list.as_deref().unwrap_or_default().iter().filter_map(repository::seen).collect()
}
