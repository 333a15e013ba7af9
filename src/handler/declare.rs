//! What the operator declares in a file, against what is recorded. Pure, and silent where nothing differs.
//!
//! The file says what should be; what was learnt from the forge since (numbers, names, states) stays. A key never
//! changes its owner. What was made elsewhere and is not in the file is left alone.

use std::collections::{BTreeMap, BTreeSet};

use super::break_glass::{lower, raise};
use crate::domain::break_glass::BreakGlass;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::connection::Beginning;
use crate::domain::declared::{Declared, DeclaredConnection, DeclaredOrganization, DeclaredSource};
use crate::domain::organization::{Account, Connection, ConnectionState, Member, Organization, Source};
use crate::domain::{ConnectionKey, OrganizationSlug, Timestamp};

/// Made by the file.
const CONFIG: &str = "config";
/// Made by the file, and no longer in it: told apart so that declaring it again takes back only what leaving it did.
const DROPPED: &str = "config-removed";

/// Everything that is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Have {
    /// All organizations.
    pub organizations: Vec<Organization>,
    /// All sources, removed ones included.
    pub sources: Vec<Source>,
    /// All connections.
    pub connections: Vec<Connection>,
    /// The members who are break-glass admins, or whom the file names as such.
    pub members: Vec<Member>,
}

/// Decides what must be written so that the records say what the file says; the sentences are for the operator.
#[must_use]
pub fn declare(wanted: &Declared, have: &Have, now: Timestamp) -> (Vec<Change>, Vec<String>) {
    let mut plan = Plan { wanted, have, now, changes: Vec::new(), warnings: Vec::new() };
    let authorities = plan.organizations();
    plan.sources();
    plan.connections(&authorities);
    (plan.changes, plan.warnings)
}

type Authorities = BTreeMap<OrganizationSlug, ConnectionKey>;

struct Plan<'a> {
    wanted: &'a Declared,
    have: &'a Have,
    now: Timestamp,
    changes: Vec<Change>,
    warnings: Vec<String>,
}

