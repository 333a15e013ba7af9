//! An App's client secret, replaced: tried at the forge without anybody who signs in, kept if it is believed, and by a
//! process that is killed either not at all or wholly.

use std::sync::Arc;
use std::time::Duration;

use scm_connect::connect::{AppSecrets, NewApp, NewConnection, NewCredential, Undone, Verb};
use scm_connect::domain::credential::{CredentialKind, CredentialOwner};
use scm_connect::domain::organization::{ConnectionState, Kind};
use scm_connect::domain::{SourceKey, Timestamp};
use scm_connect::provider::github::client::AppSignIn;
use scm_connect::store::{AuditFilter, Credentials as _, Page, sled};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::bench::{Bench, code, connected, slug, wish};
use super::hook_secret::{GRANTED, actions, secret};
use crate::forge::{APP_KEY, BEGIN_S, FakeGithub, Fault, Planted};
use crate::harness::bench::Bench as House;

const NAME: &str = "Iv23liours";
const FIRST: &str = "the-first-client-secret";
const SECOND: &str = "the-second-client-secret";
const LIMITS: &str = "[limits]\nallow_http_forges = true\nallow_private_forges = [\"127.0.0.0/8\"]\n";
const LOOKS_MAX: u32 = 600;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A server with an App that is installed on `acme`, and the connection of whoever has entered it, whole or in part.
async fn entered(client_id: Option<&str>, client_secret: Option<&str>) -> (Bench, Arc<FakeGithub>, u64) {
    let bench = Bench::of_acme(None).await;
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    github.repo("acme", "site", false);
    let app = github.app_by_hand(NAME, FIRST);
    let installation = github.installs(app, "acme", &GRANTED);
    let new = NewApp {
        id: app,
        private_key: APP_KEY.into(),
        client_id: client_id.map(str::to_owned),
        client_secret: client_secret.map(Into::into),
        webhook_secret: Some("what-signs-deliveries".into()),
        installation: Some(installation),
    };
    let credential = NewCredential::App(Box::new(new));
    let whole = wish(Kind::GithubEnterpriseServer, &github.site(), "acme", "");
    bench.connections.add(NewConnection { credential, ..whole }).await.unwrap();
    bench.works().await;
    (bench, github, app)
}

async fn replaces(bench: &Bench, with: &str) -> Result<(), Undone> {
    let new = AppSecrets { private_key: None, client_secret: Some(with.into()) };
    bench.connections.replace_app_secrets(&bench.shown("acme").await, &new, "cli").await
}

async fn in_use(bench: &Bench) -> Option<String> {
    secret(bench, CredentialKind::ClientSecret).await
}

