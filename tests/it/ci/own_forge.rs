//! Jobs at forges of one's own, whose connections were made while the daemon runs.

use std::sync::Arc;

use scm_connect::domain::organization::Kind;
use serde_json::{Value, json};
use url::Url;

use super::office::{Answer, Office};
use crate::forge::{FakeGithub, FakeGitlab};
use crate::harness::bench::Bench;
use crate::harness::cluster::Cluster;

/// The name with which an instance at this address signs.
fn name(site: &Url) -> String {
    site.as_str().trim_end_matches('/').to_owned()
}

/// An admin of an organization connects an account.
fn adds(office: &Office, organization: &str, key: &str, kind: Kind, site: &Url, token: &str) -> Value {
    let file = office.bench.file(key);
    std::fs::write(&file, token).unwrap();
    let (file, kind) = (file.to_str().unwrap().to_owned(), kind.as_str());
    office.run(&[
        "connections",
        "add",
        "--organization",
        organization,
        "--kind",
        kind,
        "--forge",
        site.as_str(),
        "--account",
        "acme",
        "--key",
        key,
        "--token-file",
        &file,
        "--json",
    ])
}

/// A group `acme` with the project `web` at a GitLab, which signs as the published issuer does.
struct World {
    gitlab: Arc<FakeGitlab>,
    group: u64,
    project: u64,
}

impl World {
    async fn of(gitlab: Arc<FakeGitlab>, office: &Office) -> Self {
        gitlab.signs_jobs_with(office.keys().await);
        let group = gitlab.group("acme");
        let project = gitlab.project(group, "web");
        Self { gitlab, group, project }
    }

    /// The ID token of its job.
    fn job(&self, office: &Office, number: u64) -> String {
        let more = json!({"iss": name(&self.gitlab.site())});
        office.issuer.gitlab_with("acme/web", self.project, self.group, number, more)
    }

    /// How often its keys were read.
    fn read(&self) -> usize {
        self.gitlab.book.lines().iter().filter(|line| *line == "GET /gitlab/oauth/discovery/keys").count()
    }

    fn group_token(&self) -> String {
        self.gitlab.group_token(self.group, 50, &["api"])
    }
}

fn is_unknown(answer: &Answer) -> bool {
    (answer.status, answer.code()) == (401, "id-token-invalid")
}

