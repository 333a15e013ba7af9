//! GitLab's groups. Only a number says which group it is: a path may be the last segment of another one.

use super::installation::{pause_projects, rename_account};
use super::project::rename_below;
use super::work::Work;
use crate::domain::organization::ConnectionState;

pub(super) fn seen(work: &mut Work<'_>, group: u64, path: &str, from: Option<&str>, parent: Option<u64>) {
    learn(work, group, path, parent);
    let is_own = work.connection.account.external_id == Some(group);
    match from {
        Some(from) if is_own => {
            let current = work.connection.account.login.clone();
            let late = is_late(work) && from != current && path != current;
            if late {
                return work.supersede(format!("the group is called {current} by now"));
            }
            rename_account(work, from, path);
        }
        Some(from) => {
            rename_below(work, from, path);
            note(work, "group.renamed", group, &format!("{from} is now {path}"));
        }
        None => note(work, "group.seen", group, path),
    }
    // Who belongs to a subgroup may belong to the list as well.
    work.mark_roster_stale();
    work.apply();
}

pub(super) fn deleted(work: &mut Work<'_>, group: u64) {
    work.mark_roster_stale();
    if work.connection.account.external_id == Some(group) {
        work.connection.add_reason(ConnectionState::Uninstalled);
        work.doubt_connection();
        pause_projects(work, true);
        note(work, "connection.group-deleted", group, "projects are kept, members stay as they are");
    } else {
        note(work, "group.deleted", group, "");
    }
    work.apply();
}

/// The connected group's number is learnt where a full path stands beside a number, and nowhere else.
fn learn(work: &mut Work<'_>, group: u64, path: &str, parent: Option<u64>) {
    let is_full = work.event.about.account.is_some();
    let account = &mut work.connection.account;
    if account.external_id.is_some() {
        // A connection that was made from a bare number gets its name with the first path.
        if account.external_id == Some(group) && is_full && account.login == format!("group-{group}") {
            path.clone_into(&mut account.login);
        }
    } else if is_full && path == account.login {
        account.external_id = Some(group);
    } else if path.rsplit_once('/').is_some_and(|(above, _)| above == account.login) {
        account.external_id = parent;
    }
}

fn is_late(work: &Work<'_>) -> bool {
    let heard_before = work.known.connection.value.last_event_at;
    work.told_at().is_some_and(|at| heard_before.is_some_and(|heard| at < heard))
}

fn note(work: &mut Work<'_>, action: &str, group: u64, detail: &str) {
    work.audit(action, group.to_string(), detail);
}
