//! Repositories: their number is what they are, their name is what they are called today.
//!
//! Two clocks meet here. What a repository says of itself carries the forge's time and is compared with it. What an
//! installation says of repositories carries the installation's time, which does not move when repositories are
//! granted (recorded deliveries show it), so there the time of receipt decides.

use super::route::is_inside;
use super::work::Work;
use crate::domain::Timestamp;
use crate::domain::event::{Person, Repository};
use crate::domain::organization::{Connection, Forge};
use crate::domain::project::{Project, Proof, claim_number};

/// How far the receipt of an old owner's loss may lie behind the time of the transfer.
const HANDING_OVER_MS: i64 = 10 * 60 * 1000;

/// How a statement stands to what is known of the repository.
pub(super) enum Standing {
    /// It may be applied to this record, which may be a new one.
    Fresh(Project),
    /// Something newer was applied to this record.
    Old(Project),
}

pub(super) fn standing(work: &Work<'_>, repository: &Repository, at: Timestamp) -> Standing {
    let Some(known) = work.project(repository.id) else { return Standing::Fresh(unknown(work, repository)) };
    match known.seen_at {
        Some(seen) if at < seen => Standing::Old(known),
        // What was taken away comes back by a newer word only: a copy of the last one before is no such word.
        Some(seen) if known.removed && at == seen => Standing::Old(known),
        _ => Standing::Fresh(known),
    }
}

fn unknown(work: &Work<'_>, repository: &Repository) -> Project {
    let claimed = work.project(claim_number(&repository.full_path));
    first_heard(&work.connection, repository, claimed, work.received_at())
}

/// A project that nothing proven is known of yet: what a job has claimed of it goes over to it.
pub(super) fn first_heard(
    connection: &Connection,
    repository: &Repository,
    claimed: Option<Project>,
    at: Timestamp,
) -> Project {
    let paused = connection.is_off();
    if let Some(claimed) = claimed {
        return Project {
            connection: connection.key.clone(),
            external_id: repository.id,
            claimed_as: Some(claimed.external_id),
            paused,
            proof: Proof::Proven,
            ..claimed
        };
    }
    Project {
        organization: connection.organization.clone(),
        connection: connection.key.clone(),
        provider: connection.kind.forge(),
        host: connection.host.clone(),
        external_id: repository.id,
        namespace: None,
        claimed_as: None,
        full_path: repository.full_path.clone(),
        previous_paths: Vec::new(),
        default_branch: None,
        visibility: None,
        archived: false,
        removed: false,
        moved_away: false,
        paused,
        ci_state: "none".to_owned(),
        first_seen_at: at,
        last_check_in_at: None,
        last_push_at: None,
        last_pipeline: None,
        seen_at: None,
        proof: Proof::Proven,
    }
}

/// Takes over what is told; what is not told stays.
pub(super) fn take_over(project: &mut Project, told: &Repository, connection: &Connection) {
    if !told.full_path.is_empty() {
        project.rename(&told.full_path);
    }
    if told.default_branch.is_some() {
        project.default_branch.clone_from(&told.default_branch);
    }
    project.visibility = told.visibility.or(project.visibility);
    project.archived = told.archived.unwrap_or(project.archived);
    project.removed = false;
    project.proof = Proof::Proven;
    if project.connection != connection.key {
        project.connection = connection.key.clone();
        project.moved_away = false;
        project.paused = connection.is_off();
    }
}

fn describe(work: &Work<'_>, project: &mut Project, told: &Repository) {
    let before = (project.full_path.clone(), project.removed, project.connection.clone());
    take_over(project, told, &work.connection);
    // Without a time of its own, a statement moves the clock only where it changed something that could move back.
    let at = work.told_at().or_else(|| {
        let after = (&project.full_path, project.removed, &project.connection);
        (after != (&before.0, before.1, &before.2)).then(|| work.received_at())
    });
    project.seen_at = project.seen_at.max(at);
}

/// A repository is mentioned with its settings. `None`: something newer was known; the settings stay.
pub(super) fn mention(work: &mut Work<'_>, repository: &Repository) -> Project {
    match standing(work, repository, work.at()) {
        Standing::Fresh(mut project) => {
            describe(work, &mut project, repository);
            work.put_project(project.clone());
            project
        }
        Standing::Old(project) => {
            work.supersede(format!("a newer statement about {} was applied", project.shown_path()));
            project
        }
    }
}

pub(super) fn seen(work: &mut Work<'_>, repository: &Repository) {
    mention(work, repository);
}

pub(super) fn pushed(work: &mut Work<'_>, repository: &Repository) {
    let mut project = mention(work, repository);
    let at = work.at();
    if project.last_push_at < Some(at) {
        project.last_push_at = Some(at);
        work.put_project(project);
    }
}

/// Of one repository. Not a member of the organization by that.
pub(super) fn collaborator_changed(work: &mut Work<'_>, repository: &Repository, person: Option<&Person>) {
    let project = mention(work, repository);
    let who = person.map(|person| format!("{} ({})", person.login, person.id));
    let detail = who.unwrap_or_else(|| "somebody the forge does not name".to_owned());
    work.audit("project.collaborator-changed", project.shown_path(), &detail);
    work.apply();
}

