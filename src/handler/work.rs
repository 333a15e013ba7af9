//! What a handler has on its desk: the event, what is known, and what is to change.

use std::collections::BTreeMap;

use crate::domain::change::{AuditEntry, Change, Changes, Reason, Verdict};
use crate::domain::event::{Event, Fact};
use crate::domain::known::{Known, RecordKey};
use crate::domain::organization::{Connection, ConnectionState, Member};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::{Project, Proof};
use crate::domain::task::{TaskKind, Wish};
use crate::domain::{OrganizationSlug, Timestamp};

/// A forge's clock that runs ahead by more than this may not freeze a record until its future has come.
const CLOCK_AHEAD_MS: i64 = 5 * 60 * 1000;

/// A connection is not written for its `last_event_at` alone more often than this: every event of an account would
/// queue up at that one record.
const HEARD_EVERY_MS: i64 = 1000;

/// So long after an event, what it was about is read.
const SETTLED_MS: i64 = 10_000;

/// One event being handled.
pub(super) struct Work<'a> {
    pub(super) event: &'a Event,
    pub(super) known: &'a Known,
    /// As it will be; [`Work::finish`] writes it when that is worth it.
    pub(super) connection: Connection,
    projects: BTreeMap<u64, Project>,
    member: Option<Member>,
    run: Option<Pipeline>,
    audit: Vec<AuditEntry>,
    wishes: Vec<Wish>,
    /// Whose access ends.
    ended: Option<String>,
    applied: bool,
    superseded: Option<String>,
    ignored: Option<Reason>,
}

impl<'a> Work<'a> {
    pub(super) fn new(event: &'a Event, known: &'a Known) -> Self {
        let mut work = Self {
            event,
            known,
            connection: known.connection.value.clone(),
            projects: BTreeMap::new(),
            member: None,
            run: None,
            audit: Vec::new(),
            wishes: Vec::new(),
            ended: None,
            applied: false,
            superseded: None,
            ignored: None,
        };
        work.learn();
        work
    }

    /// The forge's own time of the statement, where it gives one.
    pub(super) fn told_at(&self) -> Option<Timestamp> {
        self.event.at.map(|at| at.min(self.known.received_at.plus_ms(CLOCK_AHEAD_MS)))
    }

    /// What version guards compare: the forge's time, else the time of receipt.
    pub(super) fn at(&self) -> Timestamp {
        self.told_at().unwrap_or(self.known.received_at)
    }

    /// When the delivery reached us.
    pub(super) fn received_at(&self) -> Timestamp {
        self.known.received_at
    }

    /// Whether the routed connection manages the organization's members.
    pub(super) fn is_authority(&self) -> bool {
        self.known.organization.value.authority.as_ref() == Some(&self.connection.key)
    }

    /// Whether the connection is switched off or gone.
    pub(super) fn is_off(&self) -> bool {
        self.connection.is_off()
    }

    pub(super) fn has(&self, reason: ConnectionState) -> bool {
        self.connection.reasons.contains(&reason)
    }

    /// Every event says a little about its connection.
    fn learn(&mut self) {
        let heard_before = self.connection.last_event_at;
        self.connection.last_event_at = heard_before.max(Some(self.received_at()));
        self.connection.clear_reasons(&[ConnectionState::WaitingFirstJob, ConnectionState::WebhookSilent]);
        if std::mem::take(&mut self.connection.proof) == Proof::Claimed {
            self.audit("connection.proven", self.connection.key.as_str().to_owned(), "by a signed event");
        }
        self.connection.installation = self.connection.installation.or(self.event.about.installation);
        self.learn_account(heard_before);
    }

    fn learn_account(&mut self, heard_before: Option<Timestamp>) {
        let Some(told) = &self.event.about.account else { return };
        let account = &mut self.connection.account;
        if account.external_id.is_none() && account.login == told.login {
            account.external_id = told.id;
        }
        // A name is taken over only from a statement made after all that was heard before: late events carry old ones.
        let is_newest = self.event.at.is_some_and(|at| heard_before.is_none_or(|heard| at >= heard));
        let is_same = told.id.is_some() && account.external_id == told.id;
        let tells_itself = matches!(self.event.fact, Fact::AccountRenamed { .. });
        if is_same && is_newest && !tells_itself && !told.login.is_empty() {
            account.login.clone_from(&told.login);
        }
    }