#[tokio::test]
async fn s49_an_apps_client_secret_is_replaced_only_by_one_that_the_forge_takes() {
    let (bench, github, app) = entered(Some(NAME), Some(FIRST)).await;
    assert_eq!(code(replaces(&bench, SECOND).await).0, "credential-refused", "nobody has made it there yet");
    for fault in [Fault::Status(503), Fault::Cut, Fault::Html, Fault::Json(r#"{"error": "unheard_of"}"#)] {
        github.plants(Planted::at("/login/oauth/access_token", fault.clone()));
        let refused = code(replaces(&bench, FIRST).await).0;
        assert!(["forge-unreachable", "forge-refused"].contains(&refused), "{fault:?}: {refused}");
    }
    assert_eq!(in_use(&bench).await.as_deref(), Some(FIRST), "the one before stays in use");
    github.adds_client_secret(app, SECOND);
    replaces(&bench, SECOND).await.unwrap();
    assert_eq!(in_use(&bench).await.as_deref(), Some(SECOND));
    // Its owner takes the old one away; nothing that was believed before is asked for anew.
    github.drops_client_secret(app);
    let minted = github.minted();
    let site = bench.forges.site(&github.site()).unwrap();
    let sign_in = AppSignIn { client_id: NAME.into(), client_secret: in_use(&bench).await.unwrap().into() };
    site.accepts(&sign_in).await.unwrap();
    bench.acts("acme", Verb::Test).await;
    assert_eq!((bench.state("acme").await, github.minted()), (ConnectionState::Connected, minted));
    assert_eq!(secret(&bench, CredentialKind::AppKey).await.as_deref(), Some(APP_KEY));
    assert_eq!(actions(&bench).await, ["secret.replaced"]);
    let filter = AuditFilter { organization: Some(slug("acme")), ..AuditFilter::default() };
    let log = bench.store.audit(&filter, &Page { limit: 200, cursor: None }).await.unwrap();
    assert!(!format!("{log:?}").contains(SECOND) && format!("{log:?}").contains("another client secret"));
    assert_eq!(github.violations(), [""; 0]);
}

#[tokio::test]
async fn s49_a_forge_that_knows_no_such_app_believes_no_client_secret_of_it() {
    let (bench, _, _) = entered(Some("Iv23lisomebodyelse"), None).await;
    assert_eq!(code(replaces(&bench, FIRST).await).0, "credential-refused");
    assert_eq!(in_use(&bench).await, None);
}

#[tokio::test]
async fn an_apps_first_client_secret_is_entered_so_too_and_its_name_is_asked_for() {
    let (bench, github, app) = entered(None, None).await;
    replaces(&bench, FIRST).await.unwrap();
    let source = bench.store.source(&bench.shown("acme").await.source).await.unwrap().unwrap();
    assert_eq!(source.app.unwrap().client_id.as_deref(), Some(NAME));
    // With another key, both are tried, and neither is kept when one of them is refused.
    let key = include_str!("../../../src/ci/id_token/tests/stranger.pem");
    github.adds_key(app, include_str!("../../fixture/keys/stranger.modulus"));
    let both = async |client_secret: &str| {
        let new = AppSecrets { private_key: Some(key.into()), client_secret: Some(client_secret.into()) };
        bench.connections.replace_app_secrets(&bench.shown("acme").await, &new, "cli").await
    };
    assert_eq!(code(both(SECOND).await).0, "credential-refused");
    assert_eq!(secret(&bench, CredentialKind::AppKey).await.as_deref(), Some(APP_KEY));
    github.adds_client_secret(app, SECOND);
    both(SECOND).await.unwrap();
    assert_eq!(secret(&bench, CredentialKind::AppKey).await.as_deref(), Some(key));
    assert_eq!(in_use(&bench).await.as_deref(), Some(SECOND));
    assert_eq!(github.violations(), [""; 0]);
    let (bench, ..) = connected("api").await;
    assert_eq!(code(replaces(&bench, SECOND).await).0, "no-app");
}

/// The real program, on a server with an App.
struct Real {
    house: House,
    github: Arc<FakeGithub>,
    app: u64,
}

impl Real {
    async fn ask(&self, path: &str, body: &Value) -> Result<(u16, Value), reqwest::Error> {
        let socket = self.house.store().join("control.sock");
        let client = reqwest::Client::builder().unix_socket(socket).build().unwrap();
        let answer = client.post(format!("http://daemon/api/v1/{path}")).json(body).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    async fn replaces(&self) -> Result<(u16, Value), reqwest::Error> {
        self.ask("connections/acme/app-key", &json!({ "client_secret": SECOND })).await
    }

    /// What a dead process has left behind.
    async fn left(&self) -> String {
        let (place, key) = (self.house.store(), self.house.key());
        let now = Timestamp::from_ms(self.github.book.now_s() * 1000);
        let store =
            tokio::task::spawn_blocking(move || sled::open(&place, &key, now)).await.unwrap().unwrap();
        let owner = CredentialOwner::Source(SourceKey::parse("acme").unwrap());
        let kept = store.credential(&owner, CredentialKind::ClientSecret).await.unwrap().unwrap();
        kept.secret.expose_secret().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s49_a_client_secret_replaced_by_a_process_that_is_killed_is_the_old_one_or_the_new_one() {
    let github = FakeGithub::server("3.19.0");
    github.book.pass_s(scm_connect::app::clock()().ms() / 1000 - BEGIN_S);
    github.org("acme");
    let app = github.app_by_hand(NAME, FIRST);
    let installation = github.installs(app, "acme", &GRANTED);
    let house = House::new();
    std::fs::write(house.config(), house.text(LIMITS)).unwrap();
    let real = Real { house, github, app };
    let daemon = real.house.daemon().await;
    let wish = json!({
        "kind": "github_enterprise_server", "url": real.github.site(), "account": "acme", "key": "acme",
        "app": {
            "id": app, "private_key": APP_KEY, "client_id": NAME, "client_secret": FIRST,
            "webhook_secret": "what-signs-deliveries", "installation_id": installation,
        },
    });
    let (status, made) = real.ask("connections?organization=acme", &wish).await.unwrap();
    assert_eq!(status, 201, "{made}");
    // Killed while the forge thinks about it.
    real.github.adds_client_secret(real.app, SECOND);
    real.github.plants(Planted::at("/login/oauth/access_token", Fault::Silence));
    let killed = async {
        for _ in 0..LOOKS_MAX {
            if real.github.book.lines().iter().any(|line| line.contains("/login/oauth/access_token")) {
                daemon.kill().await;
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("the forge is not asked");
    };
    let (answer, ()) = tokio::join!(real.replaces(), killed);
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(real.left().await, FIRST);
    // Killed as soon as it has said so.
    let daemon = real.house.daemon().await;
    let (status, said) = real.replaces().await.unwrap();
    daemon.kill().await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(real.left().await, SECOND);
    let daemon = real.house.daemon().await;
    assert_eq!(real.replaces().await.unwrap().0, 200, "it may be entered twice");
    daemon.stop().await;
    assert_eq!(real.github.violations(), [""; 0]);
}
