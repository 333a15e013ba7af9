//! A small world that keeps what handlers decide, and the tables of each family.

mod check_in;
mod declare;
mod histories;
mod installation;
mod inventory;
mod lane;
mod membership;
mod project;
mod roster;
mod route;
mod run;

use std::collections::{BTreeMap, BTreeSet};

use super::{Routing, handle, lookup};
use crate::domain::change::{AuditEntry, Change, Changes};
use crate::domain::connection::Beginning;
use crate::domain::event::{About, AccountRef, Event, Fact, Person, Repository};
use crate::domain::known::{Candidates, Known, RecordKey, Versioned};
use crate::domain::organization::{
    Account, Connection, ConnectionState, Forge, Kind, Member, MemberState, Organization, Role, Source,
};
use crate::domain::pipeline::{Pipeline, RunKind};
use crate::domain::project::{Project, Proof, Visibility};
use crate::domain::task::TaskKind;
use crate::domain::{ConnectionKey, Host, OrganizationSlug, SourceKey, Timestamp};

const ACME: u64 = 100;
const INSTALLATION: u64 = 7;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn org(slug: &str) -> OrganizationSlug {
    OrganizationSlug::parse(slug).unwrap()
}

fn key(key: &str) -> ConnectionKey {
    ConnectionKey::parse(key).unwrap()
}

fn url(forge: Forge) -> url::Url {
    url::Url::parse(&format!("https://{}.com", forge.as_str())).unwrap()
}

fn host(forge: Forge) -> Host {
    Host::of(&url(forge)).unwrap()
}

fn source(forge: Forge, organizations: &[&str]) -> Source {
    Source {
        key: SourceKey::parse("app").unwrap(),
        forge,
        host: host(forge),
        url: url(forge),
        organizations: organizations.iter().map(|slug| org(slug)).collect(),
        created_by: "config".to_owned(),
        removed: false,
        app: None,
    }
}

fn connection(name: &str, organization: &str, forge: Forge, login: &str, id: Option<u64>) -> Connection {
    Connection {
        authority: true,
        reasons: vec![ConnectionState::WaitingFirstJob],
        ..Connection::begin(Beginning {
            key: key(name),
            organization: org(organization),
            kind: Kind::of(forge, &host(forge)),
            host: host(forge),
            url: url(forge),
            account: Account { login: login.to_owned(), external_id: id },
            source: SourceKey::parse("app").unwrap(),
            created_by: "config".to_owned(),
            created_at: at(0),
        })
    }
}

/// An event of the account acme (100) at GitHub, through installation 7.
fn event(told: Option<i64>, fact: Fact) -> Event {
    let account = Some(AccountRef { id: Some(ACME), login: "acme".to_owned() });
    let about = About { installation: Some(INSTALLATION), account, project: None, group: None };
    Event { name: "event".to_owned(), action: None, about, at: told.map(at), fact }
}

/// An event of the group acme (100) at GitLab.
fn group_event(group: u64, told: Option<i64>, fact: Fact) -> Event {
    let about = About { group: Some(group), ..About::default() };
    Event { about, ..event(told, fact) }
}

fn repo(id: u64, path: &str) -> Repository {
    Repository { id, full_path: path.to_owned(), default_branch: None, visibility: None, archived: None }
}

fn person(id: u64) -> Person {
    Person { id, login: format!("user-{id}"), bot: false }
}

fn added(id: u64) -> Fact {
    Fact::MemberAdded { person: person(id), role: Some("admin".to_owned()) }
}

fn removed(id: u64) -> Fact {
    Fact::MemberRemoved { person: Some(person(id)) }
}

/// Keeps what handlers decide, as a store would: all of it or nothing, with versions.
#[derive(Debug, Clone)]
struct World {
    source: Source,
    organization: Organization,
    connections: BTreeMap<ConnectionKey, Versioned<Connection>>,
    projects: BTreeMap<u64, Versioned<Project>>,
    members: BTreeMap<u64, Versioned<Member>>,
    runs: BTreeMap<(u64, RunKind, u64), Versioned<Pipeline>>,
    audit: Vec<AuditEntry>,
    replay_suspected: bool,
}

