//! The App's life on an account, and the account's own: installed, switched off, renamed, gone.
//!
//! Uninstalled is not deleted: it may be an accident. The projects are kept as they are and marked `paused`, which
//! leaves the forge's own `archived` alone; members stay untouched; a new installation on the same account takes all
//! of it up again. Installation ids are serial, so a greater one is newer and one that is gone never returns.

use std::collections::BTreeMap;

use super::project;
use super::work::Work;
use crate::domain::event::{Person, Repository};
use crate::domain::organization::ConnectionState;

/// What an owner has granted.
pub(super) struct Grant<'a> {
    pub(super) selection: &'a str,
    pub(super) permissions: &'a BTreeMap<String, String>,
    pub(super) repositories: &'a [Repository],
}

/// How an installation event stands to what was applied before.
enum Turn {
    Newest,
    Late(String),
}

pub(super) fn installed(work: &mut Work<'_>, grant: &Grant<'_>, requester: Option<&Person>) {
    let is_newest = match turn_of_installed(work) {
        Turn::Newest => true,
        Turn::Late(why) => {
            work.supersede(why);
            false
        }
    };
    if is_newest {
        take_up(work, grant, requester);
    }
    if is_newest || !work.has(ConnectionState::Uninstalled) {
        for repository in grant.repositories {
            // A late list still tells of repositories that nobody has mentioned; what was taken away stays away.
            if is_newest || work.project(repository.id).is_none() {
                project::granted(work, repository);
            }
        }
    }
}

fn take_up(work: &mut Work<'_>, grant: &Grant<'_>, requester: Option<&Person>) {
    let is_back = work.is_off();
    let connection = &mut work.connection;
    connection.installation = work.event.about.installation.or(connection.installation);
    connection.permissions.clone_from(grant.permissions);
    if connection.credential == "none" && connection.installation.is_some() {
        "app".clone_into(&mut connection.credential);
        connection.clear_reasons(&[ConnectionState::Limited]);
    }
    connection.clear_reasons(&[
        ConnectionState::Uninstalled,
        ConnectionState::Suspended,
        ConnectionState::AwaitingApproval,
        ConnectionState::PermissionMissing,
    ]);
    select(work, grant.selection);
    see(work);
    pause_projects(work, false);
    work.mark_roster_stale();
    work.doubt_repositories();
    let action = if is_back { "connection.reinstalled" } else { "connection.installed" };
    let asked = requester.map(|person| format!("asked for by {} ({})", person.login, person.id));
    note(work, action, &asked.unwrap_or_default());
}

fn turn_of_installed(work: &Work<'_>) -> Turn {
    // What was known before this very event told its own number.
    let known = work.known.connection.value.installation;
    match (known, work.event.about.installation) {
        (Some(known), Some(told)) if told < known => {
            Turn::Late(format!("installation {known} came after {told}"))
        }
        (Some(known), Some(told)) if told > known => Turn::Newest,
        _ if work.has(ConnectionState::Uninstalled) && known.is_some() => {
            Turn::Late("this installation is gone already".to_owned())
        }
        _ => by_time(work),
    }
}

pub(super) fn uninstalled(work: &mut Work<'_>) {
    // Not compared by time: an installation's last statement may carry the time of an earlier one.
    if let Turn::Late(why) = by_number(work) {
        return work.supersede(why);
    }
    let is_news = !work.has(ConnectionState::Uninstalled);
    see(work);
    work.connection.clear_reasons(&[ConnectionState::Suspended]);
    work.connection.add_reason(ConnectionState::Uninstalled);
    pause_projects(work, true);
    work.doubt_connection();
    if is_news {
        note(work, "connection.uninstalled", "projects are kept, members stay as they are");
    }
}

pub(super) fn suspended(work: &mut Work<'_>) {
    if let Turn::Late(why) = turn(work) {
        return work.supersede(why);
    }
    let is_news = !work.has(ConnectionState::Suspended);
    see(work);
    work.connection.add_reason(ConnectionState::Suspended);
    pause_projects(work, true);
    work.doubt_connection();
    if is_news {
        note(work, "connection.suspended", "");
    }
}

pub(super) fn unsuspended(work: &mut Work<'_>) {
    if let Turn::Late(why) = turn(work) {
        return work.supersede(why);
    }
    let is_news = work.has(ConnectionState::Suspended);
    see(work);
    work.connection.clear_reasons(&[ConnectionState::Suspended]);
    pause_projects(work, false);
    // Nothing was delivered in between.
    work.mark_roster_stale();
    work.doubt_repositories();
    if is_news {
        note(work, "connection.unsuspended", "");
    }
}

