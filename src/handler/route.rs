//! Whom an event is about. The secret decides for which organizations it may speak; numbers pick the connection.
//!
//! A name finds a connection only while its account's number is unknown. A name that was given up can be taken by
//! anybody, so it never stands against a number.
//!
//! What an admin has rejected stays out, whatever source tells of it: no event makes it again or goes on with it.

use super::work::audit_entry;
use crate::domain::change::{Change, Changes, Reason, Verdict};
use crate::domain::ci::holders_version;
use crate::domain::connection::Beginning;
use crate::domain::event::{About, AccountRef, Event, Fact};
use crate::domain::known::{Candidates, RecordKey};
use crate::domain::organization::{Account, Connection, ConnectionState, Forge, Kind, Source};
use crate::domain::{ConnectionKey, Host, OrganizationSlug, Timestamp, id_of};

/// Where an event belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routing {
    /// To this connection.
    To(Box<Connection>),
    /// To a new one, to be recorded with the first change, unless the organization has [`rejected`] its account.
    New(Box<Connection>),
    /// Nowhere: the delivery ends like this.
    End(Changes),
}

impl Routing {
    fn end(verdict: Verdict) -> Self {
        Self::End(Changes::none(verdict))
    }
}

/// Finds the connection an event is about.
#[must_use]
pub fn route(source: &Source, event: &Event, candidates: &Candidates, now: Timestamp) -> Routing {
    if source.removed {
        return Routing::end(Verdict::Ignored(Reason::SourceRemoved));
    }
    match event.fact {
        Fact::Unwanted => return Routing::end(Verdict::Ignored(Reason::Unwanted)),
        Fact::Ping => return Routing::End(greet(&candidates.of_source)),
        _ => {}
    }
    let held = [&candidates.by_installation, &candidates.by_account, &candidates.by_project];
    if held.into_iter().flatten().any(|holder| !source.organizations.contains(&holder.organization)) {
        return Routing::End(foreign_tenant(source, now));
    }
    let asked = Asked { source, event, candidates };
    let found = asked.by_number().or_else(|| asked.by_name()).or_else(|| asked.by_hook());
    let found = found.or_else(|| asked.made_by_job()).or_else(|| asked.by_rejected_project());
    if let Some(connection) = found {
        return match stays_out(connection, event) {
            true => Routing::End(account_rejected(connection)),
            false => Routing::To(Box::new(connection.clone())),
        };
    }
    if let Some(near) = asked.near_miss() {
        return Routing::End(misspelt(source, near, &asked.login(), now));
    }
    match (&event.about.account, event.about.group, source.organizations.as_slice()) {
        (None, None, organizations) => Routing::End(of_nobody(event, organizations, now)),
        (_, _, [only]) => match asked.found(only, now) {
            Some(connection) => Routing::New(Box::new(connection)),
            None => Routing::end(Verdict::Unbound),
        },
        _ => Routing::end(Verdict::Unbound),
    }
}

/// How an event ends that would make this connection, when the organization has rejected its account: `own` are the
/// organization's connections, read after the candidates, so that a verdict between the two is seen.
#[must_use]
pub fn rejected(event: &Event, new: &Connection, own: &[Connection]) -> Option<Changes> {
    let path = told_path(event, new.kind.forge()).to_lowercase();
    let parent = if let Fact::GroupSeen { parent, .. } = event.fact { parent } else { None };
    let is_it = |it: &&Connection| {
        it.rejected_at.is_some() && it.host == new.host && it.organization == new.organization
    };
    let covers = |it: &&Connection| match (it.account.external_id, new.account.external_id) {
        (Some(known), Some(told)) if known == told => true,
        (Some(known), _) if parent == Some(known) => true,
        (Some(_), Some(_)) => false,
        _ => is_inside(&path, &it.account.login.to_lowercase()),
    };
    own.iter().filter(is_it).find(covers).map(account_rejected)
}

