//! A GitHub account is connected by an App, in a browser: the whole way, every attack on it that is listed, and the real
//! clicks. The daemon runs inside of the test, by the fake forge's clock.

mod browser;
mod cloud;
mod hijack;
mod life;
mod over;
mod state;
mod story;
mod walk;

use std::ops::Deref;
use std::sync::Arc;

use scm_connect::domain::{Clock, Timestamp};
use scm_connect::provider::github::hook::sign;
use secrecy::SecretString;
use serde_json::json;

use self::walk::{Browser, Page};
use crate::forge::FakeGithub as Github;
use crate::harness::inside::Inside;

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
    pub(super) forge: Arc<Github>,
    house: Inside,
}

impl Deref for World {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.house
    }
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
        Self::at(forge, "http://127.0.0.1:0", "", more).await
    }

    /// With the daemon at another public address, and more in its config's `[listen]`.
    async fn at(forge: Arc<Github>, public_url: &str, listen: &str, more: &str) -> Self {
        let theirs = Arc::clone(&forge);
        let clock: Clock = Arc::new(move || Timestamp::from_ms(theirs.book.now_s() * 1000));
        let more = more.replace("FORGE", forge.site().as_str());
        let organizations = ["acme", "other"].map(|slug| format!("[[organizations]]\nslug = \"{slug}\"\n"));
        let house =
            Inside::start_at(clock, public_url, listen, &format!("{}{more}", organizations.concat())).await;
        forge.org("acme-inc");
        forge.member("acme-inc", "alice", "admin");
        forge.member("acme-inc", "mallory", "member");
        forge.signs_in("alice");
        Self { forge, house }
    }

    /// With an App of its own that is installed on `acme-inc` and bound, and everything read that was to be read.
    pub(super) async fn connected() -> Self {
        let world = Self::new().await;
        world.forge.repo("acme-inc", "site", false);
        let (mut browser, sign_in) = world.up_to_sign_in().await;
        browser.finish(&sign_in).await;
        for kind in ["check_connection", "sync_connection", "sync_members"] {
            world.ran(kind, 0).await;
        }
        world
    }

    /// Where a session is brought to the step it is at.
    pub(super) fn step(&self) -> String {
        format!("{}/connect-scm/github/step", self.base())
    }

    /// The App of `acme-inc` sends something, signed with this secret; gives the status.
    pub(super) async fn sends(
        &self,
        source: &str,
        secret: String,
        id: u32,
        event: &str,
        body: String,
    ) -> u16 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client
            .post(format!("{}/hooks/{source}", self.base()))
            .header("content-type", "application/json")
            .header("user-agent", "GitHub-Hookshot/0a1b2c3")
            .header("x-github-event", event)
            .header("x-github-delivery", format!("2f3b8d40-0000-11ee-8000-{id:012}"))
            .header("x-github-hook-id", "1")
            .header("x-hub-signature-256", sign(&SecretString::from(secret), body.as_bytes()));
        request.body(body).send().await.unwrap().status().as_u16()
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
        let wish = json!({"kind": "github_enterprise_server", "url": url.as_str()});
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
        let link = self.link(organization, json!({"source": "our-app"})).await;
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