impl World {
    /// Organization acme, whose authority is the connection `app-acme`.
    fn new(forge: Forge) -> Self {
        let organization = Organization {
            slug: org("acme"),
            name: "Acme".to_owned(),
            home: None,
            authority: Some(key("app-acme")),
            created_by: "config".to_owned(),
            created_at: at(0),
            members: Default::default(),
            break_glass: None,
        };
        let mut world = Self {
            source: source(forge, &["acme"]),
            organization,
            connections: BTreeMap::new(),
            projects: BTreeMap::new(),
            members: BTreeMap::new(),
            runs: BTreeMap::new(),
            audit: Vec::new(),
            replay_suspected: false,
        };
        let id = (forge == Forge::Gitlab).then_some(ACME);
        world.put(Change::PutConnection(Box::new(connection("app-acme", "acme", forge, "acme", id))));
        world
    }

    fn candidates(&self, about: &About) -> Candidates {
        let all = || self.connections.values().map(|found| &found.value);
        let id = about.group.or(about.account.as_ref().and_then(|account| account.id));
        let holder = about.project.and_then(|id| self.projects.get(&id)).map(|found| &found.value.connection);
        Candidates {
            by_installation: all()
                .find(|c| c.holds() && c.installation.is_some() && c.installation == about.installation)
                .cloned(),
            by_account: all().find(|c| c.holds() && id.is_some() && c.account.external_id == id).cloned(),
            by_project: all().find(|c| Some(&c.key) == holder).cloned(),
            of_source: all().filter(|c| c.source == self.source.key).cloned().collect(),
            by_login: all()
                .filter(|c| about.account.as_ref().is_some_and(|told| told.login == c.account.login))
                .filter(|c| c.rejected_at.is_none())
                .cloned()
                .collect(),
        }
    }

    fn known(&self, event: &Event, connection: &Connection, received: Timestamp) -> Known {
        let wanted = lookup(event);
        let whole = |p: &Project| wanted.all_projects_of_connection && p.connection == connection.key;
        let is_wanted = |p: &Project| wanted.projects.contains(&p.external_id) || whole(p);
        let recorded = self.connections.get(&connection.key).cloned();
        Known {
            received_at: received,
            replay_suspected: self.replay_suspected,
            source: self.source.clone(),
            organization: Versioned { version: 1, value: self.organization.clone() },
            connection: recorded.unwrap_or(Versioned { version: 0, value: connection.clone() }),
            projects: self.projects.values().filter(|found| is_wanted(&found.value)).cloned().collect(),
            members: wanted.members.iter().filter_map(|id| self.members.get(id)).cloned().collect(),
            runs: wanted.runs.iter().filter_map(|run| self.runs.get(run)).cloned().collect(),
        }
    }

