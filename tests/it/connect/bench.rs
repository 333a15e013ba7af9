//! A store, ways to fake forges, and the verbs of the stories.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use scm_connect::app::Accounts;
use scm_connect::connect::{
    Added, Connections, Forges, How, NewApp, NewConnection, NewCredential, Undone, Verb, Way, Ways,
};
use scm_connect::domain::change::Change;
use scm_connect::domain::connection::Beginning;
use scm_connect::domain::credential::{
    CredentialAbout, CredentialKind, CredentialOwner, SealedCredential, last4,
};
use scm_connect::domain::organization::{
    Account, App, Connection, ConnectionState, Forge, Kind, Organization, Source,
};
use scm_connect::domain::project::ProjectState;
use scm_connect::domain::task::{Performed, Task, TaskKind};
use scm_connect::domain::{Clock, ConnectionKey, Host, OrganizationSlug, SourceKey, Timestamp};
use scm_connect::follow::{Desk, Follower};
use scm_connect::outbound::{Limits, Outbound, Rules};
use scm_connect::provider::api_url;
use scm_connect::store::{Page, ProjectFilter, Store, TaskOutcome, TaskSettled, sled};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::forge::{APP_KEY, BEGIN_S, FakeGithub, FakeGitlab};

pub(crate) fn slug(name: &str) -> OrganizationSlug {
    OrganizationSlug::parse(name).unwrap()
}

pub(crate) fn key(name: &str) -> ConnectionKey {
    ConnectionKey::parse(name).unwrap()
}