fn is_taken(answer: &Answer) -> bool {
    let token = answer.body["token"]["value"].as_str().unwrap_or_default();
    matches!(answer.status, 200 | 201) && token.starts_with("scmc_ci_")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_gitlab_of_ones_own_is_believed_from_the_moment_it_is_connected() {
    let office = Office::open("").await;
    let world = World::of(FakeGitlab::old_instance(), &office).await;
    let (ci, other, read) =
        (office.token("acme", "ci"), office.token("other", "ci"), office.token("acme", "read"));
    let stranger = office.prove(Some(&ci), &world.job(&office, 1)).await;
    assert!(is_unknown(&stranger), "{stranger:?}");
    assert!(world.gitlab.book.lines().is_empty(), "nobody is asked by a stranger's word");
    let added =
        adds(&office, "acme", "own", Kind::GitlabSelfManaged, &world.gitlab.site(), &world.group_token());
    assert_eq!(added["connection"]["state"], "waiting_first_job", "{added}");
    let made = office.prove(Some(&ci), &world.job(&office, 1)).await;
    assert!(is_taken(&made), "{made:?}");
    assert_eq!(
        (&made.body["connection"]["key"], &made.body["connection"]["created"]),
        (&json!("own"), &json!(false))
    );
    // From then on no stored secret is needed.
    let alone = office.prove(None, &world.job(&office, 2)).await;
    assert!(is_taken(&alone), "{alone:?}");
    assert_eq!(alone.body["project"]["id"], made.body["project"]["id"]);
    let shown = office.get("/api/v1/connections/own", &read).await;
    assert_ne!(shown.body["state"], "waiting_first_job", "{:?}", shown.body);
    // It is the forge of this organization, and proves nothing to another one.
    let elsewhere = office.prove(Some(&other), &world.job(&office, 3)).await;
    assert!(is_unknown(&elsewhere), "{elsewhere:?}");
    assert!(office.list("/api/v1/connections", &office.token("other", "read")).await.is_empty());
    assert_eq!(world.read(), 1);
    assert_eq!(world.gitlab.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_github_server_is_believed_from_the_moment_it_is_connected() {
    let office = Office::open("").await;
    let github = FakeGithub::server("3.19.0");
    github.signs_jobs_with(office.keys().await);
    github.org("acme");
    github.member("acme", "ada", "admin");
    github.repo("acme", "site", true);
    let issuer = format!("{}/_services/token", name(&github.site()));
    let (repository, owner) = (github.repo_id("acme", "site"), github.org_id("acme"));
    let job = |run| office.issuer.github("acme/site", repository, owner, run, json!({"iss": issuer}));
    let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
    assert!(is_unknown(&office.prove(Some(&ci), &job(1)).await));
    assert!(github.book.lines().is_empty());
    let token = github.token("ada", Some("repo, user, read:org, admin:org_hook"));
    adds(&office, "acme", "own", Kind::GithubEnterpriseServer, &github.site(), token);
    let made = office.prove(Some(&ci), &job(1)).await;
    assert!(is_taken(&made), "{made:?}");
    let told = &made.body["connection"];
    assert_eq!((&told["key"], &told["kind"]), (&json!("own"), &json!("github_enterprise_server")));
    assert!(is_taken(&office.prove(None, &job(2)).await));
    let shown = office.get("/api/v1/connections/own", &read).await;
    assert_ne!(shown.body["state"], "waiting_first_job", "{:?}", shown.body);
    assert_eq!(github.violations(), [""; 0]);
}

/// Another organization's connection in the operator's file tells the way to the host: its authority and its proxy.
#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_forge_are_read_by_the_way_that_the_file_tells_of_its_host() {
    let (gitlab, names) = FakeGitlab::by_name("git.example.com");
    let declared = |authority: &str| {
        format!(
            "[[connections]]\nkey = \"declared\"\norganization = \"other\"\nkind = \"gitlab_self_managed\"\n\
             account = \"elsewhere\"\nurl = \"{}\"\nwebhook_secrets = [{{ value = \"a-long-random-secret\" }}]\n\
             proxy = \"{}\"\n{authority}",
            gitlab.site(),
            names.proxy()
        )
    };
    let believed = declared(&format!("ca_file = \"{}\"\n", names.authority().display()));
    let office = Office::open_with("", &believed).await;
    let world = World::of(Arc::clone(&gitlab), &office).await;
    let ci = office.token("acme", "ci");
    adds(&office, "acme", "own", Kind::GitlabSelfManaged, &gitlab.site(), &world.group_token());
    let made = office.prove(Some(&ci), &world.job(&office, 1)).await;
    assert!(is_taken(&made), "{made:?}");
    assert_eq!((world.read(), gitlab.violations()), (1, Vec::new()));
    // Without its authority nobody is believed at that name, and that is no refusal of the token.
    let office = Office::open_with("", &declared("")).await;
    let ci = office.token("other", "ci");
    let unread = office.prove(Some(&ci), &world.job(&office, 2)).await;
    assert_eq!((unread.status, unread.code()), (503, "id-token-keys"), "{unread:?}");
    assert_eq!(world.read(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_another_process_connects_is_believed_at_every_replica_at_once() {
    let url = Cluster::shared().database("").await;
    let mut office = Office::open_in(Bench::on_database(&url), "", "").await;
    let mut second = office.bench.daemon().await;
    let world = World::of(FakeGitlab::old_instance(), &office).await;
    let ci = office.token("acme", "ci");
    for number in 1..=2 {
        assert!(is_unknown(&office.prove(Some(&ci), &world.job(&office, number)).await));
        std::mem::swap(&mut office.daemon, &mut second);
    }
    adds(&office, "acme", "own", Kind::GitlabSelfManaged, &world.gitlab.site(), &world.group_token());
    for number in 1..=2 {
        let made = office.prove(Some(&ci), &world.job(&office, number)).await;
        assert!(is_taken(&made), "{made:?}");
        std::mem::swap(&mut office.daemon, &mut second);
    }
    assert_eq!(world.gitlab.violations(), [""; 0]);
}