    /// Something was applied, or was so already.
    pub(super) fn apply(&mut self) {
        self.applied = true;
    }

    /// Something newer was known; says what.
    pub(super) fn supersede(&mut self, what: impl Into<String>) {
        self.superseded.get_or_insert(what.into());
    }

    pub(super) fn ignore(&mut self, reason: Reason) {
        self.ignored = Some(reason);
    }

    /// The member list may be out of date since now, or since longer: it is to be read.
    pub(super) fn mark_roster_stale(&mut self) {
        self.connection.roster_stale_since.get_or_insert(self.known.received_at);
        if self.is_authority() {
            self.wish(TaskKind::SyncMembers, String::new(), SETTLED_MS);
        }
    }

    /// What an event says of the connection itself is a hint: the forge is asked at once, and not at the next turn.
    pub(super) fn doubt_connection(&mut self) {
        self.wish(TaskKind::CheckConnection, String::new(), 0);
    }

    /// Repositories may have come or gone that nobody has told of: they are to be read as well.
    pub(super) fn doubt_repositories(&mut self) {
        self.doubt_connection();
        self.wish(TaskKind::SyncConnection, String::new(), SETTLED_MS);
    }

    /// What is known of a person's membership may be out of date: they are to be read by themselves, or, where nobody
    /// can ask, with the list.
    pub(super) fn doubt(&mut self, person: u64) {
        if self.can_ask() {
            self.wish(TaskKind::SyncPerson, person.to_string(), SETTLED_MS);
        } else {
            self.mark_roster_stale();
        }
    }

    fn can_ask(&self) -> bool {
        self.is_authority() && self.connection.credential != "none"
    }

    /// After so long a wait: a list comes to know of an event a little later than the event was sent.
    fn wish(&mut self, kind: TaskKind, subject: String, wait_ms: i64) {
        let is_wished = |wish: &Wish| wish.kind == kind && wish.subject == subject;
        if self.connection.credential == "none" || self.wishes.iter().any(is_wished) {
            return;
        }
        let (at, connection) = (self.known.received_at, &self.connection);
        let wish = Wish::now(kind, &connection.organization, &connection.key, "webhook", at);
        self.wishes.push(Wish { subject, due_at: at.plus_ms(wait_ms), ..wish });
    }

    /// Everything that the person could come in with ends.
    pub(super) fn end_access(&mut self, member: &Member) {
        self.applied = true;
        self.ended = Some(member.id());
    }

    /// The project as it is known, or as this work has changed it already.
    pub(super) fn project(&self, id: u64) -> Option<Project> {
        self.projects.get(&id).or_else(|| self.known.project(id)).cloned()
    }

    pub(super) fn put_project(&mut self, project: Project) {
        self.applied = true;
        self.projects.insert(project.external_id, project);
    }

    /// The numbers of all known projects that came through the connection.
    pub(super) fn projects_of_connection(&self) -> Vec<u64> {
        let all = self.known.projects.iter().map(|found| &found.value);
        let own = all.filter(|project| project.connection == self.connection.key);
        own.map(|project| project.external_id).collect()
    }

    pub(super) fn put_member(&mut self, member: Member) {
        self.applied = true;
        self.member = Some(member);
    }

    pub(super) fn put_run(&mut self, run: Pipeline) {
        self.applied = true;
        self.run = Some(run);
    }

    /// A line for the organization's audit log.
    pub(super) fn audit(&mut self, action: &str, subject: impl Into<String>, detail: &str) {
        let organization = Some(&self.connection.organization);
        self.audit.push(audit_entry(self.known.received_at, organization, action, subject.into(), detail));
    }

    /// The whole answer.
    pub(super) fn finish(mut self) -> Changes {
        let reasons = self.connection.reasons.clone();
        self.connection.health.note(&reasons, self.known.received_at);
        let verdict = match (&self.ignored, &self.superseded) {
            (Some(reason), _) => Verdict::Ignored(*reason),
            (None, Some(what)) if !self.applied => Verdict::Superseded(what.clone()),
            _ => Verdict::Done,
        };
        Changes {
            verdict,
            organization: Some(self.connection.organization.clone()),
            connection: Some(self.connection.key.clone()),
            expects: self.expects(),
            changes: self.changes(),
        }
    }