/// Everything that a story needs.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) forges: Arc<Forges>,
    pub(crate) connections: Connections,
    members: Desk,
    pub(crate) clock: Clock,
    now_ms: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (place, file) = (dir.path().join("store"), dir.path().join("master.key"));
        let now_ms = Arc::new(AtomicI64::new(BEGIN_S * 1000));
        let mine = Arc::clone(&now_ms);
        let clock: Clock = Arc::new(move || Timestamp::from_ms(mine.load(Ordering::SeqCst)));
        let now = clock();
        let opened = tokio::task::spawn_blocking(move || sled::open(&place, &file, now)).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(opened.unwrap());
        let forges = Arc::new(Forges::new(Arc::clone(&store), ways(&clock, HashMap::new())));
        let drawn = AtomicU8::new(1);
        let random = Arc::new(move |bytes: &mut [u8]| {
            let first = drawn.fetch_add(1, Ordering::SeqCst);
            bytes.iter_mut().zip(first..).for_each(|(byte, n)| *byte = n);
            true
        });
        let (mine, kept) = (Arc::clone(&forges), Arc::clone(&store));
        let url = Url::parse("https://scm.example.com/").unwrap();
        let connections =
            Connections::new(mine, kept, Arc::clone(&clock), Arc::new(|| 0), random, url.clone());
        let follower = Follower::new(Arc::clone(&store), Arc::clone(&clock));
        let mine = Arc::clone(&store);
        let accounts = Accounts::new(Arc::clone(&forges), mine, Arc::clone(&clock), url.clone());
        let members = Desk::new(follower, Arc::new(accounts));
        Self { store, forges, connections, members, clock, now_ms, _dir: dir }
    }

    /// With the organization `acme`, whose founder signed in at this forge.
    pub(crate) async fn of_acme(home: Option<Forge>) -> Self {
        let bench = Self::new().await;
        bench.organization("acme", home).await;
        bench
    }

    /// With a connection to the group `acme` of this GitLab, and all done that was due then.
    pub(crate) async fn connected(gitlab: &FakeGitlab, token: &str) -> Self {
        let bench = Self::of_acme(None).await;
        bench.adds(Kind::GitlabSelfManaged, &gitlab.site(), "acme", token).await.unwrap();
        bench.works().await;
        bench
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn passes(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// The operator's file declares a connection.
    pub(crate) fn declares(&self, connection: &Connection, how: How) {
        let outbound = outbound(&self.clock);
        let api = api_url(connection.kind, &connection.url);
        let endpoint = outbound.declared(api, None, None, &[]);
        let declared = HashMap::from([(connection.key.clone(), Way { endpoint, how: Some(how) })]);
        self.forges.set_ways(ways(&self.clock, declared));
    }

    /// An admin adds a connection of `acme` with a token.
    pub(crate) async fn adds(
        &self,
        kind: Kind,
        site: &Url,
        account: &str,
        token: &str,
    ) -> Result<Added, Undone> {
        self.connections.add(wish(kind, site, account, token)).await
    }

    /// Does everything that is due, as the daemon does, until nothing is.
    pub(crate) async fn works(&self) -> Vec<Task> {
        let mut ended = Vec::new();
        loop {
            let claims = self.store.claim_tasks(self.now(), 30_000, 10).await.unwrap();
            if claims.is_empty() {
                return ended;
            }
            for claim in claims {
                let performed = match claim.task.kind {
                    TaskKind::CheckConnection => self.connections.check(&claim.task).await,
                    TaskKind::SyncConnection => self.members.perform(&claim.task).await,
                    TaskKind::DisconnectConnection => self.connections.disconnect(&claim.task).await,
                    TaskKind::RotateToken => self.connections.rotate(&claim.task).await,
                    // Members have stories of their own.
                    TaskKind::SyncMembers
                    | TaskKind::SyncPerson
                    | TaskKind::CatchUp
                    | TaskKind::ReplayDeliveries => {
                        let note = "left alone".to_owned();
                        Ok(Performed::Done { changes: Vec::new(), expects: Vec::new(), note })
                    }
                };
                let outcome = match performed.unwrap() {
                    Performed::Done { changes, expects, note } => {
                        TaskOutcome::Done { changes, expects, note }
                    }
                    Performed::Later { at, error } => {
                        TaskOutcome::Retry { at: at.unwrap_or(self.now().plus_ms(60_000)), error }
                    }
                    Performed::Piece { piece, next } => TaskOutcome::Piece { piece, next },
                    Performed::Failed { error } => TaskOutcome::Fail { error },
                };
                let settled = self.store.settle_task(&claim, outcome, self.now()).await.unwrap();
                assert_eq!(settled, TaskSettled::Done);
                ended.push(self.store.task(&claim.task.id).await.unwrap().unwrap());
            }
        }
    }

    /// An admin does something with a connection, and the daemon does its part.
    pub(crate) async fn acts(&self, name: &str, verb: Verb) -> Vec<Task> {
        self.connections.act(&key(name), verb, "cli").await.unwrap().expect("it is there");
        self.works().await
    }

    pub(crate) async fn shown(&self, name: &str) -> Connection {
        self.store.connection(&key(name)).await.unwrap().expect("it is there")
    }

    pub(crate) async fn state(&self, name: &str) -> ConnectionState {
        self.shown(name).await.state()
    }

    /// The paths of an organization's projects and their states.
    pub(crate) async fn projects(&self, name: &str) -> Vec<(String, ProjectState)> {
        let filter = ProjectFilter { organization: Some(slug(name)), ..ProjectFilter::default() };
        let page = Page { limit: 200, cursor: None };
        let found = self.store.projects(&filter, &page).await.unwrap();
        found.items.into_iter().map(|it| (it.full_path.clone(), it.state())).collect()
    }

    pub(crate) async fn writes(&self, changes: Vec<Change>) {
        assert!(self.store.apply(changes, Vec::new()).await.unwrap());
    }

    pub(crate) async fn organization(&self, name: &str, home: Option<Forge>) -> Organization {
        let organization = Organization {
            slug: slug(name),
            name: name.into(),
            home,
            authority: None,
            created_by: "cli".into(),
            created_at: self.now(),
            members: Default::default(),
        };
        self.writes(vec![Change::PutOrganization(organization.clone())]).await;
        organization
    }

    /// Keeps a secret for where it may be sent.
    pub(crate) async fn keeps(
        &self,
        owner: CredentialOwner,
        kind: CredentialKind,
        secret: &str,
        forge: Forge,
        site: &Url,
    ) {
        let sealed = self.sealed(owner, kind, secret, forge, site).await;
        self.writes(vec![Change::PutCredential(Box::new(sealed))]).await;
    }

    /// The same with a byte of it changed.
    pub(crate) async fn keeps_damaged(
        &self,
        owner: CredentialOwner,
        kind: CredentialKind,
        forge: Forge,
        site: &Url,
    ) {
        let mut sealed = self.sealed(owner, kind, "glpat-of-which-nothing-is-left", forge, site).await;
        let last = sealed.sealed.pop().unwrap();
        sealed.sealed.push(if last == '0' { '1' } else { '0' });
        self.writes(vec![Change::PutCredential(Box::new(sealed))]).await;
    }

    async fn sealed(
        &self,
        owner: CredentialOwner,
        kind: CredentialKind,
        secret: &str,
        forge: Forge,
        site: &Url,
    ) -> SealedCredential {
        let secret = SecretString::from(secret);
        let about = CredentialAbout {
            organization: slug("acme"),
            owner,
            kind,
            last4: last4(secret.expose_secret()),
            expires_at: None,
            binding: Some(hex::encode(self.forges.endpoint(forge, site).binding().as_bytes())),
            created_at: self.now(),
            rotating_since: None,
        };
        self.store.seal_credential(about, &secret, self.now()).await.unwrap()
    }
}

/// A connection of `acme` to be made with a token.
pub(crate) fn wish(kind: Kind, site: &Url, account: &str, token: &str) -> NewConnection {
    NewConnection {
        organization: slug("acme"),
        kind,
        url: Some(site.clone()),
        account: account.into(),
        key: Some(key("acme")),
        authority: None,
        credential: NewCredential::Token(token.into()),
        by: "cli".into(),
        kept_by_file: false,
    }
}

/// A connection of `acme` to be made with an App of its own.
pub(crate) fn wish_of_app(
    github: &FakeGithub,
    app: u64,
    installation: Option<u64>,
    webhook_secret: Option<&str>,
) -> NewConnection {
    let new = NewApp {
        id: app,
        private_key: APP_KEY.into(),
        client_id: None,
        client_secret: None,
        webhook_secret: webhook_secret.map(Into::into),
        installation,
    };
    let credential = NewCredential::App(Box::new(new));
    NewConnection { credential, ..wish(Kind::GithubEnterpriseServer, &github.site(), "acme", "") }
}

/// A connection to the group `acme` of a GitLab, which has one project; its token has this scope.
pub(crate) async fn connected(scope: &str) -> (Bench, Arc<FakeGitlab>, String) {
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    gitlab.project(group, "site");
    let token = gitlab.group_token(group, 50, &[scope]);
    (Bench::connected(&gitlab, &token).await, gitlab, token)
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(undone: Result<T, Undone>) -> (&'static str, String) {
    match undone {
        Err(Undone::Refused(refusal)) => (refusal.code, refusal.message),
        other => panic!("it was not refused: {other:?}"),
    }
}

fn outbound(clock: &Clock) -> Outbound {
    let limits =
        Limits { whole: Duration::from_secs(3), header: Duration::from_secs(2), ..Limits::default() };
    let private = vec!["127.0.0.0/8".parse().unwrap()];
    Outbound::new(Rules { plain_http: true, private, limits, clock: Arc::clone(clock) })
}

fn ways(clock: &Clock, declared: HashMap<ConnectionKey, Way>) -> Ways {
    Ways { outbound: outbound(clock), declared, hosts: HashMap::new() }
}

/// A connection of `acme` to the forge at this site.
pub(crate) fn connection(kind: Kind, site: &Url, credential: &str) -> Connection {
    Connection {
        credential: credential.into(),
        ..Connection::begin(Beginning {
            key: key("acme"),
            organization: slug("acme"),
            kind,
            host: Host::of(site).unwrap(),
            url: site.clone(),
            account: Account { login: "acme".into(), external_id: None },
            source: SourceKey::parse("acme").unwrap(),
            created_by: "cli".into(),
            created_at: Timestamp::from_ms(0),
        })
    }
}

/// The source of a connection's own App.
pub(crate) fn app_source(connection: &Connection, app: u64) -> Source {
    Source {
        key: connection.source.clone(),
        forge: connection.kind.forge(),
        host: connection.host.clone(),
        url: connection.url.clone(),
        organizations: vec![connection.organization.clone()],
        created_by: "cli".into(),
        removed: false,
        app: Some(App { id: app, client_id: None, slug: "ours".into() }),
    }
}
