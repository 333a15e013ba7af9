//! The daemon, the forges around it, and what came out so far.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::Value;

use super::search::Canaries;
use crate::forge::{APP_KEY, BEGIN_S, FakeGithub, FakeGitlab};
use crate::harness::bench::{Bench, GITHUB_SECRET};
use crate::harness::daemon::Daemon;

/// Something that is no secret and has to be seen, or the search sees nothing.
pub(super) const CONTROL: &str = "control-of-the-search";

/// Everything.
pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) daemon: Daemon,
    /// Anybody on the network.
    pub(super) stranger: reqwest::Client,
    /// Whoever runs the daemon.
    pub(super) operator: reqwest::Client,
    pub(super) github: Arc<FakeGithub>,
    pub(super) gitlab: Arc<FakeGitlab>,
    pub(super) canaries: Canaries,
    /// Tokens by kind, as their owners hold them.
    pub(super) tokens: Vec<(&'static str, String)>,
    pub(super) leaks: Vec<String>,
    pub(super) looked_at: usize,
    /// What has shown the control.
    pub(super) shown: Vec<String>,
}

/// A `whsec_…` token around a secret of 24 bytes, as GitLab writes it.
fn signing_token(canaries: &mut Canaries, place: &str) -> String {
    use base64::Engine as _;
    let key = canaries.plant(place);
    let text = base64::engine::general_purpose::STANDARD.encode(&key);
    format!("whsec_{text}")
}

/// Sees every answer by itself, on a connection of its own.
fn client() -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.pool_max_idle_per_host(0)
}

impl World {
    /// A daemon whose config holds secrets in each form that there is, and logs all that it can.
    pub(super) async fn new() -> Self {
        let mut canaries = Canaries::default();
        let (github, gitlab) = (FakeGithub::server("3.19.0"), FakeGitlab::cloud());
        let now_s = scm_connect::app::clock()().ms() / 1000;
        for book in [&github.book, &gitlab.book] {
            book.pass_s(now_s - BEGIN_S);
        }
        github.org("acme");
        github.member("acme", "ada", "admin");
        github.repo("acme", "site", true);
        let group = gitlab.group("acme");
        gitlab.project(group, "site");
        let bench = Bench::new();
        let more = config(&bench, &mut canaries, &github, &gitlab, group);
        fs::write(bench.config(), bench.text(&more)).unwrap();
        let hook = canaries.plant("webhook secret of the environment");
        let start = bench.start().environment("CANARY_HOOK", &hook).environment("SCM_CONNECT_LOG", "trace");
        let daemon = start.fault("attempt.before-read=panic@2").ready().await;
        canaries.know("master key", fs::read_to_string(bench.key()).unwrap().trim());
        canaries.know("webhook secret of a source", GITHUB_SECRET);
        Self {
            stranger: client().build().unwrap(),
            operator: client().unix_socket(daemon.store().join("control.sock")).build().unwrap(),
            bench,
            daemon,
            github,
            gitlab,
            canaries,
            tokens: Vec::new(),
            leaks: Vec::new(),
            looked_at: 0,
            shown: Vec::new(),
        }
    }

    /// Searches something that came out; `own` is what whoever asked was to get.
    pub(super) fn look(&mut self, what: &str, came_out: &[u8], own: &[&str]) {
        self.looked_at += 1;
        if String::from_utf8_lossy(came_out).contains(CONTROL) {
            self.shown.push(what.to_owned());
        }
        for place in self.canaries.hits(came_out, own) {
            self.leaks.push(format!("{what}: {place}"));
        }
    }

    /// Runs a command and searches what it says; gives what it printed.
    pub(super) async fn run(&mut self, words: &[&str], own: &[&str]) -> String {
        let output = self.output(words).await;
        let said = [output.stdout.as_slice(), b"\n", output.stderr.as_slice()].concat();
        self.look(&words.join(" "), &said, own);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command.
    pub(super) async fn output(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scm-connect"));
        command.arg("--config").arg(self.bench.config()).args(words).env("RUST_BACKTRACE", "1");
        command.env("CANARY_HOOK", "not-the-secret-of-the-daemon");
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }

    /// A file with a secret in it, as an admin would give it to a command.
    pub(super) fn file(&self, name: &str, secret: &str) -> String {
        let path: PathBuf = self.bench.file(name);
        fs::write(&path, secret).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(super) fn token(&self, kind: &str) -> &str {
        &self.tokens.iter().find(|(of, _)| *of == kind).unwrap().1
    }

    /// Makes a token of each kind; what is made is shown once, to whoever made it.
    pub(super) async fn makes_tokens(&mut self) {
        for kind in ["admin", "read", "ci"] {
            let words = ["token", "create", "--organization", "acme", "--kind", kind, "--json"];
            let made: Value = serde_json::from_slice(&self.output(&words).await.stdout).unwrap();
            let token = made["token"].as_str().unwrap().to_owned();
            self.canaries.know(&format!("{kind} token"), &token);
            self.tokens.push((kind, token));
        }
    }
}

fn config(
    bench: &Bench,
    canaries: &mut Canaries,
    github: &FakeGithub,
    gitlab: &FakeGitlab,
    group: u64,
) -> String {
    let client = canaries.plant("client secret of the config");
    let app = github.app_by_hand("Iv23licanary", &client);
    let file = |name: &str, text: &str| {
        let path = bench.file(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    canaries.know("private key of the config", APP_KEY.lines().nth(3).unwrap());
    let key = file("app.pem", APP_KEY);
    let hook = file("hook", &canaries.plant("webhook secret of a file"));
    let personal = github.token("ada", Some("repo, read:org, user"));
    canaries.know("personal token of the config", personal);
    let of_group = gitlab.group_token(group, 50, &["api"]);
    canaries.know("group token of a file", &of_group);
    let of_group = file("group-token", &of_group);
    format!(
        r#"
[limits]
allow_http_forges = true
allow_private_forges = ["127.0.0.0/8"]

[[ci.issuers]]
issuer = "https://gitlab.com"
jwks_url = "http://127.0.0.1:9/keys"

[[sources]]
key = "canary-app"
organizations = ["acme"]
provider = "github"
url = "{github}"
webhook_secrets = [{{ value = "{old}", not_after = "2099-01-01T00:00:00Z" }}, {{ env = "CANARY_HOOK" }}, {{ file = "{hook}" }}]
app = {{ id = {app}, client_id = "Iv23licanary", private_key = {{ file = "{key}" }}, client_secret = {{ value = "{client}" }} }}

[[connections]]
key = "{CONTROL}"
organization = "acme"
kind = "github_enterprise_server"
account = "acme"
url = "{github}"
webhook_secrets = [{{ value = "{own}" }}]
access_token = {{ value = "{personal}" }}

[[connections]]
key = "declared-gitlab"
organization = "acme"
kind = "gitlab_self_managed"
account = "acme"
url = "{gitlab}"
webhook_secrets = [{{ value = "{plain}" }}]
signing_tokens = [{{ value = "{signing}" }}]
access_token = {{ file = "{of_group}" }}
"#,
        github = github.site(),
        gitlab = gitlab.site(),
        old = canaries.plant("webhook secret that ends"),
        own = canaries.plant("webhook secret of a connection"),
        plain = canaries.plant("token of a GitLab hook"),
        signing = signing_token(canaries, "signing token of the config"),
    )
}
