//! The judge: every request that our clients make is laid before Prism, which knows the forges' published descriptions.
//!
//! The clients speak to the fakes, which write down every request; each is then sent to Prism as it was. What Prism says
//! of its own examples does not count; one word about a request does.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use scm_connect::provider::github::client::OrganizationRole::{Admin, Member};
use scm_connect::provider::github::client::{AppSignIn, HookPlace, NewHook};
use scm_connect::provider::gitlab::client as gitlab_client;
use serde_json::Value;
use url::Url;

use super::Asked;
use super::github::Github;
use super::gitlab::Gitlab;
use super::story::{app, client, gitlab, pass};

/// Requests that no published description knows, each with the reason why it is right all the same.
const EXEMPT: &[(&str, &str)] = &[
    ("/api/v4/groups/{}/hooks", "group hooks belong to the paid editions, which the description leaves out"),
    ("/api/v4/groups/{}/hooks/{}", "the same"),
    ("/api/v4/groups/{}/hooks/{}/test/push_events", "the same"),
    ("/api/v4/groups/{}/hooks/{}/events", "the same"),
    ("/api/v4/groups/{}/hooks/{}/events/{}/resend", "the same"),
    (
        "/api/v4/projects/{}/hooks/{}/test/push_events",
        "documented, and not in the part of the description that is kept",
    ),
    (
        "/api/v4/groups/{}/descendant_groups",
        "documented, and not in the part of the description that is kept",
    ),
    ("/api/v4/projects/{}/events", "the same"),
    ("/api/v4/users/{}", "the description lacks it"),
    ("/api/v3/orgs/acme/invitations", "servers have no such list, which the client takes for an answer"),
    ("/applications/Iv23liours/token", "documented, and not in the part of the description that is kept"),
    ("/api/v3/applications/Iv23liours/token", "the same"),
];

/// Calls of the clients that are not laid before the judge themselves, each with the reason.
const NOT_CALLED: &[(&str, &str)] = &[
    (
        "exchange",
        "the way of a sign-in on the site, which no API's description has; the fake minds each field",
    ),
    ("accepts", "the same way, with a code that nobody gave"),
];

