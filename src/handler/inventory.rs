//! Which projects there are, by a whole list of an account's repositories: each by its number.
//!
//! What is recorded comes piece by piece, so that a hundred thousand projects are never in memory together.

use std::collections::BTreeMap;

use super::project::{first_heard, take_over};
use super::work::audit_entry_by;
use crate::domain::Timestamp;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::event::Repository;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::Connection;
use crate::domain::project::{Project, claim_number};

/// A statement this much older than the beginning of a reading may still be newer than what was read: the forge's
/// clock is not ours.
const DOUBT_MS: i64 = 10 * 60 * 1000;

/// A list that was read to its end, and when its reading began.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// What lies in the account, by number.
    pub repositories: BTreeMap<u64, Repository>,
    /// When its reading began.
    pub began_at: Timestamp,
    /// Whether what is not in it is not there: the forge counts as many as it gave, and shows all that there is. If
    /// not, nothing is taken for gone.
    pub is_whole: bool,
}

/// What one repository's record becomes, with the versions that this stands on.
#[derive(Debug)]
pub struct ProjectStep {
    /// What to write.
    pub changes: Vec<Change>,
    /// The records that were looked at.
    pub expects: Vec<(RecordKey, u64)>,
    /// What it is, for counting.
    pub what: ProjectChange,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProjectChange {
    /// Not known before.
    Found,
    /// Back, or another name, branch, visibility, connection.
    Changed,
    /// Not there any more, or no longer shown.
    Gone,
}

/// A list, compared with what is recorded: first with the projects of the organization at that forge, by rising number
/// and piece by piece ([`Self::compare`]), then what is left of it is new ([`Self::rest`]).
#[derive(Debug)]
pub struct Stocktaking<'a> {
    list: Inventory,
    /// Nothing is taken for gone by an empty list, whatever the forge counts.
    is_empty: bool,
    /// What jobs have claimed: it goes over to the repository of that path. Its numbers are the highest, so all of it
    /// has come by before the rest is asked for.
    claims: BTreeMap<u64, Versioned<Project>>,
    connection: &'a Connection,
    now: Timestamp,
}

impl<'a> Stocktaking<'a> {
    /// Begins with the list.
    #[must_use]
    pub fn new(list: Inventory, connection: &'a Connection, now: Timestamp) -> Self {
        let is_empty = list.repositories.is_empty();
        Self { list, is_empty, claims: BTreeMap::new(), connection, now }
    }

    /// What becomes of these projects.
    pub fn compare(&mut self, known: Vec<Versioned<Project>>) -> Vec<ProjectStep> {
        let mut steps = Vec::new();
        for found in known {
            let step = match self.list.repositories.remove(&found.value.external_id) {
                Some(told) => self.listed(&told, &found),
                None => self.missing(&found),
            };
            steps.extend(step);
            if found.value.number().is_none() {
                self.claims.insert(found.value.external_id, found);
            }
        }
        steps
    }

    /// What is not recorded yet.
    pub fn rest(mut self) -> impl Iterator<Item = ProjectStep> {
        let repositories = std::mem::take(&mut self.list.repositories);
        repositories.into_values().map(move |told| self.found(&told))
    }

    fn listed(&self, told: &Repository, found: &Versioned<Project>) -> Option<ProjectStep> {
        if self.is_doubtful(&found.value) {
            return None;
        }
        let mut project = found.value.clone();
        take_over(&mut project, told, self.connection);
        project.moved_away = false;
        if project == found.value {
            return None;
        }
        project.seen_at = project.seen_at.max(Some(self.told_at()));
        let line = self.line("project.changed", &found.value, &project);
        Some(self.step(ProjectChange::Changed, project, found.version, line))
    }

    fn found(&self, told: &Repository) -> ProjectStep {
        let claim = self.claims.get(&claim_number(&told.full_path));
        let claimed = claim.map(|found| found.value.clone());
        let mut project = first_heard(self.connection, told, claimed, self.now);
        take_over(&mut project, told, self.connection);
        // A list of tens of thousands needs no line for each; what changes later has one.
        let mut step = self.step(ProjectChange::Found, project, 0, None);
        if let Some(claim) = claim {
            let (slug, host) = (claim.value.organization.clone(), claim.value.host.clone());
            let number = claim.value.external_id;
            step.expects.push((RecordKey::Project(slug.clone(), host.clone(), number), claim.version));
            step.changes.insert(0, Change::DropProject(slug, host, number));
        }
        step
    }

    fn missing(&self, found: &Versioned<Project>) -> Option<ProjectStep> {
        let project = &found.value;
        let concludes = self.list.is_whole && !self.is_empty;
        let is_ours = project.connection == self.connection.key && project.number().is_some();
        let is_gone = project.removed || project.moved_away;
        if !concludes || !is_ours || is_gone || self.is_doubtful(project) {
            return None;
        }
        let gone =
            Project { removed: true, seen_at: project.seen_at.max(Some(self.told_at())), ..project.clone() };
        let line = self.line("project.removed", project, &gone);
        Some(self.step(ProjectChange::Gone, gone, found.version, line))
    }

    fn is_doubtful(&self, project: &Project) -> bool {
        project.seen_at.is_some_and(|seen| seen >= self.told_at())
    }

    /// From when on an event about a repository is newer than the list.
    fn told_at(&self) -> Timestamp {
        self.list.began_at.plus_ms(DOUBT_MS.saturating_neg())
    }

    fn line(&self, action: &str, before: &Project, after: &Project) -> Option<AuditEntry> {
        let organization = Some(&self.connection.organization);
        let subject = format!("{} ({})", after.full_path, after.external_id);
        let entry = audit_entry_by("sync", self.now, organization, action, subject, "");
        let (before, after) = (Some(standing(before)), Some(standing(after)));
        Some(AuditEntry { before, after, why: Some("the list of repositories".into()), ..entry })
    }

    fn step(
        &self,
        what: ProjectChange,
        project: Project,
        version: u64,
        line: Option<AuditEntry>,
    ) -> ProjectStep {
        let key = RecordKey::Project(project.organization.clone(), project.host.clone(), project.external_id);
        let mut changes = vec![Change::PutProject(Box::new(project))];
        changes.extend(line.map(Change::Audit));
        ProjectStep { changes, expects: vec![(key, version)], what }
    }
}

/// `acme/site, main, private, through acme-github`.
fn standing(project: &Project) -> String {
    let branch = project.default_branch.as_deref().unwrap_or("no branch");
    let visibility = project.visibility.map_or("unknown", |visibility| match visibility {
        crate::domain::project::Visibility::Public => "public",
        crate::domain::project::Visibility::Internal => "internal",
        crate::domain::project::Visibility::Private => "private",
    });
    let gone = if project.removed { ", removed" } else { "" };
    let archived = if project.archived { ", archived" } else { "" };
    format!("{}, {branch}, {visibility}, through {}{archived}{gone}", project.full_path, project.connection)
}
