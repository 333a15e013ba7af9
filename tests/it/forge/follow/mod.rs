//! Members and projects that follow the fakes: each test is a story, and at its end the forge's rules were kept.

mod admins;
mod brake;
mod daemon;
mod events;
mod glass;
mod histories;
mod members;
mod missed;
mod partial;
mod projects;
mod resume;
mod subgroups;

use std::sync::Arc;

use scm_connect::domain::access::{TokenKind, TokenRecord};
use scm_connect::domain::change::Change;
use scm_connect::domain::connection::Beginning;
use scm_connect::domain::event::{About, AccountRef, Event, Fact, Person};
use scm_connect::domain::known::Known;
use scm_connect::domain::organization::{
    Account, Connection, Forge, Kind, Member, MemberState, Organization, Role, Source,
};
use scm_connect::domain::roster::MemberRules;
use scm_connect::domain::{ConnectionKey, Host, OrganizationSlug, SourceKey, Timestamp};
use scm_connect::follow::{Follower, MembersSynced, Mode, SyncError, Whose};
use scm_connect::handler;
use scm_connect::provider::github::client::Github as Client;
use scm_connect::provider::{Directory, github, gitlab};
use scm_connect::store::{Store, sled};

use super::github::Github;
use super::gitlab::Gitlab;
use super::story;

/// An organization of ours, its authority, and a store.
pub(super) struct Desk {
    pub(super) store: Arc<dyn Store>,
    pub(super) follower: Follower,
    pub(super) rules: MemberRules,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    dir: tempfile::TempDir,
}

pub(super) fn slug() -> OrganizationSlug {
    OrganizationSlug::parse("acme").unwrap()
}

pub(super) fn key() -> ConnectionKey {
    ConnectionKey::parse("acme-forge").unwrap()
}

fn host() -> Host {
    Host::of(&url::Url::parse("https://forge.example.com").unwrap()).unwrap()
}

impl Desk {
    /// With the forge's clock; `number` is the account's.
    pub(super) async fn new(
        forge: Forge,
        number: u64,
        login: &str,
        now_s: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        let clock: Arc<dyn Fn() -> Timestamp + Send + Sync> =
            Arc::new(move || Timestamp::from_ms(now_s() * 1000));
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), clock());
        let organization = Organization {
            slug: slug(),
            name: "Acme".into(),
            home: Some(forge),
            authority: Some(key()),
            created_by: "cli".into(),
            created_at: clock(),
            members: MemberRules::default(),
            break_glass: None,
        };
        let connection = connection(forge, number, login, clock());
        let changes =
            vec![Change::PutOrganization(organization), Change::PutConnection(Box::new(connection))];
        assert!(store.apply(changes, Vec::new()).await.unwrap());
        let follower = Follower::new(Arc::clone(&store), Arc::clone(&clock) as _);
        Self { store, follower, rules: MemberRules::default(), clock, dir }
    }

    /// The process ends without a word, and another one begins.
    pub(super) async fn dies(&mut self) {
        self.store.close().await.unwrap();
        // Nothing may hold the old one while the new one is opened.
        let elsewhere = tempfile::tempdir().unwrap();
        self.store = open(elsewhere.path(), (self.clock)());
        self.follower = Follower::new(Arc::clone(&self.store), Arc::clone(&self.clock) as _);
        self.store = open(self.dir.path(), (self.clock)());
        self.follower = Follower::new(Arc::clone(&self.store), Arc::clone(&self.clock) as _);
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    async fn whose(&self) -> (Organization, Connection) {
        let organization = self.store.organization(&slug()).await.unwrap().unwrap();
        let organization = Organization { members: self.rules.clone(), ..organization };
        (organization, self.store.connection(&key()).await.unwrap().unwrap())
    }

    async fn follows(&self, directory: &dyn Directory, mode: Mode) -> Result<MembersSynced, SyncError> {
        let (organization, connection) = self.whose().await;
        let whose = Whose { organization: &organization, connection: &connection };
        self.follower.members(directory, whose, mode).await
    }

    pub(super) async fn syncs(&self, directory: &dyn Directory) -> Result<MembersSynced, SyncError> {
        self.follows(directory, Mode::Apply).await
    }

    pub(super) async fn plans(&self, directory: &dyn Directory) -> MembersSynced {
        self.follows(directory, Mode::DryRun).await.unwrap()
    }

    pub(super) async fn reads(
        &self,
        directory: &dyn Directory,
        id: u64,
    ) -> Result<scm_connect::follow::PersonSynced, SyncError> {
        let (organization, connection) = self.whose().await;
        let whose = Whose { organization: &organization, connection: &connection };
        self.follower.person(directory, whose, id, "an event").await
    }

    pub(super) async fn lists(
        &self,
        directory: &dyn Directory,
    ) -> Result<scm_connect::follow::ProjectsSynced, SyncError> {
        let (organization, connection) = self.whose().await;
        let whose = Whose { organization: &organization, connection: &connection };
        self.follower.projects(directory, whose).await
    }

    pub(super) async fn connection(&self) -> Connection {
        self.whose().await.1
    }

    /// Everybody, by number.
    pub(super) async fn members(&self) -> Vec<Member> {
        let (mut all, mut after): (Vec<Member>, _) = (Vec::new(), None);
        loop {
            let found = self.store.members_numbered(&slug(), &host(), after, 1_000).await.unwrap();
            let Some(last) = found.last() else { return all };
            after = Some(last.value.external_id);
            all.extend(found.into_iter().map(|found| found.value));
        }
    }

    pub(super) async fn member(&self, id: u64) -> Member {
        self.members().await.into_iter().find(|member| member.external_id == id).unwrap()
    }

    /// `login role`, of all who belong, by login.
    pub(super) async fn active(&self) -> Vec<String> {
        let role = |role: Option<Role>| match role {
            Some(Role::Admin) => "admin",
            Some(Role::Member) => "member",
            Some(Role::ReadOnly) => "read_only",
            None => "nothing",
        };
        let all = self.members().await.into_iter().filter(|member| member.state == MemberState::Active);
        let mut lines: Vec<String> =
            all.map(|member| format!("{} {}", member.login, role(member.role))).collect();
        lines.sort();
        lines
    }

    /// A member's role, and who gives it.
    pub(super) async fn is_set(&self, id: u64, role: Option<Role>, by: &str) {
        let new = Member { role, role_source: by.into(), ..self.member(id).await };
        assert!(self.store.apply(vec![Change::PutMember(Box::new(new))], Vec::new()).await.unwrap());
    }

    /// An event says that somebody has gone: what a handler makes of it.
    pub(super) async fn hears_gone(&self, id: u64) {
        let gone = Member {
            state: MemberState::Removed,
            seen_at: Some(self.now()),
            removed_at: Some(self.now()),
            ..self.member(id).await
        };
        assert!(self.store.apply(vec![Change::PutMember(Box::new(gone))], Vec::new()).await.unwrap());
    }

    /// An event says of somebody that they have gone: what the handler makes of it is written.
    pub(super) async fn hears_of_leaving(&self, id: u64, login: &str) {
        let (_, connection) = self.whose().await;
        let fact = Fact::MemberRemoved { person: Some(Person { id, login: login.into(), bot: false }) };
        let account = AccountRef { id: connection.account.external_id, login: "acme".into() };
        let about = About { account: Some(account), ..About::default() };
        let event = Event { name: "event".into(), action: None, about, at: Some(self.now()), fact };
        let source = Source {
            key: connection.source.clone(),
            forge: connection.kind.forge(),
            host: connection.host.clone(),
            url: connection.url.clone(),
            organizations: vec![slug()],
            created_by: "cli".into(),
            removed: false,
            app: None,
        };
        let known = self.store.known(&source, &connection, &handler::lookup(&event)).await.unwrap().unwrap();
        let changes = handler::handle(&event, &Known { received_at: self.now(), ..known });
        assert!(self.store.apply(changes.changes, changes.expects).await.unwrap());
    }

    /// A token that stands for a member.
    pub(super) async fn gives_token(&self, member: &Member, hash: u8) {
        let token = TokenRecord {
            id: format!("token-{hash}"),
            hash: hex::encode([hash; 32]),
            kind: TokenKind::Read,
            organization: slug(),
            name: None,
            created_at: self.now(),
            expires_at: self.now().plus_ms(86_400_000),
            revoked_at: None,
            scope: None,
            member: Some(member.id()),
        };
        self.store.put_token(token).await.unwrap();
    }

    pub(super) async fn opens(&self, hash: u8) -> bool {
        self.store.token_by_hash(&[hash; 32]).await.unwrap().unwrap().is_live(self.now())
    }
}