pub(super) fn renamed(work: &mut Work<'_>, repository: &Repository, from: &str) {
    match standing(work, repository, work.at()) {
        Standing::Fresh(mut project) => {
            describe(work, &mut project, repository);
            project.remember_path(from);
            work.put_project(project);
        }
        Standing::Old(project) => remember_late(work, project, &[from, &repository.full_path]),
    }
}

/// Names of before that are heard of late go behind the others.
fn remember_late(work: &mut Work<'_>, mut project: Project, paths: &[&str]) {
    let before = project.previous_paths.len();
    for path in paths {
        let is_known = *path == project.full_path || project.previous_paths.iter().any(|known| known == path);
        if !path.is_empty() && !is_known {
            project.previous_paths.push((*path).to_owned());
        }
    }
    project.previous_paths.truncate(32);
    work.supersede(format!("a newer statement about {} was applied", project.shown_path()));
    if project.previous_paths.len() > before {
        work.put_project(project);
    }
}

pub(super) fn transferred(work: &mut Work<'_>, repository: &Repository, from: Option<&str>) {
    let from = from.unwrap_or_default();
    let standing = match standing(work, repository, work.at()) {
        Standing::Old(project) if is_handed_over(work, &project) => Standing::Fresh(project),
        standing => standing,
    };
    match standing {
        Standing::Fresh(mut project) => {
            let is_gone = has_left(work, repository, from);
            describe(work, &mut project, repository);
            project.remember_path(from);
            project.moved_away = is_gone;
            let action = if is_gone { "project.moved-away" } else { "project.transferred" };
            work.audit(action, project.shown_path(), &format!("before: {from}"));
            work.put_project(project);
        }
        Standing::Old(project) => remember_late(work, project, &[from, &repository.full_path]),
    }
}

/// One owner's loss and the other's gain are told at once, in any order, and dated by two clocks: ours and the forge's.
fn is_handed_over(work: &Work<'_>, project: &Project) -> bool {
    let is_recent = |seen: Timestamp| seen.since(work.at()) <= HANDING_OVER_MS;
    project.removed && project.connection != work.connection.key && project.seen_at.is_none_or(is_recent)
}

/// GitLab's instance tells of a transfer out of the connected group as well; GitHub tells the receiver alone.
fn has_left(work: &Work<'_>, repository: &Repository, from: &str) -> bool {
    let login = work.connection.account.login.as_str();
    work.connection.kind.forge() == Forge::Gitlab
        && is_inside(from, login)
        && !repository.full_path.is_empty()
        && !is_inside(&repository.full_path, login)
}

/// Not compared by time: a deletion is a number's last word and may carry the time of an earlier one. What the forge
/// says of the repository at a later time brings it back.
pub(super) fn deleted(work: &mut Work<'_>, repository: &Repository) {
    let at = work.at();
    remove(work, repository, at, "deleted at the forge");
}

pub(super) fn withdrawn(work: &mut Work<'_>, repository: &Repository) {
    let at = work.received_at();
    let is_elsewhere = |known: &Project| known.connection != work.connection.key;
    if work.project(repository.id).is_some_and(|known| is_elsewhere(&known)) {
        return work.supersede("the repository belongs to another connection by now");
    }
    // Received before something that was applied since: the old turn of a grant that came and went.
    if work.project(repository.id).is_some_and(|known| known.seen_at > Some(at)) {
        return work.supersede("a newer statement about this repository was applied");
    }
    remove(work, repository, at, "no longer granted to the installation");
}

fn remove(work: &mut Work<'_>, repository: &Repository, at: Timestamp, why: &str) {
    let mut project = work.project(repository.id).unwrap_or_else(|| unknown(work, repository));
    let is_news = !project.removed;
    project.removed = true;
    project.seen_at = project.seen_at.max(Some(at));
    if is_news {
        work.audit("project.removed", project.shown_path(), why);
    }
    work.put_project(project);
}

/// An installation was granted the repository. It tells little more than the name.
pub(super) fn granted(work: &mut Work<'_>, repository: &Repository) {
    let received_at = work.received_at();
    match standing(work, repository, received_at) {
        Standing::Old(project) => {
            work.supersede(format!("a newer statement about {} was applied", project.shown_path()));
        }
        Standing::Fresh(mut project) => {
            let is_back = project.removed || project.connection != work.connection.key;
            let told = Repository { full_path: String::new(), ..repository.clone() };
            let had = project.seen_at;
            // A name that a repository's own statement gave is better than one from a list of unknown age.
            describe(work, &mut project, if had.is_none() { repository } else { &told });
            project.seen_at = if is_back { had.max(Some(received_at)) } else { had };
            project.moved_away = false;
            work.put_project(project);
        }
    }
}

/// An account or group above has a new name: so have all that lies below it.
pub(super) fn rename_below(work: &mut Work<'_>, from: &str, to: &str) {
    if from.is_empty() || to.is_empty() || from == to {
        return;
    }
    for id in work.projects_of_connection() {
        let Some(mut project) = work.project(id) else { continue };
        let below = project.full_path.strip_prefix(from).filter(|rest| rest.starts_with('/'));
        if let Some(path) = below.map(|rest| format!("{to}{rest}")) {
            project.rename(&path);
            work.put_project(project);
        }
    }
}
