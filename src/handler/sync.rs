//! A connection's list of repositories, read from the forge, against what is recorded.

use std::collections::BTreeSet;

use super::project;
use super::work::Work;
use crate::domain::Timestamp;
use crate::domain::change::{Change, Changes};
use crate::domain::event::{About, Event, Fact, Repository};
use crate::domain::known::{Known, Lookup, RecordKey};
use crate::domain::project::{Project, claim_number};

/// What must be known to take these over.
#[must_use]
pub fn lookup(repositories: &[Repository]) -> Lookup {
    let numbers = repositories.iter().flat_map(|it| [it.id, claim_number(&it.full_path)]);
    Lookup { projects: numbers.collect(), ..Lookup::default() }
}

fn event(read_at: Timestamp) -> Event {
    Event {
        name: "sync".into(),
        action: None,
        about: About::default(),
        at: Some(read_at),
        fact: Fact::Unwanted,
    }
}

/// Takes over what the forge lists; `read_at` is when the reading began, so that a newer event's word stays.
#[must_use]
pub fn listed(known: &Known, repositories: &[Repository], read_at: Timestamp) -> Changes {
    let event = event(read_at);
    let mut work = Work::new(&event, known);
    for repository in repositories {
        project::mention(&mut work, repository);
    }
    only_projects(work, known, repositories)
}

/// Takes away what a whole list no longer has. Never everything at once: an empty list is no list.
#[must_use]
pub fn vanished(known: &Known, listed: &BTreeSet<u64>, read_at: Timestamp) -> Changes {
    let event = event(read_at);
    let mut work = Work::new(&event, known);
    let is_lost = |project: &&Project| {
        let since = project.seen_at.unwrap_or(project.first_seen_at);
        project.number().is_some_and(|number| !listed.contains(&number))
            && !project.removed
            && since <= read_at
            && project.connection == known.connection.value.key
    };
    let lost: Vec<&Project> = known.projects.iter().map(|found| &found.value).filter(is_lost).collect();
    for project in lost.iter().filter(|_| !listed.is_empty()) {
        let told = Repository {
            id: project.external_id,
            full_path: String::new(),
            default_branch: None,
            visibility: None,
            archived: None,
        };
        project::withdrawn(&mut work, &told);
    }
    only_projects(work, known, &[])
}

/// That the connection was heard of is no event's word here, so the connection is left out.
fn only_projects(work: Work<'_>, known: &Known, repositories: &[Repository]) -> Changes {
    let mut changes = work.finish();
    changes.changes.retain(|change| !matches!(change, Change::PutConnection(_)));
    for change in &mut changes.changes {
        if let Change::Audit(entry) = change {
            "sync".clone_into(&mut entry.actor);
        }
    }
    let connection = RecordKey::Connection(known.connection.value.key.clone());
    changes.expects.retain(|(key, _)| *key != connection);
    let (organization, host) = (&known.connection.value.organization, &known.connection.value.host);
    for repository in repositories.iter().filter(|it| known.project(it.id).is_none()) {
        changes.expects.push((RecordKey::Project(organization.clone(), host.clone(), repository.id), 0));
    }
    changes
}
