//! S33: the admin whom the operator's file names. No list, no event and no removal takes that away; the file does.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use scm_connect::domain::change::Change;
use scm_connect::domain::organization::{BREAK_GLASS, Member, MemberState, Role};
use serde_json::Value;

use super::super::github::Github;
use super::super::story::pass;
use super::{at_github, slug};
use crate::harness::bench::Bench;
use crate::harness::cluster::Cluster;
use crate::harness::daemon::Daemon;

#[tokio::test]
async fn s33_the_break_glass_admin_stays_through_lists_events_and_single_readings() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    for login in ["ada", "bob", "eve"] {
        forge.member("acme", login, "member");
    }
    desk.syncs(&directory).await.unwrap();
    let ada = forge.person("ada");
    let named = Member { role: Some(Role::Admin), role_source: BREAK_GLASS.into(), ..desk.member(ada).await };
    desk.store.apply(vec![Change::PutMember(Box::new(named.clone()))], Vec::new()).await.unwrap();
    desk.gives_token(&named, 1).await;
    let is_kept = async |what: &str| {
        let now = desk.member(ada).await;
        assert_eq!(
            (now.state, now.role, now.is_break_glass()),
            (MemberState::Active, Some(Role::Admin), true),
            "{what}"
        );
        assert!(desk.opens(1).await, "{what}");
    };
    desk.syncs(&directory).await.unwrap();
    is_kept("a list with another role").await;
    desk.reads(&directory, ada).await.unwrap();
    is_kept("a single reading").await;
    desk.hears_of_leaving(ada, "ada").await;
    is_kept("an event").await;
    forge.leaves("acme", "ada");
    desk.reads(&directory, ada).await.unwrap();
    is_kept("a single reading that finds nobody").await;
    pass(&forge.book, 3600).await;
    desk.syncs(&directory).await.unwrap();
    is_kept("a list without them").await;
    // Nobody counts on them: the last admin of the forge's own stays all the same.
    forge.gives_role("acme", "olga", "member");
    let synced = desk.syncs(&directory).await.unwrap();
    assert_eq!(synced.plan.last_admin().map(|person| person.login), Some("olga".into()));
    let lines = desk.store.chained(Some(&slug()), 0, 100).await.unwrap();
    assert!(lines.iter().any(|line| line.action == "member.kept" && line.subject.starts_with("ada (")));
    assert_eq!(forge.violations(), [""; 0]);
}

/// A daemon whose file may name somebody, and what is typed beside it.
struct Office {
    bench: Bench,
    daemon: Daemon,
    http: reqwest::Client,
}

impl Office {
    async fn open(bench: Bench, named: &str) -> Self {
        std::fs::write(bench.config(), text(&bench, named)).unwrap();
        let daemon = bench.daemon().await;
        Self { bench, daemon, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    fn types(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scm-connect"));
        command.args(words).arg("--config").arg(self.bench.config()).output().unwrap()
    }

    fn says(&self, words: &[&str]) -> Value {
        let output = self.types(words);
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{words:?}: {text}{output:?}"))
    }

    fn members(&self) -> Vec<Value> {
        self.says(&["members", "list", "--all", "--json"])["items"].as_array().unwrap().clone()
    }

    /// The operator changes the file, and says so.
    async fn names(&self, named: &str, round: usize) {
        std::fs::write(self.bench.config(), text(&self.bench, named)).unwrap();
        self.daemon.signal(Signal::HUP);
        let began = Instant::now();
        while self.daemon.output().matches("\"config-reloaded\"").count() < round {
            assert!(began.elapsed() < Duration::from_secs(30), "{}", self.daemon.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What an admin's look with this token is answered.
    async fn opens(&self, token: &str) -> u16 {
        let url = format!("http://{}/api/v1/tokens", self.daemon.public);
        self.http.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    }
}

fn text(bench: &Bench, named: &str) -> String {
    bench.text("").replace("name = \"Acme\"\n", &format!("name = \"Acme\"\n{named}\n"))
}

const LOCAL: &str = r#"break_glass = { login = "keeper" }"#;
const AT_FORGE: &str = r#"break_glass = { login = "ada", host = "github.com", external_id = 583231 }"#;

/// From nobody to an account of the operator's own, to a person of a forge, and back to nobody.
async fn is_named_and_named_no_more(bench: Bench) {
    let office = Office::open(bench, LOCAL).await;
    let keeper = office.members().remove(0);
    let word = |member: &Value, key: &str| member[key].as_str().unwrap_or_default().to_owned();
    let place =
        |member: &Value| ["login", "host", "role", "role_source", "state"].map(|key| word(member, key));
    assert_eq!(place(&keeper), ["keeper", "local", "admin", "break_glass", "active"]);
    let id = word(&keeper, "id");
    assert_eq!(place(&office.says(&["members", "show", &id, "--json"])), place(&keeper));
    let makes = ["token", "create", "--organization", "acme", "--kind", "admin", "--member", &id, "--json"];
    let token = word(&office.says(&makes), "token");
    assert_eq!(office.opens(&token).await, 200);
    let pinned = office.types(&["members", "pin", &id, "--role", "read_only"]);
    assert!(String::from_utf8_lossy(&pinned.stderr).contains("the config file names"), "{pinned:?}");
    office.names(LOCAL, 1).await;
    assert_eq!(office.opens(&token).await, 200, "the same file changes nothing");
    office.names(AT_FORGE, 2).await;
    assert_eq!(office.opens(&token).await, 401, "they are named no more");
    let mut all = office.members();
    all.sort_by_key(|member| word(member, "login"));
    let all: Vec<[String; 5]> = all.iter().map(place).collect();
    assert_eq!(all[0], ["ada", "github.com", "admin", "break_glass", "active"]);
    assert_eq!(all[1], ["keeper", "local", "", "forge", "removed"]);
    office.names("", 3).await;
    let ada = office.members().into_iter().find(|member| member["login"] == "ada").unwrap();
    assert_eq!(place(&ada)[2..], ["", "forge", "removed"], "nobody can be asked about them");
    let lines = office.says(&["audit", "list", "--organization", "acme", "--all", "--json"]);
    let of_glass = |line: &&Value| word(line, "action").starts_with("member.break-glass");
    let lines = lines["items"].as_array().unwrap().iter().filter(of_glass);
    let mut told: Vec<String> = lines
        .map(|line| format!("{} {} {}", word(line, "actor"), word(line, "action"), word(line, "subject")))
        .collect();
    told.sort();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|line| line.starts_with("config ")), "{told:?}");
    let verified = office.types(&["audit", "verify", "--organization", "acme"]);
    assert!(verified.status.success(), "{verified:?}");
    office.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s33_a_file_makes_a_break_glass_admin_and_unmakes_them() {
    is_named_and_named_no_more(Bench::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s33_the_same_on_a_database() {
    let url = Cluster::shared().database("").await;
    is_named_and_named_no_more(Bench::on_database(&url)).await;
}
