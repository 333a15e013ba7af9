//! What an event queues behind: one at a time per installation, membership, repository or run.

use crate::domain::delivery::Lane;
use crate::domain::event::{Event, Fact, Person};

/// A lane's name is a key of the store, and parts of it come from outside.
const KEY_BYTES_MAX: usize = 200;

/// What an event queues behind. The store keeps the lanes of two sources apart.
#[must_use]
pub fn lane(event: &Event) -> Lane {
    let (key, blocks) = name(event);
    if key.len() <= KEY_BYTES_MAX {
        return Lane { key, blocks };
    }
    let family = key.split(':').next().filter(|family| family.len() <= 16).unwrap_or("misc");
    Lane { key: format!("{family}:{}", crate::domain::id_of(&[&key])), blocks }
}

fn name(event: &Event) -> (String, bool) {
    match &event.fact {
        Fact::Installed { .. }
        | Fact::Uninstalled
        | Fact::Suspended
        | Fact::Unsuspended
        | Fact::PermissionsAccepted { .. }
        | Fact::RepositoriesSelected { .. }
        | Fact::AccountRenamed { .. }
        | Fact::AccountDeleted
        | Fact::GroupSeen { .. }
        | Fact::GroupDeleted { .. } => (format!("installation:{}", installation(event)), true),
        Fact::MemberAdded { person, .. } | Fact::MemberChanged { person, .. } => member(event, Some(person)),
        Fact::MemberRemoved { person } | Fact::MemberInvited { person, .. } => member(event, person.as_ref()),
        Fact::TeamChanged { team, person } => {
            let part = person.as_ref().map(|person| person.id).or(*team);
            (format!("team:{}:{}", account(event), number(part)), true)
        }
        Fact::PersonSeen { person }
        | Fact::PersonRenamed { person, .. }
        | Fact::PersonDeleted { person }
        | Fact::PersonBlocked { person }
        | Fact::AuthorizationRevoked { person } => (format!("person:{}", person.id), false),
        Fact::KeyChanged { login, .. } => (format!("person:{login}"), false),
        Fact::CollaboratorChanged { repository, .. }
        | Fact::RepositorySeen { repository }
        | Fact::RepositoryRenamed { repository, .. }
        | Fact::RepositoryTransferred { repository, .. }
        | Fact::RepositoryDeleted { repository }
        | Fact::Pushed { repository, .. }
        | Fact::ChangeRequested { repository, .. } => (format!("project:{}", repository.id), false),
        Fact::RunChanged { repository, run } => {
            (format!("run:{}:{}", repository.id, run.parent.unwrap_or(run.id)), false)
        }
        Fact::Ping | Fact::Unwanted | Fact::HookDeleted { .. } => (format!("misc:{}", event.name), false),
    }
}

fn member(event: &Event, person: Option<&Person>) -> (String, bool) {
    (format!("member:{}:{}", account(event), number(person.map(|person| person.id))), true)
}

fn installation(event: &Event) -> String {
    event.about.installation.map_or_else(|| account(event), |id| id.to_string())
}

/// A group's number where there is one: GitLab names the account above it too.
fn account(event: &Event) -> String {
    let about = &event.about;
    let id = about.group.or(about.account.as_ref().and_then(|account| account.id));
    match (id, &about.account) {
        (Some(id), _) => id.to_string(),
        (None, Some(account)) => account.login.clone(),
        (None, None) => "-".to_owned(),
    }
}

fn number(id: Option<u64>) -> String {
    id.map_or_else(|| "-".to_owned(), |id| id.to_string())
}
