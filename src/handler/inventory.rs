//! Which projects there are, by a whole list of an account's repositories: each by its number.

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

/// A whole list, and when its reading began.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// What lies in the account, by number.
    pub repositories: BTreeMap<u64, Repository>,
    /// When its reading began.
    pub began_at: Timestamp,
    /// Whether the forge counts as many as it gave. If not, nothing is taken for gone.
    pub counts_agree: bool,
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

/// Compares a list with all projects that the organization has at that forge, by number.
#[must_use]
pub fn inventory(
    list: &Inventory,
    known: &BTreeMap<u64, Versioned<Project>>,
    connection: &Connection,
    now: Timestamp,
) -> Vec<ProjectStep> {
    let desk = Desk { list, known, connection, now };
    let listed = list.repositories.values().filter_map(|repository| desk.listed(repository));
    let missing = known.values().filter(|_| list.counts_agree).filter_map(|found| desk.missing(found));
    listed.chain(missing).collect()
}

struct Desk<'a> {
    list: &'a Inventory,
    known: &'a BTreeMap<u64, Versioned<Project>>,
    connection: &'a Connection,
    now: Timestamp,
}

impl Desk<'_> {
    fn listed(&self, told: &Repository) -> Option<ProjectStep> {
        let Some(found) = self.known.get(&told.id) else { return Some(self.found(told)) };
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
        let claim = self.known.get(&claim_number(&told.full_path));
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
        let is_ours = project.connection == self.connection.key && project.number().is_some();
        let is_gone = project.removed || project.moved_away;
        let is_listed = self.list.repositories.contains_key(&project.external_id);
        if !is_ours || is_gone || is_listed || self.is_doubtful(project) {
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