/// Whether an event is no longer heard for this connection. Who leaves is out all the same.
pub(super) fn stays_out(connection: &Connection, event: &Event) -> bool {
    let takes_away = matches!(
        event.fact,
        Fact::MemberRemoved { .. } | Fact::AuthorizationRevoked { .. } | Fact::PersonDeleted { .. }
    );
    connection.rejected_at.is_some() && !takes_away
}

/// An admin has rejected the account.
pub(super) fn account_rejected(connection: &Connection) -> Changes {
    Changes {
        organization: Some(connection.organization.clone()),
        connection: Some(connection.key.clone()),
        ..Changes::none(Verdict::Ignored(Reason::AccountRejected))
    }
}

/// Who held the event's account when it was routed. A connection that an event makes is written only if that still
/// holds: a first CI job in the same instant may have made one.
#[must_use]
pub fn holders(host: &Host, about: &About, candidates: &Candidates) -> Vec<(RecordKey, u64)> {
    let number = about.group.or_else(|| about.account.as_ref().and_then(|account| account.id));
    let by_number = holders_version(candidates.by_account.as_ref().map(|holder| &holder.key));
    let number = number.map(|id| (RecordKey::Account(host.clone(), id), by_number));
    let named = about.account.as_ref().map(|account| account.login.split('/').next().unwrap_or_default());
    let mut keys: Vec<&ConnectionKey> =
        candidates.by_login.iter().filter(|it| it.holds()).map(|it| &it.key).collect();
    keys.sort();
    let by_name = holders_version(keys);
    let named = named.filter(|name| !name.is_empty());
    let named = named.map(|name| (RecordKey::Login(host.clone(), name.to_lowercase()), by_name));
    number.into_iter().chain(named).collect()
}

/// A hook says hello.
fn greet(of_source: &[Connection]) -> Changes {
    let mut changes = Changes::none(Verdict::Done);
    if let [only] = of_source {
        changes.organization = Some(only.organization.clone());
        changes.connection = Some(only.key.clone());
    }
    changes
}

/// The account is held by an organization for which the source may not speak. Whose it is, is told to nobody.
pub(super) fn foreign_tenant(source: &Source, now: Timestamp) -> Changes {
    let mut changes = Changes::none(Verdict::Ignored(Reason::ForeignTenant));
    let detail = "the account belongs to an organization for which this source may not speak";
    let of = only_organization(source);
    let subject = source.key.as_str().to_owned();
    changes.changes.push(Change::Audit(audit_entry(now, of, "delivery.foreign-tenant", subject, detail)));
    changes
}

/// Declared with a name that differs in letter case only: somebody should look, and nothing is bound until then.
fn misspelt(source: &Source, near: &Connection, told: &str, now: Timestamp) -> Changes {
    let mut changes = Changes::none(Verdict::Unbound);
    let detail = format!(
        "connection {} names the account \"{}\"; the forge spells it \"{told}\": correct the name",
        near.key, near.account.login
    );
    let subject = source.key.as_str().to_owned();
    let entry = audit_entry(now, Some(&near.organization), "delivery.near-miss", subject, &detail);
    changes.changes.push(Change::Audit(entry));
    changes
}

/// A person's fact, and no connection to which it could matter.
fn of_nobody(event: &Event, organizations: &[OrganizationSlug], now: Timestamp) -> Changes {
    let changes_members = matches!(event.fact, Fact::PersonDeleted { .. } | Fact::PersonRenamed { .. });
    if changes_members && organizations.len() > 1 {
        return Changes::none(Verdict::Unbound);
    }
    let only = if let [only] = organizations { Some(only) } else { None };
    let mut changes = Changes::none(Verdict::Done);
    changes.organization = only.cloned();
    let detail = "no connection has been heard of yet to which this could matter";
    let entry = audit_entry(now, only, "delivery.without-connection", event.name.clone(), detail);
    changes.changes.push(Change::Audit(entry));
    changes
}

fn only_organization(source: &Source) -> Option<&OrganizationSlug> {
    if let [only] = source.organizations.as_slice() { Some(only) } else { None }
}

/// A question to the candidates.
struct Asked<'a> {
    source: &'a Source,
    event: &'a Event,
    candidates: &'a Candidates,
}

