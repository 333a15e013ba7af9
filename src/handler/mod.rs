//! Event → Changes. Pure: no store, no clock, no network.
//!
//! [`lane()`] says what an event queues behind, [`route()`] whom it is about, [`lookup`] what must be known for it, and
//! [`handle`] what it changes. [`declare()`] does the same for what an operator has written into the config file.
//!
//! A payload is a hint. Nobody is let in by one: who joins is `pending` until the forge, asked by us, confirms it;
//! who leaves is out at once. A statement that is older than what was applied changes nothing.

mod break_glass;
mod check_in;
mod declare;
mod group;
mod health;
mod installation;
mod inventory;
mod lane;
mod membership;
mod person;
mod project;
mod roster;
mod route;
mod run;
mod work;

pub use check_in::{Decided, Settlement, check_in, check_in_id, wanted_keys};
pub use declare::{Have, declare};
pub use health::{Found, Look, judge};
pub use inventory::{Inventory, ProjectChange, ProjectStep, Stocktaking};
pub use lane::lane;
pub use roster::{Ground, carry_out};
pub use route::{Routing, holders, plain_key, rejected, route, slug_of};

use crate::domain::change::Changes;
use crate::domain::event::{Event, Fact, Repository};
use crate::domain::known::{Known, Lookup};
use crate::domain::project::claim_number;
use work::Work;

/// Which records the event needs. What a job has only claimed of a repository is looked up with it.
#[must_use]
pub fn lookup(event: &Event) -> Lookup {
    let mut lookup = lookup_of(event);
    if let Some(path) = event.fact.repository().map(|repository| repository.full_path.as_str())
        && !path.is_empty()
    {
        lookup.projects.push(claim_number(path));
    }
    lookup
}

fn lookup_of(event: &Event) -> Lookup {
    let none = Lookup::default();
    match &event.fact {
        Fact::Installed { repositories, .. } => {
            Lookup { projects: ids(repositories), all_projects_of_connection: true, ..none }
        }
        Fact::RepositoriesSelected { added, removed, .. } => {
            Lookup { projects: ids(added.iter().chain(removed)), ..none }
        }
        Fact::Uninstalled
        | Fact::Suspended
        | Fact::Unsuspended
        | Fact::AccountRenamed { .. }
        | Fact::AccountDeleted
        | Fact::GroupDeleted { .. }
        | Fact::GroupSeen { from: Some(_), .. } => Lookup { all_projects_of_connection: true, ..none },
        Fact::MemberAdded { person, .. }
        | Fact::MemberChanged { person, .. }
        | Fact::MemberRemoved { person: Some(person) }
        | Fact::MemberInvited { person: Some(person), .. }
        | Fact::PersonRenamed { person, .. }
        | Fact::AuthorizationRevoked { person }
        | Fact::PersonDeleted { person } => Lookup { members: vec![person.id], ..none },
        Fact::CollaboratorChanged { repository, .. }
        | Fact::RepositorySeen { repository }
        | Fact::RepositoryRenamed { repository, .. }
        | Fact::RepositoryTransferred { repository, .. }
        | Fact::RepositoryDeleted { repository }
        | Fact::Pushed { repository, .. }
        | Fact::ChangeRequested { repository, .. } => Lookup { projects: vec![repository.id], ..none },
        Fact::RunChanged { repository, run } => {
            let runs = vec![(repository.id, run.kind, run.id)];
            Lookup { projects: vec![repository.id], runs, ..none }
        }
        Fact::Ping
        | Fact::Unwanted
        | Fact::PermissionsAccepted { .. }
        | Fact::MemberRemoved { person: None }
        | Fact::MemberInvited { person: None, .. }
        | Fact::TeamChanged { .. }
        | Fact::HookDeleted { .. }
        | Fact::PersonSeen { .. }
        | Fact::PersonBlocked { .. }
        | Fact::KeyChanged { .. }
        | Fact::GroupSeen { from: None, .. } => none,
    }
}

fn ids<'a>(repositories: impl IntoIterator<Item = &'a Repository>) -> Vec<u64> {
    let mut ids: Vec<u64> = repositories.into_iter().map(|repository| repository.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Decides what the event changes.
#[must_use]
pub fn handle(event: &Event, known: &Known) -> Changes {
    // `route` has looked at this already, but a new connection's key may have met somebody else's record since.
    if !known.source.organizations.contains(&known.connection.value.organization) {
        return route::foreign_tenant(&known.source, known.received_at);
    }
    // And an admin may have rejected the account since.
    if route::stays_out(&known.connection.value, event) {
        return route::account_rejected(&known.connection.value);
    }
    let mut work = Work::new(event, known);
    apply(&mut work, &event.fact);
    work.finish()
}

fn apply(work: &mut Work<'_>, fact: &Fact) {
    match fact {
        // `route` ends these; should one come here, that a connection was heard of is all it says.
        Fact::Ping | Fact::Unwanted => {}
        Fact::Installed { selection, permissions, repositories, requester } => {
            let grant = installation::Grant { selection, permissions, repositories };
            installation::installed(work, &grant, requester.as_ref());
        }
        Fact::Uninstalled => installation::uninstalled(work),
        Fact::Suspended => installation::suspended(work),
        Fact::Unsuspended => installation::unsuspended(work),
        Fact::PermissionsAccepted { permissions } => installation::accepted(work, permissions),
        Fact::RepositoriesSelected { selection, added, removed } => {
            installation::selected(work, selection, added, removed);
        }
        Fact::AccountRenamed { from, to } => installation::renamed(work, from.as_deref(), to),
        Fact::AccountDeleted => installation::account_deleted(work),
        Fact::HookDeleted { hook } => installation::hook_deleted(work, *hook),
        Fact::GroupSeen { group, path, from, parent } => {
            group::seen(work, *group, path, from.as_deref(), *parent);
        }
        Fact::GroupDeleted { group } => group::deleted(work, *group),
        Fact::MemberAdded { person, .. } => membership::joined(work, person),
        Fact::MemberChanged { person, .. } => membership::changed(work, person),
        Fact::MemberInvited { person, .. } => membership::invited(work, person.as_ref()),
        Fact::MemberRemoved { person } => membership::removed(work, person.as_ref()),
        Fact::TeamChanged { .. } => membership::team_changed(work),
        Fact::AuthorizationRevoked { person } => person::logged_out(work, person),
        Fact::PersonSeen { person } => person::noted(work, "person.seen", person),
        Fact::PersonBlocked { person } => person::noted(work, "person.blocked", person),
        Fact::PersonRenamed { person, from } => person::renamed(work, person, from),
        Fact::PersonDeleted { person } => person::deleted(work, person),
        Fact::KeyChanged { login, added } => person::key_changed(work, login, *added),
        Fact::CollaboratorChanged { repository, person } => {
            project::collaborator_changed(work, repository, person.as_ref());
        }
        Fact::RepositorySeen { repository } => project::seen(work, repository),
        Fact::RepositoryRenamed { repository, from } => project::renamed(work, repository, from),
        Fact::RepositoryTransferred { repository, from, .. } => {
            project::transferred(work, repository, from.as_deref());
        }
        Fact::RepositoryDeleted { repository } => project::deleted(work, repository),
        Fact::Pushed { repository, .. } => project::pushed(work, repository),
        Fact::ChangeRequested { repository, .. } => project::seen(work, repository),
        Fact::RunChanged { repository, run } => run::changed(work, repository, run),
    }
}

#[cfg(test)]
mod tests;
