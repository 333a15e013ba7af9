//! The whole daemon: members come by themselves, a leaver is out with the event, and what was done can be proven.

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::gitlab::Gitlab;
use crate::harness::bench::Bench;
use crate::harness::daemon::Daemon;

const SECRET: &str = "lab-hook-secret-0123456789";

struct Office {
    bench: Bench,
    daemon: Daemon,
    http: reqwest::Client,
}

impl Office {
    async fn open(forge: &Gitlab, token: &str) -> Self {
        let bench = Bench::new();
        let more = format!(
            r#"
[limits]
allow_http_forges = true
allow_private_forges = ["127.0.0.0/8"]

[[connections]]
key = "acme-lab"
organization = "acme"
kind = "gitlab_self_managed"
account = "acme"
url = "{}"
webhook_secrets = [{{ value = "{SECRET}" }}]
access_token = {{ value = "{token}" }}
"#,
            forge.site()
        );
        let with = "name = \"Acme\"\nhome = \"gitlab\"\nauthority = \"acme-lab\"\n";
        let text = bench.text(&more).replace("name = \"Acme\"\n", with);
        std::fs::write(bench.config(), text).unwrap();
        let daemon = bench.daemon().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { bench, daemon, http }
    }

    fn runs(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scm-connect"));
        command.args(words).arg("--config").arg(self.bench.config()).output().unwrap()
    }

    fn says(&self, words: &[&str]) -> Value {
        let output = self.runs(words);
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{words:?}: {text}{output:?}"))
    }

    /// `login state`, by login, and each one's id.
    fn members(&self) -> Vec<(String, String)> {
        let listed = self.says(&["members", "list", "--organization", "acme", "--json"]);
        let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let one =
            |item: &Value| (format!("{} {}", text(item, "login"), text(item, "state")), text(item, "id"));
        listed["items"].as_array().unwrap().iter().map(one).collect()
    }

    async fn comes_to(&self, expected: &[&str]) {
        let began = Instant::now();
        loop {
            let found: Vec<String> = self.members().into_iter().map(|(line, _)| line).collect();
            if found == expected {
                return;
            }
            let late = began.elapsed() > Duration::from_secs(60);
            assert!(!late, "{found:?} instead of {expected:?}:\n{}", self.daemon.output());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Says it until it is as wanted.
    async fn until(&self, words: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let told = self.says(words);
            if wanted(&told) {
                return told;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{told}:\n{}", self.daemon.output());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What a look with this token is answered.
    async fn opens(&self, token: &str) -> u16 {
        let url = format!("http://{}/api/v1/projects", self.daemon.public);
        self.http.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    }

    async fn hears(&self, body: &Value) {
        let url = format!("http://{}/hooks/acme-lab", self.daemon.public);
        let request = self.http.post(url).header("X-Gitlab-Token", SECRET);
        let request = request.header("X-Gitlab-Event", "Member Hook").header("Idempotency-Key", "event-1");
        let answer = request.header("Content-Type", "application/json").body(body.to_string());
        assert_eq!(answer.send().await.unwrap().status().as_u16(), 202);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s32_members_come_by_themselves_and_a_leaver_is_out_with_the_event() {
    let forge: Arc<Gitlab> = Gitlab::cloud();
    let group = forge.group("acme");
    let token = forge.group_token(group, 50, &["api"]);
    let (ada, bob) = (forge.person("ada"), forge.person("bob"));
    forge.member(group, ada, 50);
    forge.member(group, bob, 30);
    let office = Office::open(&forge, &token).await;
    office.comes_to(&["ada active", "bob active"]).await;
    let plan = office.says(&[
        "members",
        "sync",
        "--organization",
        "acme",
        "--dry-run",
        "--role",
        "30=read_only",
        "--json",
    ]);
    let step = &plan["steps"][0];
    assert_eq!(
        (step["login"].as_str(), step["what"].as_str(), step["to"].as_str()),
        (Some("bob"), Some("change_role"), Some("read_only")),
        "{plan}"
    );
    let id = office.members().into_iter().find(|(line, _)| line == "bob active").unwrap().1;
    let made = office.says(&[
        "token",
        "create",
        "--organization",
        "acme",
        "--kind",
        "read",
        "--member",
        &id,
        "--json",
    ]);
    let bobs = made["token"].as_str().unwrap().to_owned();
    assert_eq!(office.opens(&bobs).await, 200);
    forge.leaves(group, bob);
    let event = json!({
        "event_name": "user_remove_from_group", "group_id": group, "group_name": "acme", "group_path": "acme",
        "user_id": bob, "user_username": "bob", "user_name": "Bob", "user_email": null, "group_access": "Developer",
        "group_plan": null, "expires_at": null, "created_at": "2026-05-01T00:00:00Z", "updated_at": "2026-05-01T00:00:00Z",
    });
    office.hears(&event).await;
    office.comes_to(&["ada active", "bob removed"]).await;
    assert_eq!(office.opens(&bobs).await, 401);
    let verified = office.runs(&["audit", "verify", "--organization", "acme"]);
    assert!(verified.status.success(), "{verified:?}");
    let file = office.bench.file("audit.jsonl");
    let name = file.to_str().unwrap();
    assert!(office.runs(&["audit", "export", "--to", name]).status.success());
    assert!(office.runs(&["audit", "verify", "--file", name]).status.success());
    let lines = std::fs::read_to_string(&file).unwrap();
    assert!(lines.contains("member.joined") && lines.contains("member.removed"), "{lines}");
    std::fs::write(&file, lines.replacen("member.joined", "member.invited", 1)).unwrap();
    let touched = office.runs(&["audit", "verify", "--file", name]);
    assert_eq!(touched.status.code(), Some(3), "{touched:?}");
    assert!(String::from_utf8_lossy(&touched.stdout).contains("is not what was written"), "{touched:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r24_an_operator_sees_what_was_missed_has_it_sent_once_more_and_reads_the_gap() {
    let forge: Arc<Gitlab> = Gitlab::cloud();
    let group = forge.group("acme");
    let token = forge.group_token(group, 50, &["api"]);
    let project = forge.project(group, "site");
    let office = Office::open(&forge, &token).await;
    let none = office.says(&["catch-up", "--gaps", "--json"]);
    assert_eq!(none["items"], json!([]));
    // Where the config says that we are reached.
    forge.has_hook(project, "http://127.0.0.1:8080/hooks/acme-lab");
    forge.sent(project, "key-1", "execution expired");
    assert!(office.runs(&["connections", "sync", "acme-lab"]).status.success());
    let shown =
        office.until(&["catch-up", "--dry-run", "--json"], |told| told["items"][0]["missing"] == 1).await;
    assert_eq!(
        (shown["items"][0]["provider"].as_str(), shown["items"][0]["error"].as_str()),
        (Some("gitlab"), None)
    );
    assert_eq!(forge.has_sent_again(), [""; 0], "a look asks for nothing");
    let tasks = office.says(&["catch-up", "--organization", "acme", "--json"]);
    assert_eq!(tasks["items"][0]["kind"], "catch_up", "{tasks}");
    let gaps = office.until(&["catch-up", "--gaps", "--json"], |told| told["items"][0]["missed"] == 1).await;
    assert_eq!(gaps["items"][0]["source"], "acme-lab", "{gaps}");
    assert_eq!(forge.has_sent_again(), ["key-1"]);
    let table = office.runs(&["catch-up", "--gaps"]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(text.contains("GitLab 1 missed, 0 recovered; still looked for"), "{text}");
}
