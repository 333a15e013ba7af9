//! A GitHub account is connected by an App, in a browser: the whole way, every attack on it that is listed, and the real
//! clicks. The daemon runs inside of the test, by the fake forge's clock.

mod browser;
mod hijack;
mod state;
mod story;
mod walk;

use std::sync::{Arc, OnceLock};

use scm_connect::app::{Daemon, Manner};
use scm_connect::config::Config;
use scm_connect::domain::{Clock, Timestamp};
use scm_connect::telemetry::metric::{self, Exporter};

use self::walk::{Browser, Page};
use crate::forge::FakeGithub as Github;

/// Counters are the process's own.
fn exporter() -> Arc<Exporter> {
    static EXPORTER: OnceLock<Arc<Exporter>> = OnceLock::new();
    Arc::clone(EXPORTER.get_or_init(|| Arc::new(metric::install().unwrap())))
}

/// The App that somebody made by hand, declared for both organizations.
const OUR_APP: &str = r#"
    [[sources]]
    key = "our-app"
    organizations = ["acme", "other"]
    provider = "github"
    url = "FORGE"
    webhook_secrets = [{ value = "a-long-random-secret" }]
    app = { id = APP, client_id = "Iv23liours", private_key = { file = "KEY" }, client_secret = { value = "canary-client-secret" } }
"#;

/// A daemon with two organizations, `acme` and `other`, in the world of a GitHub Enterprise Server. There is the
/// organization `acme-inc`, whose owner is alice, with mallory as a member; alice signs in.
pub(super) struct World {
    home: tempfile::TempDir,
    pub(super) forge: Arc<Github>,
    pub(super) daemon: Daemon,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::of(Github::server("3.17.0"), "").await
    }

    /// With an App that is declared as the source `our-app`.
    pub(super) async fn with_app() -> Self {
        let forge = Github::server("3.17.0");
        let app = forge.app_by_hand("Iv23liours", "canary-client-secret");
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/keys/rfc7515-a2.pem");
        let more = OUR_APP.replace("APP", &app.to_string()).replace("KEY", key);
        let world = Self::of(forge, &more).await;
        world.forge.points(app, &world.base(), "our-app");
        world
    }

    async fn of(forge: Arc<Github>, more: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = format!(
            r#"
            public_url = "http://127.0.0.1:0"
            [listen]
            public = "127.0.0.1:0"
            ops = "127.0.0.1:0"
            [store]
            url = "sled:{home}/store"
            [keys]
            file = "{home}/master.key"
            [limits]
            allow_http_forges = true
            allow_private_forges = ["127.0.0.0/8"]
            [[organizations]]
            slug = "acme"
            [[organizations]]
            slug = "other"
            {more}
            "#,
            home = home.path().display(),
            more = more.replace("FORGE", forge.site().as_str()),
        );
        let config = Config::parse("test", &config, []).unwrap();
        let theirs = Arc::clone(&forge);
        let clock: Clock = Arc::new(move || Timestamp::from_ms(theirs.book.now_s() * 1000));
        let manner = Manner { runtime_dir: home.path().to_owned(), works: true, stand_in_keys: None };
        let daemon = Daemon::start(&config, exporter(), clock, &manner).await.unwrap();
        forge.org("acme-inc");
        forge.member("acme-inc", "alice", "admin");
        forge.member("acme-inc", "mallory", "member");
        forge.signs_in("alice");
        Self { home, forge, daemon }
    }

    /// `http://127.0.0.1:…` of the daemon.
    pub(super) fn base(&self) -> String {
        format!("http://{}", self.daemon.public)
    }

    /// Where a session is brought to the step it is at.
    pub(super) fn step(&self) -> String {
        format!("{}/connect-scm/github/step", self.base())
    }

    pub(super) fn file(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    /// Asks the API over the control socket, as whoever runs the daemon.
    pub(super) async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &serde_json::Value,
    ) -> (u16, serde_json::Value) {
        let socket = self.daemon.control().unwrap().to_owned();
        let client = reqwest::Client::builder().unix_socket(socket).build().unwrap();
        let request = client.request(method, format!("http://daemon/api/v1/{path}")).json(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(super) async fn get(&self, path: &str) -> serde_json::Value {
        self.ask(reqwest::Method::GET, path, &serde_json::json!({})).await.1
    }

    /// A link for an organization, and what it begins.
    pub(super) async fn link(&self, organization: &str, wish: serde_json::Value) -> String {
        let path = format!("connect-links?organization={organization}");
        let (status, made) = self.ask(reqwest::Method::POST, &path, &wish).await;
        assert_eq!(status, 201, "{made}");
        made["link"].as_str().unwrap().to_owned()
    }

    /// A link to a new App at the server.
    pub(super) async fn link_to_server(&self, organization: &str) -> String {
        let url = self.forge.site();
        let wish = serde_json::json!({"kind": "github_enterprise_server", "url": url.as_str()});
        self.link(organization, wish).await
    }

    /// A new browser at the form for a new App.
    async fn begun(&self, organization: &str) -> (Browser, Page) {
        Browser::at(&self.link_to_server(organization).await).await
    }

    /// A new browser with a new App for `acme-inc`, at the page where the forge asks who signs in.
    async fn up_to_sign_in(&self) -> (Browser, Page) {
        let (mut browser, form) = self.begun("acme").await;
        let install = browser.create(&form, "acme-inc").await;
        let sign_in = browser.install(&install, "acme-inc").await;
        (browser, sign_in)
    }

    /// A new browser with the declared App for this account, at the App's page of installation.
    async fn up_to_install(&self, organization: &str, login: &str) -> (Browser, Page) {
        let link = self.link(organization, serde_json::json!({"source": "our-app"})).await;
        let (mut browser, form) = Browser::at(&link).await;
        let install = browser.press_on(form.form("Continue").with("login", login)).await;
        (browser, install)
    }

    /// Everything that was recorded as a connection.
    pub(super) async fn connections(&self) -> Vec<serde_json::Value> {
        self.get("connections").await["items"].as_array().unwrap().clone()
    }

    /// The actions of the audit log, oldest first.
    pub(super) async fn audit(&self) -> Vec<(String, String)> {
        let listed = self.get("audit?limit=200").await;
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let rows = listed["items"].as_array().unwrap().iter().rev();
        rows.map(|row| (text(row, "action"), text(row, "detail"))).collect()
    }
}