    /// Routes, handles and keeps. Whatever is routed must write something (ruling 35).
    fn deliver(&mut self, event: &Event, received: i64) -> Changes {
        let routed = super::route(&self.source, event, &self.candidates(&event.about), at(received));
        let own: Vec<Connection> = self.connections.values().map(|found| found.value.clone()).collect();
        let changes = match routed {
            Routing::End(changes) => changes,
            Routing::New(new) if super::rejected(event, &new, &own).is_some() => {
                super::rejected(event, &new, &own).unwrap()
            }
            Routing::To(connection) | Routing::New(connection) => {
                let changes = handle(event, &self.known(event, &connection, at(received)));
                assert!(!changes.changes.is_empty(), "nothing to write for {event:?}");
                changes
            }
        };
        for (key, version) in &changes.expects {
            assert_eq!(self.version(key), *version, "{key:?}");
        }
        let keys: BTreeSet<&RecordKey> = changes.expects.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), changes.expects.len(), "a record is expected twice");
        for change in &changes.changes {
            if let Some(key) = record_of(change) {
                assert!(keys.contains(&key), "written without being looked at: {key:?}");
            }
            self.put(change.clone());
        }
        changes
    }

    fn version(&self, key: &RecordKey) -> u64 {
        let found = match key {
            RecordKey::Organization(_) | RecordKey::Source(_) => Some(1),
            RecordKey::Connection(key) => self.connections.get(key).map(|found| found.version),
            RecordKey::Project(_, _, id) => self.projects.get(id).map(|found| found.version),
            RecordKey::Member(_, _, id) => self.members.get(id).map(|found| found.version),
            RecordKey::Pipeline(_, _, project, kind, id) => {
                self.runs.get(&(*project, *kind, *id)).map(|found| found.version)
            }
            RecordKey::CheckIn(_)
            | RecordKey::Scan(_)
            | RecordKey::Hold(_)
            | RecordKey::Task(_)
            | RecordKey::Account(..)
            | RecordKey::Login(..) => None,
        };
        found.unwrap_or(0)
    }

    fn put(&mut self, change: Change) {
        fn set<K: Ord, T>(map: &mut BTreeMap<K, Versioned<T>>, key: K, value: T) {
            let version = map.get(&key).map_or(0, |old| old.version) + 1;
            map.insert(key, Versioned { version, value });
        }
        match change {
            Change::PutConnection(new) => set(&mut self.connections, new.key.clone(), *new),
            Change::PutProject(new) => set(&mut self.projects, new.external_id, *new),
            Change::PutMember(new) => set(&mut self.members, new.external_id, *new),
            Change::PutPipeline(new) => {
                set(&mut self.runs, (new.project, new.kind, new.external_id), *new);
            }
            Change::Audit(entry) => self.audit.push(entry),
            Change::PutOrganization(new) => self.organization = new,
            Change::PutSource(new) => self.source = new,
            Change::DropProject(_, _, id) => drop(self.projects.remove(&id)),
            Change::PutCredential(_)
            | Change::DropCredential(..)
            | Change::Wish(_)
            | Change::EndAccess(..) => {}
            Change::PutCheckIn(_)
            | Change::PutScan(_)
            | Change::PutToken(_)
            | Change::PutHold(_)
            | Change::DropHold(_) => {
                unreachable!("no event makes one")
            }
        }
    }

    fn connection(&self) -> &Connection {
        &self.connections[&key("app-acme")].value
    }

    fn change_connection(&mut self, change: impl FnOnce(&mut Connection)) {
        change(&mut self.connections.get_mut(&key("app-acme")).unwrap().value);
    }

    fn project(&self, id: u64) -> &Project {
        &self.projects[&id].value
    }

    fn member(&self, id: u64) -> &Member {
        &self.members[&id].value
    }

    /// What a reading of the forge's own list would do.
    fn confirm(&mut self, id: u64, role: Role) {
        let member = &mut self.members.get_mut(&id).unwrap().value;
        member.state = MemberState::Active;
        member.role = Some(role);
    }

    /// Kind, subject and time of what is wished.
    fn wishes(changes: &Changes) -> Vec<(TaskKind, String, Timestamp)> {
        let wish = |change: &Change| match change {
            Change::Wish(wish) => Some((wish.kind, wish.subject.clone(), wish.due_at)),
            _ => None,
        };
        changes.changes.iter().filter_map(wish).collect()
    }

    fn actions(&self) -> Vec<&str> {
        self.audit.iter().map(|entry| entry.action.as_str()).collect()
    }
}

fn record_of(change: &Change) -> Option<RecordKey> {
    match change {
        Change::PutOrganization(new) => Some(RecordKey::Organization(new.slug.clone())),
        Change::PutSource(new) => Some(RecordKey::Source(new.key.clone())),
        Change::PutConnection(new) => Some(RecordKey::Connection(new.key.clone())),
        Change::PutProject(p) => {
            Some(RecordKey::Project(p.organization.clone(), p.host.clone(), p.external_id))
        }
        Change::PutMember(m) => {
            Some(RecordKey::Member(m.organization.clone(), m.host.clone(), m.external_id))
        }
        Change::PutPipeline(run) => Some(RecordKey::Pipeline(
            run.organization.clone(),
            run.host.clone(),
            run.project,
            run.kind,
            run.external_id,
        )),
        Change::DropProject(of, host, id) => Some(RecordKey::Project(of.clone(), host.clone(), *id)),
        Change::PutCheckIn(_)
        | Change::PutScan(_)
        | Change::PutToken(_)
        | Change::EndAccess(..)
        | Change::PutHold(_)
        | Change::DropHold(_)
        | Change::PutCredential(_)
        | Change::DropCredential(..)
        | Change::Wish(_)
        | Change::Audit(_) => None,
    }
}