impl<'a> Asked<'a> {
    fn about(&self) -> &'a About {
        &self.event.about
    }

    fn login(&self) -> String {
        told_path(self.event, self.source.forge)
    }

    /// Connections of this source for whose organizations it may speak.
    fn own(&self) -> impl Iterator<Item = &'a Connection> {
        let source = self.source;
        let all = self.candidates.of_source.iter();
        all.filter(move |connection| source.organizations.contains(&connection.organization))
    }

    fn by_number(&self) -> Option<&'a Connection> {
        let candidates = self.candidates;
        // A project may go on under another connection than the rejected one that it was recorded through.
        let by_project = candidates.by_project.as_ref().filter(|it| it.rejected_at.is_none());
        let account = candidates.by_installation.as_ref().or(candidates.by_account.as_ref());
        match self.source.forge {
            Forge::Github => account,
            // Where it went is in the new path; the number still points to where it was.
            Forge::Gitlab if matches!(self.event.fact, Fact::RepositoryTransferred { .. }) => {
                account.or_else(|| self.by_name()).or(by_project)
            }
            Forge::Gitlab => account.or(by_project).or_else(|| self.by_parent()),
        }
    }

    /// What was recorded through a rejected connection, and nothing else leads to.
    fn by_rejected_project(&self) -> Option<&'a Connection> {
        let is_it = |it: &&Connection| self.source.forge == Forge::Gitlab && it.rejected_at.is_some();
        self.candidates.by_project.as_ref().filter(is_it)
    }

    /// A subgroup of a connected group.
    fn by_parent(&self) -> Option<&'a Connection> {
        let Fact::GroupSeen { parent: Some(parent), .. } = self.event.fact else { return None };
        let is_it = |connection: &&Connection| connection.account.external_id == Some(parent);
        self.own().filter(is_it).max_by_key(|connection| connection.rejected_at.is_none())
    }

    /// A connection that was declared by name. GitHub tells the account's number, so a known one must be found by it.
    fn by_name(&self) -> Option<&'a Connection> {
        let login = self.login();
        if login.is_empty() {
            return None;
        }
        let is_declared = |connection: &&Connection| match self.source.forge {
            Forge::Github => connection.account.external_id.is_none() && connection.account.login == login,
            Forge::Gitlab => is_inside(&login, &connection.account.login),
        };
        self.own().filter(is_declared).max_by_key(|it| (it.account.login.len(), it.rejected_at.is_none()))
    }

    /// What names no account is about the one connection that the hook can be about.
    fn by_hook(&self) -> Option<&'a Connection> {
        if self.about().account.is_some() {
            return None;
        }
        let mut own = self.own().filter(|connection| connection.rejected_at.is_none());
        let Some(first) = own.next() else { return self.own().next() };
        let rest: Vec<&Connection> = own.collect();
        if rest.is_empty() {
            return Some(first);
        }
        if rest.iter().any(|other| other.organization != first.organization) {
            return None;
        }
        let mut all = std::iter::once(first).chain(rest);
        if self.about().group.is_none() {
            return all.find(|connection| connection.authority).or(Some(first));
        }
        // Of several, only one whose group is known can say that this is another group.
        all.filter(|connection| connection.account.external_id.is_some())
            .max_by_key(|connection| connection.authority)
    }

    /// A connection of another source, most likely one that made itself on a CI job, to an account of this name.
    fn made_by_job(&self) -> Option<&'a Connection> {
        let (source, id) = (self.source, self.about().account.as_ref().and_then(|account| account.id));
        let may = move |holder: &&Connection| {
            // Where an event names an account by its path alone, the path has to do.
            let is_same = id.is_none() || holder.account.external_id.is_none_or(|known| Some(known) == id);
            is_same && source.organizations.contains(&holder.organization)
        };
        self.candidates.by_login.iter().filter(may).min_by_key(|holder| holder.proof)
    }

    fn near_miss(&self) -> Option<&'a Connection> {
        let login = self.login();
        let top = login.split('/').next().unwrap_or_default();
        let is_near = |connection: &&Connection| {
            let declared = connection.account.login.as_str();
            let near = declared.eq_ignore_ascii_case(&login) || declared.eq_ignore_ascii_case(top);
            near && !declared.is_empty() && connection.account.external_id.is_none()
        };
        self.own().find(is_near)
    }

    /// A connection for an account that nobody holds, under the only organization the source speaks for.
    fn found(&self, organization: &OrganizationSlug, now: Timestamp) -> Option<Connection> {
        let account = match (&self.about().account, self.about().group) {
            (Some(AccountRef { id, login }), None) => Account { login: login.clone(), external_id: *id },
            (Some(AccountRef { login, .. }), Some(group)) => {
                let is_itself = self.login() == *login;
                Account { login: login.clone(), external_id: is_itself.then_some(group) }
            }
            (None, Some(group)) => Account { login: format!("group-{group}"), external_id: Some(group) },
            (None, None) => return None,
        };
        let installation = self.about().installation;
        let has_app = installation.is_some();
        Some(Connection {
            credential: if has_app { "app" } else { "none" }.to_owned(),
            installation,
            reasons: if has_app { Vec::new() } else { vec![ConnectionState::Limited] },
            ..Connection::begin(Beginning {
                key: self.new_key(&account)?,
                organization: organization.clone(),
                kind: Kind::of(self.source.forge, &self.source.host),
                host: self.source.host.clone(),
                url: self.source.url.clone(),
                account,
                source: self.source.key.clone(),
                created_by: "webhook".to_owned(),
                created_at: now,
            })
        })
    }

    /// `<source>-<account>`, told apart by the account's number where another connection of the source has that name.
    fn new_key(&self, account: &Account) -> Option<ConnectionKey> {
        let plain = format!("{}-{}", self.source.key, slug_of(&account.login));
        let short = id_of(&[&account.login]);
        let mark = account.external_id.map_or_else(|| short.chars().take(8).collect(), |id| id.to_string());
        let room = 63_usize.saturating_sub(mark.len()).saturating_sub(1);
        let marked = format!("{}-{mark}", plain.chars().take(room).collect::<String>().trim_end_matches('-'));
        let is_free =
            |key: &ConnectionKey| self.candidates.of_source.iter().all(|connection| connection.key != *key);
        [plain, marked].iter().filter_map(|key| ConnectionKey::parse(key).ok()).find(is_free)
    }
}