impl Plan<'_> {
    fn audit(&mut self, organization: Option<&OrganizationSlug>, action: &str, subject: &str, detail: &str) {
        self.changes.push(Change::Audit(AuditEntry {
            at: self.now,
            organization: organization.cloned(),
            actor: CONFIG.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
            ..AuditEntry::default()
        }));
    }

    /// Returns who manages whom afterwards.
    fn organizations(&mut self) -> Authorities {
        let (wanted, have) = (self.wanted, self.have);
        let mut authorities = Authorities::new();
        for declared in &wanted.organizations {
            let old = have.organizations.iter().find(|old| old.slug == declared.slug);
            let new = self.organization(declared, old);
            authorities.extend(new.authority.clone().map(|key| (new.slug.clone(), key)));
            if old.is_none() {
                self.audit(Some(&declared.slug), "organization.created", declared.slug.as_str(), "");
            }
            self.break_glass(old, &new);
            if old != Some(&new) {
                self.changes.push(Change::PutOrganization(new));
            }
        }
        let slugs: BTreeSet<_> = wanted.organizations.iter().map(|declared| &declared.slug).collect();
        for old in have.organizations.iter().filter(|old| !slugs.contains(&old.slug)) {
            if old.created_by == CONFIG {
                self.warnings.push(format!(
                    "organization \"{}\" is no longer declared; it is kept as it is",
                    old.slug
                ));
            }
            let authority = old.authority.clone().filter(|key| !self.is_dropped(key));
            authorities.extend(authority.clone().map(|key| (old.slug.clone(), key)));
            let new = Organization { authority, break_glass: None, ..old.clone() };
            self.break_glass(Some(old), &new);
            if new != *old {
                self.changes.push(Change::PutOrganization(new));
            }
        }
        authorities
    }

    /// Whom the file names as an admin whatever the forges say, and whom it names so no more.
    fn break_glass(&mut self, old: Option<&Organization>, new: &Organization) {
        let have = self.have;
        let record = |person: &BreakGlass| {
            have.members.iter().find(|it| it.organization == new.slug && person.is_of(it))
        };
        let before = old.and_then(|old| old.break_glass.as_ref());
        let is_named = |person: &&BreakGlass| new.break_glass.as_ref().is_some_and(|now| now.is(person));
        if let Some(ended) = before.filter(|person| !is_named(person)).and_then(record) {
            let authority = have.connections.iter().find(|it| new.authority.as_ref() == Some(&it.key));
            self.changes.extend(lower(ended, authority, self.now));
        }
        if let Some(person) = &new.break_glass {
            self.changes.extend(raise(&new.slug, person, record(person), self.now));
        }
    }

    fn organization(&self, declared: &DeclaredOrganization, old: Option<&Organization>) -> Organization {
        let kept = old.and_then(|old| old.authority.clone()).filter(|key| !self.is_dropped(key));
        Organization {
            slug: declared.slug.clone(),
            name: declared.name.clone(),
            // The first sign-in may have set what the file leaves open.
            home: declared.home.or(old.and_then(|old| old.home)),
            authority: declared.authority.clone().or(kept),
            created_by: old.map_or_else(|| CONFIG.to_owned(), |old| old.created_by.clone()),
            created_at: old.map_or(self.now, |old| old.created_at),
            members: declared.members.clone().or(old.map(|old| old.members.clone())).unwrap_or_default(),
            break_glass: declared.break_glass.clone(),
        }
    }

    /// Whether a connection of the file is in it no longer.
    fn is_dropped(&self, key: &ConnectionKey) -> bool {
        let is_wanted = self.wanted.connections.iter().any(|declared| declared.key == *key);
        let of_file =
            |old: &Connection| old.key == *key && matches!(old.created_by.as_str(), CONFIG | DROPPED);
        !is_wanted && self.have.connections.iter().any(of_file)
    }

    fn sources(&mut self) {
        let wanted = self.wanted_sources();
        for new in &wanted {
            let old = self.have.sources.iter().find(|old| old.key == new.key);
            if old.is_none_or(|old| old.removed) {
                let detail = if old.is_some() { "declared again" } else { "" };
                self.audit(only(&new.organizations), "source.created", new.key.as_str(), detail);
            }
            if old != Some(new) {
                self.changes.push(Change::PutSource(new.clone()));
            }
        }
        let have = self.have;
        let is_left = |old: &&Source| {
            old.created_by == CONFIG && !old.removed && wanted.iter().all(|new| new.key != old.key)
        };
        for old in have.sources.iter().filter(is_left) {
            self.audit(only(&old.organizations), "source.removed", old.key.as_str(), "no longer declared");
            self.changes.push(Change::PutSource(Source { removed: true, ..old.clone() }));
            self.warnings.push(format!(
                "source \"{}\" is no longer declared: its hook URL refuses deliveries now, and queued ones are ignored",
                old.key
            ));
        }
    }

    /// Those declared, and those that connections are by themselves.
    fn wanted_sources(&self) -> Vec<Source> {
        let mut sources: Vec<Source> = self.wanted.sources.iter().map(source).collect();
        for connection in &self.wanted.connections {
            let is_itself = connection.source.as_str() == connection.key.as_str();
            if is_itself && sources.iter().all(|source| source.key != connection.source) {
                sources.push(Source {
                    key: connection.source.clone(),
                    forge: connection.kind.forge(),
                    host: connection.host.clone(),
                    url: connection.url.clone(),
                    organizations: vec![connection.organization.clone()],
                    created_by: CONFIG.to_owned(),
                    removed: false,
                    app: None,
                });
            }
        }
        sources
    }

    fn connections(&mut self, authorities: &Authorities) {
        let (wanted, have) = (self.wanted, self.have);
        for declared in &wanted.connections {
            let old = have.connections.iter().find(|old| old.key == declared.key);
            let new = match old {
                None => self.created(declared),
                Some(old) if old.organization != declared.organization || old.host != declared.host => {
                    self.warnings.push(format!(
                        "connection \"{}\" is recorded for another organization or forge; a key never changes its owner: \
                         the record is kept, choose a new key",
                        old.key
                    ));
                    old.clone()
                }
                Some(old) => self.updated(declared, old),
            };
            self.put_connection(old, new, authorities);
        }
        let is_other = |old: &&Connection| wanted.connections.iter().all(|declared| declared.key != old.key);
        for old in have.connections.iter().filter(is_other) {
            let new = if old.created_by == CONFIG { self.dropped(old) } else { old.clone() };
            self.put_connection(Some(old), new, authorities);
        }
    }

    fn put_connection(&mut self, old: Option<&Connection>, new: Connection, authorities: &Authorities) {
        let authority = authorities.get(&new.organization) == Some(&new.key);
        let mut new = Connection { authority, ..new };
        if old.is_none_or(|old| old.reasons != new.reasons) {
            let reasons = new.reasons.clone();
            new.health.note(&reasons, self.now);
        }
        if old != Some(&new) {
            self.changes.push(Change::PutConnection(Box::new(new)));
        }
    }

    fn created(&mut self, declared: &DeclaredConnection) -> Connection {
        self.audit(Some(&declared.organization), "connection.created", declared.key.as_str(), "");
        Connection {
            credential: declared.credential.clone(),
            installation: declared.installation,
            reasons: vec![ConnectionState::WaitingFirstJob],
            ..Connection::begin(Beginning {
                key: declared.key.clone(),
                organization: declared.organization.clone(),
                kind: declared.kind,
                host: declared.host.clone(),
                url: declared.url.clone(),
                account: Account { login: declared.login.clone(), external_id: None },
                source: declared.source.clone(),
                created_by: CONFIG.to_owned(),
                created_at: self.now,
            })
        }
    }

    fn updated(&mut self, declared: &DeclaredConnection, old: &Connection) -> Connection {
        let mut new = old.clone();
        new.kind = declared.kind;
        new.url.clone_from(&declared.url);
        new.source.clone_from(&declared.source);
        new.credential.clone_from(&declared.credential);
        CONFIG.clone_into(&mut new.created_by);
        // Once the forge has spoken, its numbers and names hold: the file's were where to begin.
        if old.account.external_id.is_none() {
            new.account.login.clone_from(&declared.login);
        } else if old.account.login != declared.login {
            self.warnings.push(format!(
                "connection \"{}\" declares account \"{}\"; the forge calls it \"{}\" today, which is used",
                old.key, declared.login, old.account.login
            ));
        }
        if old.last_event_at.is_none() || old.installation.is_none() {
            new.installation = declared.installation.or(old.installation);
        }
        if old.created_by == DROPPED {
            new.clear_reasons(&[ConnectionState::Uninstalled]);
            self.audit(Some(&old.organization), "connection.created", old.key.as_str(), "declared again");
        }
        new
    }

    /// As a disconnect: nothing is deleted.
    fn dropped(&mut self, old: &Connection) -> Connection {
        self.audit(Some(&old.organization), "connection.removed", old.key.as_str(), "no longer declared");
        self.warnings.push(format!(
            "connection \"{}\" is no longer declared: it counts as disconnected; its projects and members are kept",
            old.key
        ));
        let mut new = Connection { created_by: DROPPED.to_owned(), ..old.clone() };
        new.add_reason(ConnectionState::Uninstalled);
        new
    }
}

fn source(declared: &DeclaredSource) -> Source {
    Source {
        key: declared.key.clone(),
        forge: declared.forge,
        host: declared.host.clone(),
        url: declared.url.clone(),
        organizations: declared.organizations.clone(),
        created_by: CONFIG.to_owned(),
        removed: false,
        app: None,
    }
}

fn only(organizations: &[OrganizationSlug]) -> Option<&OrganizationSlug> {
    if let [only] = organizations { Some(only) } else { None }
}