pub(super) fn accepted(work: &mut Work<'_>, permissions: &BTreeMap<String, String>) {
    if let Turn::Late(why) = turn(work) {
        return work.supersede(why);
    }
    see(work);
    work.connection.permissions.clone_from(permissions);
    work.connection.clear_reasons(&[ConnectionState::PermissionMissing]);
    // Members or repositories may be seen by them that were not seen before.
    work.mark_roster_stale();
    work.doubt_repositories();
    note(work, "connection.permissions-accepted", "");
}

/// Each repository is judged by itself: another one's newer event does not make this grant old.
pub(super) fn selected(work: &mut Work<'_>, selection: &str, added: &[Repository], removed: &[Repository]) {
    if let Turn::Late(why) = by_number(work) {
        return work.supersede(why);
    }
    if matches!(by_time(work), Turn::Newest) {
        select(work, selection);
    }
    work.doubt_repositories();
    for repository in added {
        project::granted(work, repository);
    }
    for repository in removed {
        project::withdrawn(work, repository);
    }
}

pub(super) fn renamed(work: &mut Work<'_>, from: Option<&str>, to: &str) {
    let current = work.connection.account.login.clone();
    let heard_before = work.known.connection.value.last_event_at;
    let is_late = work.told_at().is_some_and(|at| heard_before.is_some_and(|heard| at < heard));
    if is_late && current != to && from.is_some_and(|from| from != current) {
        return work.supersede(format!("the account is called {current} by now"));
    }
    rename_account(work, from.unwrap_or(&current), to);
}

/// Takes the account's new name over, for it and in front of its projects' names.
pub(super) fn rename_account(work: &mut Work<'_>, from: &str, to: &str) {
    work.apply();
    if to.is_empty() {
        return;
    }
    if work.connection.account.login != to {
        note(work, "connection.renamed", &format!("{from} is now {to}"));
        to.clone_into(&mut work.connection.account.login);
    }
    project::rename_below(work, from, to);
}

pub(super) fn account_deleted(work: &mut Work<'_>) {
    let is_news = !work.has(ConnectionState::Uninstalled);
    work.connection.add_reason(ConnectionState::Uninstalled);
    work.mark_roster_stale();
    work.doubt_connection();
    pause_projects(work, true);
    if is_news {
        note(work, "connection.account-deleted", "projects are kept, members stay as they are");
    }
}

pub(super) fn hook_deleted(work: &mut Work<'_>, hook: u64) {
    work.apply();
    work.connection.add_reason(ConnectionState::WebhookDisabled);
    work.doubt_connection();
    note(work, "connection.hook-deleted", &format!("hook {hook} was removed at the forge: set it up again"));
}

fn turn(work: &Work<'_>) -> Turn {
    match by_number(work) {
        Turn::Newest if work.has(ConnectionState::Uninstalled) => {
            Turn::Late("the installation is gone already".to_owned())
        }
        Turn::Newest => by_time(work),
        late @ Turn::Late(_) => late,
    }
}

fn by_number(work: &Work<'_>) -> Turn {
    match (work.connection.installation, work.event.about.installation) {
        (Some(known), Some(told)) if told != known => {
            Turn::Late(format!("it is about installation {told}; the account has {known}"))
        }
        _ => Turn::Newest,
    }
}

fn by_time(work: &Work<'_>) -> Turn {
    match work.connection.installation_seen_at {
        Some(seen) if work.at() < seen => Turn::Late(format!("a newer statement of {seen} was applied")),
        _ => Turn::Newest,
    }
}

fn see(work: &mut Work<'_>) {
    work.apply();
    let at = work.at();
    work.connection.installation_seen_at = work.connection.installation_seen_at.max(Some(at));
}

fn select(work: &mut Work<'_>, selection: &str) {
    if !selection.is_empty() {
        work.connection.repository_selection = Some(selection.to_owned());
    }
}

pub(super) fn pause_projects(work: &mut Work<'_>, paused: bool) {
    work.apply();
    for id in work.projects_of_connection() {
        if let Some(mut project) = work.project(id) {
            project.paused = paused;
            work.put_project(project);
        }
    }
}

fn note(work: &mut Work<'_>, action: &str, detail: &str) {
    work.audit(action, work.connection.key.to_string(), detail);
}