/// Prism, as long as it lives.
struct Judge {
    child: Child,
    url: Url,
    _dir: tempfile::TempDir,
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where `tests/tools` puts it. Without it nothing is proven, so its absence is no skip.
fn prism() -> PathBuf {
    let tools = std::env::var_os("SCM_CONNECT_TOOLS").map(PathBuf::from);
    let cache = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/scm-connect/tools");
    let path = tools.unwrap_or_else(cache).join("peers/node/node_modules/@stoplight/prism-cli/dist/index.js");
    assert!(path.exists(), "Prism is missing: run `bash tests/tools`");
    path
}

impl Judge {
    fn of(description: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let packed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/specs");
        let packed = std::fs::read(packed.join(format!("{description}.json.zst"))).unwrap();
        let spec = dir.path().join("spec.json");
        std::fs::write(&spec, zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new("node")
            .arg(prism())
            .args(["mock", "-h", "127.0.0.1", "-p", &port.to_string()])
            .arg(spec)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Prism is listening"));
        assert!(ready, "Prism ended before it listened");
        // Read on, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap(), _dir: dir }
    }

    /// What it has against a request.
    async fn objects(&self, http: &reqwest::Client, asked: &Asked) -> Vec<String> {
        let target = format!("{}{}?{}", self.url.as_str().trim_end_matches('/'), asked.path, asked.raw_query);
        let method = reqwest::Method::from_bytes(asked.method.as_bytes()).unwrap();
        let mut request = http.request(method, target.trim_end_matches('?')).body(asked.body.clone());
        for (name, value) in &asked.headers {
            if !["host", "content-length", "accept-encoding", "if-none-match"].contains(&name.as_str()) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap();
        let said = answer.headers().get("sl-violations").and_then(|it| it.to_str().ok()).unwrap_or("[]");
        let violations: Vec<Value> = serde_json::from_str(said).unwrap();
        let mut found: Vec<String> =
            violations.iter().filter(|it| it["location"][0] == "request").map(ToString::to_string).collect();
        let body: Value = answer.json().await.unwrap_or_default();
        if body["type"].as_str().is_some_and(|kind| kind.contains("prism/errors")) {
            found.push(body["title"].to_string());
        }
        found
    }
}

/// `/orgs/acme/hooks/{}`: numbers are what differs.
fn route(asked: &Asked) -> String {
    let plain = |part: &str| if part.parse::<u64>().is_ok() { "{}".to_owned() } else { part.to_owned() };
    asked.path.split('/').map(plain).collect::<Vec<_>>().join("/")
}

/// Lays the requests before the judge, one of each kind; gives the kinds.
async fn judged(judge: &Judge, seen: Vec<Asked>) -> BTreeSet<String> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (mut kinds, mut wrong) = (BTreeSet::new(), Vec::new());
    for asked in seen {
        let route = route(&asked);
        let kind = format!("{} {route}", asked.method);
        let exempt = EXEMPT.iter().any(|(path, _)| *path == route);
        if kinds.insert(kind.clone()) && !exempt {
            wrong.extend(judge.objects(&http, &asked).await.into_iter().map(|it| format!("{kind}: {it}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    kinds
}

/// Makes every call that the client has; what they bring is the stories' business.
async fn every_github_call(forge: &Arc<Github>) {
    let id = forge.app("ours");
    for org in ["acme", "other"] {
        forge.org(org);
        forge.member(org, "ada", "admin");
    }
    forge.repo("acme", "site", true);
    let granted = [("members", "read"), ("organization_hooks", "write"), ("repository_hooks", "write")];
    let installation = forge.installs(id, "acme", &granted);
    let removed = forge.installs(id, "other", &[]);
    let attempt = forge.delivers(id, "guid", false);
    let client = client(forge);
    let ours = app(&client, id);
    let (session, own) = (ours.at(installation), ours.session());
    ours.about().await.unwrap();
    ours.installations().await.unwrap();
    ours.installation(installation).await.unwrap();
    ours.installation_at_organization("acme").await.unwrap();
    ours.installation_at_person("ada").await.unwrap_err();
    client.convert(forge.manifest()).await.unwrap();
    own.app_hook().await.unwrap();
    own.attempts(&HookPlace::App, 0, None).await.unwrap();
    let url = Url::parse("https://scm.example.com/hooks/acme").unwrap();
    for place in [HookPlace::Organization("acme".into()), HookPlace::Repository("acme".into(), "site".into())]
    {
        let hook = NewHook { url: url.clone(), secret: "canary".into(), events: vec!["push".into()] };
        let made = session.create_hook(&place, &hook).await.unwrap().id.get();
        session.hooks(&place).await.unwrap();
        session.update_hook(&place, made, &hook).await.unwrap();
        if matches!(place, HookPlace::Organization(_)) {
            session.ping_hook(&place, made).await.unwrap();
        }
        let attempts = session.attempts(&place, made, None).await.unwrap();
        session.redeliver(&place, made, attempts.items[0].id.get()).await.unwrap();
        session.delete_hook(&place, made).await.unwrap();
    }
    own.attempt(&HookPlace::App, 0, attempt).await.unwrap();
    pass(&forge.book, 60).await;
    own.redeliver(&HookPlace::App, 0, attempt).await.unwrap();
    own.set_app_hook(&url, Some(&"canary".into())).await.unwrap();
    ours.uninstall(removed).await.unwrap();
    session.organization("acme").await.unwrap();
    session.members("acme", Admin).await.unwrap();
    session.members("acme", Member).await.unwrap();
    session.membership("acme", "ada").await.unwrap();
    session.outside_collaborators("acme").await.unwrap();
    drop(session.invitations("acme").await);
    session.all_installation_repositories().await.unwrap();
    session.repository("acme", "site").await.unwrap();
    let person = client.token(forge.token("ada", Some("repo, read:org, user")).into());
    let number = person.who().await.unwrap().person.id.get();
    person.person(number).await.unwrap();
    person.emails().await.unwrap();
    person.organization_repositories("acme", None).await.unwrap();
    person.reachable_installations().await.unwrap();
    person.reachable_repositories(installation).await.unwrap();
    person.own_membership("acme").await.unwrap();
    person.own_memberships().await.unwrap();
    person.account("ada").await.unwrap();
    person.meta().await.unwrap();
    session.members_page("acme", Admin, None).await.unwrap();
    session.outside_collaborators_page("acme", None).await.unwrap();
    drop(session.invitations_page("acme", None).await);
    session.installation_repositories(None).await.unwrap();
    let sign_in = AppSignIn { client_id: "Iv23liours".into(), client_secret: "".into() };
    drop(client.drop_token(&sign_in, &"nobody's".into()).await);
}

async fn github(forge: Arc<Github>, description: &str) {
    let judge = Judge::of(description);
    every_github_call(&forge).await;
    let kinds = judged(&judge, forge.book.seen()).await;
    assert_eq!(kinds.len(), 44, "\n{}", Vec::from_iter(kinds).join("\n"));
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn every_request_to_github_com_is_as_published() {
    github(Github::cloud(), "api.github.com.sub").await;
}

#[tokio::test]
async fn every_request_to_a_github_server_3_17_is_as_published() {
    github(Github::server("3.17.2"), "ghes-3.17.sub").await;
}

#[tokio::test]
async fn every_request_to_a_github_server_3_19_is_as_published() {
    github(Github::server("3.19.0"), "ghes-3.19.sub").await;
}

#[tokio::test]
async fn every_request_to_gitlab_is_as_published() {
    let forge = Gitlab::cloud();
    // The description believes that ids fit 32 bits, which GitLab.com's do not.
    forge.counts_from_one();
    let group = forge.group("acme");
    let project = forge.project(group, "site");
    let token = forge.group_token(group, 50, &["api"]);
    let judge = Judge::of("gitlab.sub");
    let session = gitlab::client(&forge).token(token.as_str().into());
    let version = session.version().await.unwrap();
    assert_eq!(version.number(), Some((19, 1)));
    let bot = session.who().await.unwrap().id.get();
    session.token().await.unwrap();
    session.person(bot).await.unwrap();
    session.groups().await.unwrap();
    session.group_at("acme").await.unwrap();
    session.group(group).await.unwrap();
    session.members(group).await.unwrap();
    session.direct_members(group).await.unwrap();
    session.member(group, bot).await.unwrap();
    session.direct_member(group, bot).await.unwrap();
    session.members_page(group, None).await.unwrap();
    session.direct_members_page(group, None).await.unwrap();
    session.descendants_page(group, None).await.unwrap();
    session.projects(group, None).await.unwrap();
    session.lively_projects(group).await.unwrap();
    session.newest_push(project, "2026-05-31").await.unwrap();
    session.project_member(project, bot).await.unwrap();
    session.all_projects(group).await.unwrap();
    session.project(project).await.unwrap();
    for place in [gitlab_client::HookPlace::Project(project), gitlab_client::HookPlace::Group(group)] {
        let made = session.create_hook(place, &gitlab::hook()).await.unwrap().id.get();
        session.hooks(place).await.unwrap();
        session.update_hook(place, made, &gitlab::hook()).await.unwrap();
        session.test_hook(place, made, gitlab_client::Trigger::Push).await.unwrap();
        session.hook_events(place, made, None).await.unwrap();
        drop(session.resend(place, made, 7).await);
        session.delete_hook(place, made).await.unwrap();
    }
    session.rotate(None).await.unwrap();
    let kinds = judged(&judge, forge.book.seen()).await;
    assert_eq!(kinds.len(), 31, "\n{}", Vec::from_iter(kinds).join("\n"));
    assert_eq!(forge.violations(), [""; 0]);
}

/// The calls that a forge's client offers, by the names of their functions.
fn calls(forge: &str) -> BTreeSet<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/provider/{forge}/client"));
    let files =
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let names = |text: String| {
        let lines =
            text.lines().filter_map(|line| line.trim().strip_prefix("pub async fn ").map(str::to_owned));
        lines.map(|line| line.split(['(', '<']).next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    files.flat_map(names).collect()
}

#[test]
fn no_call_of_our_clients_escapes_the_judge() {
    let made = include_str!("judge.rs");
    let (github, gitlab) = made.split_once("async fn every_request_to_gitlab").unwrap();
    for (forge, judged, at_least) in [("github", github, 35), ("gitlab", gitlab, 22)] {
        let all = calls(forge);
        assert!(all.len() >= at_least, "{forge}: only {all:?} were found");
        let escaped: Vec<&String> = all
            .iter()
            .filter(|name| !judged.contains(&format!(".{name}(")))
            .filter(|name| !NOT_CALLED.iter().any(|(known, _)| known == name))
            .collect();
        assert!(escaped.is_empty(), "{forge}: nobody judges {escaped:?}");
    }
    let known: BTreeSet<String> = calls("github").into_iter().chain(calls("gitlab")).collect();
    assert!(NOT_CALLED.iter().all(|(name, _)| known.contains(*name)), "a reason outlived its call");
}
