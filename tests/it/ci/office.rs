//! A daemon that believes a published issuer, and the jobs that come to it.

use std::process::Command;

use serde_json::{Value, json};

use super::issuer::Issuer;
use crate::harness::bench::Bench;
use crate::harness::daemon::Daemon;

/// What an answer says.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// The stable word of an error.
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// The daemon, its issuer, and a client.
pub(super) struct Office {
    pub(super) bench: Bench,
    pub(super) daemon: Daemon,
    pub(super) issuer: Issuer,
    http: reqwest::Client,
}

impl Office {
    /// With more lines under `[ci]`.
    pub(super) async fn open(rules: &str) -> Self {
        Self::open_with(rules, "").await
    }

    /// And more at the end of the config.
    pub(super) async fn open_with(rules: &str, more: &str) -> Self {
        Self::open_in(Bench::new(), rules, more).await
    }

    /// And in a place of one's own.
    pub(super) async fn open_in(bench: Bench, rules: &str, more: &str) -> Self {
        let issuer = Issuer::start();
        let text = bench.text(&format!(
            r#"
[limits]
allow_http_forges = true
allow_private_forges = ["127.0.0.0/8"]

[ci]
{rules}

[[ci.issuers]]
issuer = "https://gitlab.com"
jwks_url = "{keys}"

[[ci.issuers]]
issuer = "https://token.actions.githubusercontent.com"
jwks_url = "{keys}"

[[organizations]]
slug = "other"
name = "Other"
{more}
"#,
            keys = issuer.keys
        ));
        std::fs::write(bench.config(), text).unwrap();
        let daemon = bench.daemon().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { bench, daemon, issuer, http }
    }

    /// Where the daemon is reached.
    pub(super) fn base(&self) -> String {
        format!("http://{}", self.daemon.public)
    }

    /// The published issuer's keys.
    pub(super) async fn keys(&self) -> Value {
        let keys = self.http.get(&self.issuer.keys).send().await.unwrap();
        serde_json::from_slice(&keys.bytes().await.unwrap()).unwrap()
    }

    /// A token made on the command line.
    pub(super) fn token(&self, organization: &str, kind: &str) -> String {
        let made = self.run(&["token", "create", "--organization", organization, "--kind", kind, "--json"]);
        made["token"].as_str().unwrap().to_owned()
    }

    /// Runs a command against the daemon and reads what it prints.
    pub(super) fn run(&self, words: &[&str]) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_scm-connect"))
            .args(words)
            .arg("--config")
            .arg(self.bench.config())
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(super) async fn check_in(&self, token: Option<&str>, body: Value) -> Answer {
        self.post("/api/v1/ci/check-ins", token, body).await
    }

    /// A check-in with an ID token, and a CI token if there is one.
    pub(super) async fn prove(&self, token: Option<&str>, id_token: &str) -> Answer {
        self.check_in(token, json!({"id_token": id_token})).await
    }

    pub(super) async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Answer {
        let request = self.http.post(format!("http://{}{path}", self.daemon.public));
        let request = request.header("content-type", "application/json").body(body.to_string());
        self.send(request, token).await
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(self.http.get(format!("http://{}{path}", self.daemon.public)), Some(token)).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder, token: Option<&str>) -> Answer {
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    /// All items of a list.
    pub(super) async fn list(&self, path: &str, token: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self.get(&format!("{path}?limit=200{cursor}"), token).await;
            assert_eq!(answer.status, 200, "{:?}", answer.body);
            items.extend(answer.body["items"].as_array().unwrap().iter().cloned());
            match answer.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}