    fn changes(self) -> Vec<Change> {
        let known = self.known;
        let claims =
            self.projects.values().filter_map(|new| new.claimed_as).filter(|id| known.project(*id).is_some());
        let home = (&self.connection.organization, &self.connection.host);
        let claims =
            claims.map(|id| Change::DropProject(home.0.clone(), home.1.clone(), id)).collect::<Vec<_>>();
        let projects = self.projects.into_values().filter(|new| known.project(new.external_id) != Some(new));
        let members = self.member.into_iter().filter(|new| known.member(new.external_id) != Some(new));
        let is_known =
            |new: &Pipeline| known.run(new.project, new.kind, new.external_id).is_some_and(|old| old == new);
        let runs = self.run.into_iter().filter(|new| !is_known(new));
        let mut changes = claims;
        changes.extend(projects.map(|project| Change::PutProject(Box::new(project))));
        changes.extend(members.map(|member| Change::PutMember(Box::new(member))));
        changes.extend(runs.map(|run| Change::PutPipeline(Box::new(run))));
        changes.extend(self.ended.into_iter().map(|member| Change::EndAccess(member, known.received_at)));
        changes.extend(self.wishes.into_iter().map(|wish| Change::Wish(Box::new(wish))));
        changes.extend(self.audit.into_iter().map(Change::Audit));
        if changes.is_empty() || is_worth_writing(known, &self.connection) {
            changes.insert(0, Change::PutConnection(Box::new(self.connection)));
        }
        changes
    }

    /// Everything that was looked at, absent records (version 0) included.
    fn expects(&self) -> Vec<(RecordKey, u64)> {
        let connection = &self.connection;
        let at_home = || (connection.organization.clone(), connection.host.clone());
        let project = |id| {
            let (organization, host) = at_home();
            RecordKey::Project(organization, host, id)
        };
        let member = |id| {
            let (organization, host) = at_home();
            RecordKey::Member(organization, host, id)
        };
        let known = self.known;
        let wanted = super::lookup(self.event);
        let mut expects = BTreeMap::new();
        expects.extend(wanted.projects.iter().map(|id| (project(*id), 0)));
        expects.extend(wanted.members.iter().map(|id| (member(*id), 0)));
        expects.extend(wanted.runs.iter().map(|(of, kind, id)| {
            let (organization, host) = at_home();
            (RecordKey::Pipeline(organization, host, *of, *kind, *id), 0)
        }));
        expects.extend(known.projects.iter().map(|found| (project(found.value.external_id), found.version)));
        expects.extend(known.members.iter().map(|found| (member(found.value.external_id), found.version)));
        expects.extend(known.runs.iter().map(|found| {
            let (organization, host) = at_home();
            let run = &found.value;
            (RecordKey::Pipeline(organization, host, run.project, run.kind, run.external_id), found.version)
        }));
        expects.insert(RecordKey::Connection(connection.key.clone()), known.connection.version);
        // Who the authority is decides whether a person's fact counts.
        let organization = RecordKey::Organization(connection.organization.clone());
        expects.insert(organization, known.organization.version);
        expects.into_iter().collect()
    }
}

fn is_worth_writing(known: &Known, new: &Connection) -> bool {
    let old = &known.connection.value;
    let heard = match (old.last_event_at, new.last_event_at) {
        (Some(before), Some(now)) => now.since(before) >= HEARD_EVERY_MS,
        (before, now) => before != now,
    };
    let same = Connection { last_event_at: new.last_event_at, ..old.clone() } == *new;
    known.connection.version == 0 || heard || !same
}

/// An audit line by a webhook.
pub(super) fn audit_entry(
    at: Timestamp,
    organization: Option<&OrganizationSlug>,
    action: &str,
    subject: String,
    detail: &str,
) -> AuditEntry {
    audit_entry_by("webhook", at, organization, action, subject, detail)
}

/// An audit line. What comes from a payload is kept short and on one line.
pub(super) fn audit_entry_by(
    actor: &str,
    at: Timestamp,
    organization: Option<&OrganizationSlug>,
    action: &str,
    subject: String,
    detail: &str,
) -> AuditEntry {
    AuditEntry {
        at,
        organization: organization.cloned(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: on_one_line(&subject),
        detail: on_one_line(detail),
        ..AuditEntry::default()
    }
}

/// At most 512 bytes, without control characters.
fn on_one_line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if line.len().saturating_add(letter.len_utf8()) > 512 {
            break;
        }
        line.push(letter);
    }
    line
}