/// Whether the path is the account's own, or lies below it.
pub(super) fn is_inside(path: &str, login: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    !login.is_empty() && path.strip_prefix(login).is_some_and(below)
}

/// The name under which a connection may have been declared: the whole path at GitLab, the owner at GitHub.
fn told_path(event: &Event, forge: Forge) -> String {
    let account = event.about.account.as_ref().map(|account| account.login.clone()).unwrap_or_default();
    let path = match (&event.fact, forge) {
        (Fact::GroupSeen { path, .. }, Forge::Gitlab) if !account.is_empty() => Some(path.as_str()),
        (fact, Forge::Gitlab) => full_path(fact),
        (_, Forge::Github) => None,
    };
    path.map_or(account, str::to_owned)
}

fn full_path(fact: &Fact) -> Option<&str> {
    let repository = fact.repository()?;
    Some(repository.full_path.as_str()).filter(|path| !path.is_empty())
}

/// The key that a connection to an account would like best: the cloud's name or the server's, and the account's.
#[must_use]
pub fn plain_key(kind: Kind, host: &Host, login: &str) -> String {
    let forge = match kind {
        Kind::GithubCloud | Kind::GitlabCloud => kind.forge().as_str().to_owned(),
        Kind::GithubEnterpriseServer | Kind::GitlabSelfManaged => slug_of(host.as_str()),
    };
    format!("{forge}-{}", slug_of(login))
}

/// What of a name may stand in a key.
#[must_use]
pub fn slug_of(login: &str) -> String {
    let mut slug = String::new();
    for letter in login.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_lowercase() || letter.is_ascii_digit() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "account".to_owned() } else { slug.to_owned() }
}
