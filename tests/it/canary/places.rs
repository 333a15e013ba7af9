//! Where secrets go in: by commands, by requests, by configs that are refused.

use std::fs;

use serde_json::{Value, json};

use super::search::Canaries;
use super::world::World;
use crate::harness::bench::GITHUB_SECRET;

/// A request that somebody makes with a secret in it.
struct Sent {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// The page goes on with it, so that it holds the code that its reader came with.
    is_a_page_of_its_code: bool,
}

impl Sent {
    fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: String::new(),
            is_a_page_of_its_code: false,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn page(self) -> Self {
        Self { is_a_page_of_its_code: true, ..self }
    }

    fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string();
        self.with("content-type", "application/json")
    }

    fn form(mut self, body: String) -> Self {
        self.body = body;
        self.with("content-type", "application/x-www-form-urlencoded")
    }
}

impl World {
    /// An admin's commands: connections with every kind of credential, accepted and refused.
    pub(super) async fn enter_by_command(&mut self) {
        self.makes_tokens().await;
        let (lab, hub) = (self.gitlab.site().to_string(), self.github.site().to_string());
        let second = self.gitlab.group("second");
        self.gitlab.project(second, "site");
        let token = self.gitlab.group_token(second, 50, &["api"]);
        self.canaries.know("group token of a command", &token);
        let file = self.file("second", &token);
        let add = ["connections", "add", "--organization", "acme", "--account"];
        let lab = |account: &'static str, file: &str| {
            let more = [account, "--kind", "gitlab_self_managed", "--forge", &lab, "--token-file", file];
            [&add[..], &more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let words = lab("second", &file);
        let added = self.run(&refs(&words), &[]).await;
        assert!(added.trim().ends_with("second"), "{added}");
        self.run(&["connections", "test", added.trim()], &[]).await;
        self.run(&["secrets", "rotate", added.trim()], &[]).await;
        for asked in self.gitlab.book.seen() {
            let hook = asked.json();
            for secret in ["token", "signing_token"].iter().filter_map(|name| hook[name].as_str()) {
                self.canaries.know("secret of a hook that we made", secret);
            }
            let token = asked.header("private-token");
            if !token.is_empty() && self.canaries.hits(token.as_bytes(), &[]).is_empty() {
                self.canaries.know("successor of a token", token);
            }
        }
        let bad = format!("glpat-{}", self.canaries.plant("token that the forge refuses"));
        let words = lab("third", &self.file("third", &bad));
        self.run(&refs(&words), &[]).await;
        let token = self.github.token("ada", Some("public_repo, repo:status, user:email"));
        self.canaries.know("personal token of a command", token);
        let file = self.file("personal", token);
        let more = ["ada", "--kind", "github_enterprise_server", "--forge", &hub, "--token-file", &file];
        // What is made for a hook is shown once, to whoever has to enter it at the forge.
        let shown = self.output(&[&add[..], &more].concat()).await;
        let said = String::from_utf8_lossy(&shown.stderr).into_owned();
        if let Some(secret) = said.lines().find_map(|line| line.strip_prefix("its secret, shown only now: "))
        {
            self.canaries.know("secret of a hook for somebody else to make", secret.trim());
        }
        let key = self.enter_app_secrets(added.trim()).await;
        let hook = self.canaries.plant("webhook secret of a command");
        let hook = self.file("hook-secret", &hook);
        let app = ["acme", "--kind", "github_cloud", "--app-id", "7", "--app-key-file", &key];
        self.run(&[&add[..], &app, &["--webhook-secret-file", &hook]].concat(), &[]).await;
        let link = self
            .output(&[
                "connections",
                "add",
                "--organization",
                "acme",
                "--kind",
                "github_enterprise_server",
                "--forge",
                &hub,
            ])
            .await;
        let link = String::from_utf8_lossy(&link.stdout).into_owned();
        let code = link.trim().split_once("code=").unwrap().1.to_owned();
        self.canaries.know("code of a link", &code);
        let revoked =
            self.output(&["token", "create", "--organization", "acme", "--kind", "read", "--json"]).await;
        let revoked: Value = serde_json::from_slice(&revoked.stdout).unwrap();
        self.canaries.know("revoked token", revoked["token"].as_str().unwrap());
        self.tokens.push(("revoked", revoked["token"].as_str().unwrap().to_owned()));
        self.run(&["token", "revoke", revoked["id"].as_str().unwrap()], &[]).await;
    }

    /// What an App is believed by, entered anew; gives the file of its key.
    async fn enter_app_secrets(&mut self, connection: &str) -> String {
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n", self.canaries.plant("key that is none"));
        let key = self.file("key", &pem);
        let secret = self.canaries.plant("client secret of a command");
        let secret = self.file("client-secret", &secret);
        self.run(&["secrets", "rotate", connection, "--app-key-file", &key], &[]).await;
        self.run(&["secrets", "rotate", connection, "--client-secret-file", &secret], &[]).await;
        key
    }

    /// Requests that are refused, each with a secret where it does not belong.
    pub(super) async fn enter_by_request(&mut self) {
        let mut sent = strangers(&mut self.canaries);
        let posts = posts(&mut self.canaries);
        let (admin, ci) = (self.token("admin").to_owned(), self.token("ci").to_owned());
        for (path, body) in posts {
            let token = if path.contains("/ci/") || path.contains("/cli/") { &ci } else { &admin };
            sent.push(Sent::new("POST", path).json(&body).with("authorization", format!("Bearer {token}")));
        }
        for one in sent {
            self.send(one).await;
        }
        let words = ["send", "push", "--secret", GITHUB_SECRET, "--to"];
        let to = format!("http://{}/hooks/our-app", self.daemon.public);
        // One of them meets the planted panic.
        for _ in 0..3 {
            self.run(&[&words[..], &[&to]].concat(), &[]).await;
        }
    }

    /// What a stranger is answered holds nothing; what they sent themselves may come back to nobody either.
    async fn send(&mut self, sent: Sent) {
        let method = reqwest::Method::from_bytes(sent.method.as_bytes()).unwrap();
        let url = format!("http://{}{}", self.daemon.public, sent.path);
        let mut request = self.stranger.request(method, url);
        for (name, value) in &sent.headers {
            request = request.header(*name, value);
        }
        let answer = request.body(sent.body).send().await.unwrap();
        let told = format!("{:?} {:?}", answer.status(), answer.headers());
        let body = answer.bytes().await.unwrap();
        let path = sent.path.split('?').next().unwrap().to_owned();
        if sent.is_a_page_of_its_code {
            assert_eq!(
                self.canaries.hits(&body, &[]).len(),
                1,
                "{path} holds its own code, and no other secret"
            );
            self.looked_at += 1;
            return;
        }
        self.look(&format!("{} {path}", sent.method), &[told.as_bytes(), &body].concat(), &[]);
    }

    /// Configs that are refused: what is said of them names the key, and never the value.
    pub(super) async fn enter_by_config(&mut self) {
        let good = fs::read_to_string(self.bench.config()).unwrap();
        let mut plant = |place: &str| self.canaries.plant(place);
        let bad = [
            format!(
                "[[connections]]\nkey = \"x\"\nwebhook_secrets = [\"{}\"]",
                plant("secret that is no table")
            ),
            format!(
                "[[connections]]\nkey = \"x\"\naccess_token = {{ valeu = \"{}\" }}",
                plant("mistyped key")
            ),
            format!("[[connections]]\nkey = \"x\"\naccess_token = \"{}\"", plant("token that is no table")),
            format!(
                "[[connections]]\nkey = \"x\"\nurl = \"https://u:{}@git.example.com\"",
                plant("password of a url")
            ),
            format!(
                "[[connections]]\nkey = \"x\"\nproxy = \"http://u:{}@proxy:3128\"",
                plant("password of a proxy")
            ),
            format!(
                "[[connections]]\nkey = \"x\"\nsigning_tokens = [{{ value = \"{}\" }}]",
                plant("no signing token")
            ),
            format!("[[connections]]\nkey = \"x\"\napp = {{ id = \"{}\" }}", plant("text for a number")),
            format!(
                "[[ci.issuers]]\nissuer = \"https://git.example.com\"\njwks_url = \"https://git.example.com/k?{}\"",
                plant("query of an issuer's address")
            ),
            format!("secret = \"{}", plant("text without an end")),
        ];
        let store = plant("password of a database");
        for more in bad {
            fs::write(self.bench.config(), format!("{good}\n{more}\n")).unwrap();
            self.run(&["check", "--offline"], &[]).await;
            self.run(&["check", "--offline", "--json"], &[]).await;
        }
        let elsewhere =
            good.replace("url = \"sled:", &format!("url = \"postgres://scm:{store}@127.0.0.1:9/db#"));
        fs::write(self.bench.config(), elsewhere).unwrap();
        self.run(&["check", "--offline"], &[]).await;
        self.run(&["projects", "list"], &[]).await;
        fs::write(self.bench.config(), good).unwrap();
    }
}

fn refs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// What strangers send.
fn strangers(canaries: &mut Canaries) -> Vec<Sent> {
    let mut plant = |place: &str| canaries.plant(place);
    vec![
        Sent::new("GET", format!("/api/v1/projects?token={}", plant("query"))),
        Sent::new("GET", format!("/api/v1/connections/{}", plant("path"))),
        Sent::new("GET", format!("/{}", plant("path that is nowhere"))),
        Sent::new("GET", "/api/v1/projects").with("cookie", format!("session={}", plant("cookie"))),
        Sent::new("GET", "/api/v1/projects").with("authorization", format!("Basic {}", plant("basic"))),
        Sent::new("GET", "/api/v1/projects")
            .with("authorization", format!("Bearer scmc_rd_{}", plant("unknown token"))),
        Sent::new("GET", "/").with("x-api-key", plant("header that nobody knows")),
        Sent::new("POST", "/hooks/our-group").with("x-gitlab-token", plant("token of a forged delivery")),
        Sent::new("POST", "/hooks/our-app")
            .with("x-hub-signature-256", format!("sha256={}", plant("signature"))),
        Sent::new("POST", format!("/hooks/{}", plant("source that there is not"))),
        Sent::new("POST", "/setup")
            .form(format!("code=scmc_su_{}&slug=x", plant("code of the first start")))
            .page(),
        Sent::new("GET", format!("/setup?code={}", plant("code in an address"))).page(),
        Sent::new("GET", format!("/connect-scm/github?code=scmc_ln_{}", plant("code of no link"))).page(),
        Sent::new("GET", format!("/connect-scm/github/step?state={}", plant("state")))
            .with("cookie", format!("scm-connect-link={}", plant("session of a browser"))),
        Sent::new(
            "GET",
            format!("/connect-scm/github/canary-app/created?code={}&state=x", plant("code of an App")),
        ),
        Sent::new(
            "GET",
            format!("/connect-scm/github/canary-app/authorized?code={}", plant("code of a sign-in")),
        ),
        Sent::new("POST", "/login").form(format!(
            "request=9e1b5f0c-6a53-4b43-9a83-0d9a3d1b2f11&token=scmc_ad_{}",
            plant("token in a form")
        )),
    ]
}

/// What the holders of tokens send to the API: where, and what.
fn posts(canaries: &mut Canaries) -> [(&'static str, Value); 11] {
    let mut plant = |place: &str| canaries.plant(place);
    let id_token = format!("eyJhbGciOiJSUzI1NiJ9.{}.{}", plant("claims"), plant("signature of an ID token"));
    [
        ("/api/v1/ci/check-ins", json!({ "id_token": id_token })),
        (
            "/api/v1/ci/check-ins",
            json!({ "ci": { "repo_url": format!("https://user:{}@gitlab.com/acme/web", plant("address with a password")) } }),
        ),
        ("/api/v1/ci/check-ins", json!({ "token": plant("field that nobody knows") })),
        ("/api/cli/v2/scans", json!({ "scan_metadata": { "requested_products": plant("report") } })),
        ("/api/v1/connections", json!({ "acess_token": plant("mistyped field") })),
        ("/api/v1/connections", json!({ "kind": plant("word that is none") })),
        (
            "/api/v1/connections",
            json!({ "kind": "github_cloud", "account": "a", "app": { "id": plant("text in place of a number"), "private_key": "x" } }),
        ),
        (
            "/api/v1/connections",
            json!({ "kind": "github_cloud", "account": "a", "access_token": { "value": plant("object in place of a text") } }),
        ),
        (
            "/api/v1/connections",
            json!({ "kind": "gitlab_self_managed", "account": "a", "access_token": "x", "url": format!("https://u:{}@git.example.com", plant("password of a forge's address")) }),
        ),
        (
            "/api/v1/connect-links",
            json!({ "kind": "github_enterprise_server", "url": format!("https://u:{}@git.example.com", plant("password of a link's address")) }),
        ),
        ("/api/v1/tokens", json!({ "kind": "read", "expires_at": plant("time that is none") })),
    ]
}
