//! Somebody who has the program, a folder and a forge of each kind.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use scm_connect::provider::github::hook::sign;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::ci::issuer::Issuer;
use crate::forge::{FakeGithub, FakeGitlab};
use crate::harness::bench::{Bench, GITHUB_SECRET};
use crate::harness::daemon::Daemon;

const RULES: &str = "rules:
  - id: no-eval
    pattern: eval(...)
    message: do not use eval
    languages: [python]
    severity: WARNING
";
const INSTALLED: &str = include_str!("../../fixture/github/octokit.installation.created.1.json");
const REMOVED: &str = include_str!("../../fixture/github/generated.organization.member_removed.json");
/// How often it is looked again, and after how long.
const LOOKS: usize = 600;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The forges that the operator connects. At each there is the account `acme` with the project `site`.
pub(super) struct Forges {
    pub(super) server: Arc<FakeGithub>,
    pub(super) instance: Arc<FakeGitlab>,
    pub(super) group: u64,
    pub(super) project: u64,
    pub(super) issuer: Issuer,
    rules: tempfile::TempDir,
}

impl Forges {
    pub(super) fn new() -> Self {
        let server = FakeGithub::server("3.19.0");
        server.org("acme");
        server.member("acme", "ada", "admin");
        server.member("acme", "bob", "member");
        server.repo("acme", "site", false);
        let instance = FakeGitlab::old_instance();
        let group = instance.group("acme");
        let project = instance.project(group, "site");
        let rules = tempfile::tempdir().unwrap();
        std::fs::write(rules.path().join("rules.yml"), RULES).unwrap();
        Self { server, instance, group, project, issuer: Issuer::start(), rules }
    }

    /// What the operator's file says besides what every bench's does.
    pub(super) fn configure(&self, bench: &Bench) {
        let more = format!(
            r#"
[limits]
allow_http_forges = true
allow_private_forges = ["127.0.0.0/8"]

[[ci.issuers]]
issuer = "https://gitlab.com"
jwks_url = "{}"
"#,
            self.issuer.keys
        );
        let acme =
            format!("name = \"Acme\"\nhome = \"github\"\nrules = \"{}\"\n", self.rules.path().display());
        std::fs::write(bench.config(), bench.text(&more).replace("name = \"Acme\"\n", &acme)).unwrap();
    }
}

/// What the product shows of an organization, as far as it must not depend on when it is looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) connections: Vec<String>,
    pub(super) projects: Vec<String>,
    pub(super) members: Vec<String>,
}

/// The command line in one hand, a client in the other.
pub(super) struct Operator<'a> {
    pub(super) bench: &'a Bench,
    pub(super) daemon: Daemon,
}

impl<'a> Operator<'a> {
    pub(super) async fn starts(bench: &'a Bench) -> Self {
        Self { bench, daemon: bench.daemon().await }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.daemon.public)
    }

    /// Runs a command, which must succeed; gives what it prints.
    pub(super) fn runs(&self, words: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scm-connect"));
        let output = command.args(words).arg("--config").arg(self.bench.config()).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}\n{}", self.daemon.output());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command with `--json`.
    pub(super) fn asks(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.runs(&[words, &["--json"]].concat())).unwrap()
    }

    pub(super) fn token(&self, kind: &str) -> String {
        let made = self.asks(&["token", "create", "--organization", "acme", "--kind", kind]);
        made["token"].as_str().unwrap().to_owned()
    }

    /// `connections add`, with this token in a file.
    pub(super) fn adds(&self, kind: &str, forge: &str, key: &str, token: &str) -> Value {
        let file = self.bench.file(&format!("{key}.token"));
        std::fs::write(&file, token).unwrap();
        let file = file.display().to_string();
        let words = ["connections", "add", "--organization", "acme", "--account", "acme", "--kind", kind];
        self.asks(&[&words[..], &["--forge", forge, "--key", key, "--token-file", &file]].concat())
    }

    fn lines(&self, what: &str, fields: &[&str]) -> Vec<String> {
        let listed = self.asks(&[what, "list", "--organization", "acme", "--limit", "200"]);
        let text = |item: &Value, field: &str| {
            item.pointer(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let line = |item: &Value| fields.iter().map(|field| text(item, field)).collect::<Vec<_>>().join(" ");
        let mut lines: Vec<_> = listed["items"].as_array().unwrap().iter().map(line).collect();
        lines.sort();
        lines
    }

    pub(super) fn shown(&self) -> Shown {
        Shown {
            connections: self.lines("connections", &["/kind", "/account/login", "/state"]),
            projects: self.lines("projects", &["/host", "/full_path", "/proof"]),
            members: self.lines("members", &["/login", "/role", "/state"]),
        }
    }

    /// Looks until it is so.
    pub(super) async fn sees(&self, what: &str, fits: impl Fn(&Shown) -> bool) -> Shown {
        for _ in 0..LOOKS {
            let shown = self.shown();
            if fits(&shown) {
                return shown;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("never: {what}: {:#?}\n{}", self.shown(), self.daemon.output());
    }

    async fn delivers(&self, source: &str, secret: &str, event: &str, id: &str, body: &Value) {
        let body = body.to_string();
        let signature = sign(&SecretString::from(secret), body.as_bytes());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http
            .post(format!("{}/hooks/{source}", self.base()))
            .header("content-type", "application/json")
            .header("user-agent", "GitHub-Hookshot/0a1b2c3")
            .header("x-github-event", event)
            .header("x-github-delivery", id)
            .header("x-github-hook-id", "1")
            .header("x-hub-signature-256", signature)
            .body(body);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 202, "{}", self.daemon.output());
    }

    /// github.com tells of the App's installation.
    pub(super) async fn is_installed(&self) {
        let body: Value = serde_json::from_str(INSTALLED).unwrap();
        let id = "5a1b3c4d-0000-11ee-8000-000000000001";
        self.delivers("our-app", GITHUB_SECRET, "installation", id, &body).await;
    }

    /// The server tells that a person has left `acme`; `hook` is what `connections add` printed.
    pub(super) async fn hears_of_a_leaver(&self, server: &FakeGithub, login: &str, hook: &Value) {
        let mut body: Value = serde_json::from_str(REMOVED).unwrap();
        body["organization"]["id"] = json!(server.org_id("acme"));
        body["organization"]["login"] = json!("acme");
        body["membership"]["user"] = json!({"login": login, "id": server.person(login), "type": "User"});
        body.as_object_mut().unwrap().remove("installation");
        let source = hook["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let id = "5a1b3c4d-0000-11ee-8000-000000000002";
        self.delivers(&source, hook["secret"].as_str().unwrap(), "organization", id, &body).await;
    }

    /// A job brings its ID token alone or with the organization's CI token.
    pub(super) async fn check_in(&self, ci: Option<&str>, id_token: &str) -> Value {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = http.post(format!("{}/api/v1/ci/check-ins", self.base()));
        if let Some(token) = ci {
            request = request.bearer_auth(token);
        }
        let answer = request.json(&json!({"id_token": id_token})).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }
}