fn open(dir: &std::path::Path, now: Timestamp) -> Arc<dyn Store> {
    Arc::new(sled::open(&dir.join("store"), &dir.join("master.key"), now).unwrap())
}

fn connection(forge: Forge, number: u64, login: &str, now: Timestamp) -> Connection {
    Connection {
        credential: "access_token".into(),
        authority: true,
        ..Connection::begin(Beginning {
            key: key(),
            organization: slug(),
            kind: Kind::of(forge, &host()),
            host: host(),
            url: url::Url::parse("https://forge.example.com").unwrap(),
            account: Account { login: login.into(), external_id: Some(number) },
            source: SourceKey::parse("acme-forge").unwrap(),
            created_by: "cli".into(),
            created_at: now,
        })
    }
}

/// An organization at GitHub with one owner, who has given us a token.
pub(super) async fn at_github(forge: &Arc<Github>) -> (Desk, github::Organization) {
    forge.org("acme");
    forge.member("acme", "olga", "admin");
    let directory = through(forge, "read:org");
    let theirs = Arc::clone(forge);
    let desk = Desk::new(Forge::Github, forge.org_id("acme"), "acme", move || theirs.book.now_s()).await;
    (desk, directory)
}

/// The organization, seen with a token of these scopes.
pub(super) fn through(forge: &Arc<Github>, scopes: &str) -> github::Organization {
    with(forge, &story::patient_client(forge), scopes)
}

/// The same, through this client.
pub(super) fn with(forge: &Arc<Github>, client: &Client, scopes: &str) -> github::Organization {
    let session = client.token(forge.token("olga", Some(scopes)).into());
    github::Organization::new(session, forge.org_id("acme"), "acme".into())
}

/// The organization, seen by an App that is installed there.
pub(super) fn installed(forge: &Arc<Github>) -> github::Organization {
    let number = forge.app("ours");
    let installation = forge.installs(number, "acme", &[("metadata", "read"), ("members", "read")]);
    let app = story::app(&story::patient_client(forge), number);
    github::Organization::installed(app, installation, forge.org_id("acme"), "acme".into())
}

/// A group at GitLab with a token of its own.
pub(super) async fn at_gitlab(forge: &Arc<Gitlab>) -> (Desk, gitlab::Group, u64) {
    let group = forge.group("acme");
    let token = forge.group_token(group, 50, &["api"]);
    let session = story::gitlab::patient_client(forge).token(token.as_str().into());
    let theirs = Arc::clone(forge);
    let desk = Desk::new(Forge::Gitlab, group, "acme", move || theirs.book.now_s()).await;
    let directory = gitlab::Group::new(session, group, true, Arc::clone(&desk.clock) as _);
    (desk, directory, group)
}
