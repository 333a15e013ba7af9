//! Adding connections: what is accepted, and what is refused with a reason that helps.

use scm_connect::connect::{NewConnection, Verb};
use scm_connect::domain::credential::{CredentialKind, CredentialOwner};
use scm_connect::domain::organization::{ConnectionState, Forge, Kind};
use scm_connect::domain::project::ProjectState;
use secrecy::ExposeSecret as _;

use super::bench::{Bench, code, connected, key, slug, wish, wish_of_app};
use crate::forge::{FakeGithub, FakeGitlab};

const GHES: Kind = Kind::GithubEnterpriseServer;
const FOUR: &str = "public_repo, repo:status, user:email, write:discussion";

/// Story 11 of the rules, GitHub's half.
#[tokio::test]
async fn a_personal_token_of_a_server_connects_with_the_documented_scopes() {
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    github.member("acme", "ada", "admin");
    github.repo("acme", "site", false);
    for (scopes, missing) in [
        ("repo:status, user:email, write:discussion", "public_repo"),
        ("public_repo, user:email, write:discussion", "repo:status"),
        ("public_repo, repo:status, write:discussion", "user:email"),
    ] {
        let bench = Bench::of_acme(None).await;
        let token = github.token("ada", Some(scopes));
        let (refused, message) = code(bench.adds(GHES, &github.site(), "acme", token).await);
        assert_eq!((refused, message.contains(missing)), ("scope-missing", true), "{message}");
        assert!(bench.store.connection(&key("acme")).await.unwrap().is_none(), "nothing is stored");
    }
    // The minimum connects, and says what it cannot do; a server may not offer the fourth scope at all.
    for (scopes, remark) in [(FOUR, false), ("public_repo, repo:status, user:email", true)] {
        let bench = Bench::of_acme(None).await;
        let token = github.token("ada", Some(scopes));
        let added = bench.adds(GHES, &github.site(), "acme", token).await.unwrap();
        assert_eq!(added.remarks.iter().any(|it| it.contains("write:discussion")), remark);
        assert!(added.hook.is_some_and(|(url, _)| url.path() == "/hooks/acme"));
        bench.works().await;
        let shown = bench.shown("acme").await;
        assert_eq!(shown.state(), ConnectionState::Limited);
        let lacks = |needs: &str| shown.health.capabilities.iter().any(|it| it.needs == needs && !it.ok);
        assert!(lacks("repo") && lacks("read:org") && !lacks("public_repo"));
        assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::NotSetUp)]);
    }
    // A wider scope stands for the narrower ones.
    let bench = Bench::of_acme(Some(Forge::Github)).await;
    let token = github.token("ada", Some("repo, user, read:org, workflow, admin:org_hook"));
    let added = bench.adds(GHES, &github.site(), "acme", token).await.unwrap();
    assert_eq!(added.connection.state(), ConnectionState::WaitingFirstJob);
    assert!(added.connection.authority, "the first one at the founder's forge manages members");
    bench.works().await;
    assert_eq!(bench.state("acme").await, ConnectionState::Connected);
    // Fine-grained: the forge does not tell, so that it is told as limited, never refused.
    let bench = Bench::of_acme(None).await;
    let token = github.token("ada", None);
    let added = bench.adds(GHES, &github.site(), "acme", token).await.unwrap();
    assert_eq!(added.connection.state(), ConnectionState::Limited);
    assert!(added.remarks.iter().any(|it| it.contains("fine-grained")));
    assert_eq!(github.violations(), [""; 0]);
}

/// Story 11 of the rules, GitLab's half; story 12's sub-path.
#[tokio::test]
async fn a_token_of_gitlabs_connects_by_its_scope_role_and_end() {
    let gitlab = FakeGitlab::old_instance();
    let group = gitlab.group("acme");
    let project = gitlab.project(group, "site");
    let site = gitlab.site();
    let bench = Bench::of_acme(None).await;
    let all = gitlab.group_token(group, 50, &["api"]);
    let added = bench.adds(Kind::GitlabSelfManaged, &site, "acme", &all).await.unwrap();
    assert_eq!(added.connection.account.external_id, Some(group));
    bench.works().await;
    assert_eq!(bench.state("acme").await, ConnectionState::Connected);
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::NotSetUp)]);
    let add = async |token: &str| {
        Bench::of_acme(None).await.adds(Kind::GitlabSelfManaged, &site, "acme", token).await
    };
    let read = gitlab.group_token(group, 50, &["read_api"]);
    assert_eq!(add(&read).await.unwrap().connection.state(), ConnectionState::Limited);
    let soon = gitlab.group_token(group, 50, &["api"]);
    gitlab.ends(&soon, "2026-06-07");
    assert_eq!(add(&soon).await.unwrap().connection.state(), ConnectionState::TokenExpiring);
    let over = gitlab.group_token(group, 50, &["api"]);
    gitlab.ends(&over, "2026-05-31");
    assert_eq!(code(add(&over).await).0, "credential-refused");
    // A person's token works, with a warning; a project's sees its own project.
    let ada = gitlab.person("ada");
    gitlab.member(group, ada, 50);
    let own = gitlab.token(ada, &["api"]);
    let added = add(&own).await.unwrap();
    assert!(added.remarks.iter().any(|it| it.contains("ada's own")), "{:?}", added.remarks);
    let narrow = gitlab.project_token(project, 40, &["api"]);
    let added = add(&narrow).await.unwrap();
    assert!(added.remarks.iter().any(|it| it.contains("a project's")), "{:?}", added.remarks);
    assert_eq!(added.connection.state(), ConnectionState::Limited, "it sees no members");
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn a_near_miss_of_an_accounts_name_is_told_with_the_right_spelling() {
    let bench = Bench::of_acme(None).await;
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme-corp");
    let token = gitlab.group_token(group, 50, &["api"]);
    for typed in ["Acme-Corp", "amce-corp", "acmecorp"] {
        let refused = bench.adds(Kind::GitlabSelfManaged, &gitlab.site(), typed, &token).await;
        let (code, message) = code(refused);
        assert_eq!(code, "account-spelling", "{typed}: {message}");
        assert!(message.contains("\"acme-corp\""), "{message}");
    }
    let refused = bench.adds(Kind::GitlabSelfManaged, &gitlab.site(), "somebody-else", &token).await;
    assert_eq!(code(refused).0, "account-unknown");
    // A group's number is no name.
    let refused = bench.adds(Kind::GitlabSelfManaged, &gitlab.site(), &group.to_string(), &token).await;
    assert_eq!(code(refused).0, "account-unknown");
    let github = FakeGithub::server("3.19.0");
    github.org("octo-org");
    github.member("octo-org", "ada", "admin");
    let token = github.token("ada", Some("repo, user, read:org"));
    for typed in ["Octo-Org", "octo-orgs"] {
        let (code, message) = code(bench.adds(GHES, &github.site(), typed, token).await);
        assert_eq!((code, message.contains("\"octo-org\"")), ("account-spelling", true), "{message}");
    }
}

#[tokio::test]
async fn an_account_belongs_to_one_organization_and_whose_it_is_is_told_to_nobody() {
    let bench = Bench::of_acme(None).await;
    bench.organization("other-one", None).await;
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    let token = gitlab.group_token(group, 50, &["api"]);
    let first = wish(Kind::GitlabSelfManaged, &gitlab.site(), "acme", &token);
    let other = NewConnection { organization: slug("other-one"), key: Some(key("theirs")), ..first.clone() };
    bench.connections.add(other).await.unwrap();
    let (refused, message) = code(bench.connections.add(first.clone()).await);
    assert_eq!(refused, "account-unavailable");
    for word in ["other-one", "theirs"] {
        assert!(!message.contains(word), "{message}");
    }
    // What one's own organization has is told.
    let again = NewConnection { organization: slug("other-one"), key: None, ..first };
    let (refused, message) = code(bench.connections.add(again).await);
    assert_eq!((refused, message.contains("theirs")), ("account-connected", true), "{message}");
}

#[tokio::test]
async fn only_the_founders_forge_manages_members_and_only_one_connection_does() {
    let bench = Bench::of_acme(Some(Forge::Github)).await;
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    let token = gitlab.group_token(group, 50, &["api"]);
    let there = wish(Kind::GitlabSelfManaged, &gitlab.site(), "acme", &token);
    let wanted = NewConnection { authority: Some(true), ..there.clone() };
    assert_eq!(code(bench.connections.add(wanted).await).0, "authority-forge");
    let added = bench.connections.add(NewConnection { key: Some(key("repos")), ..there }).await.unwrap();
    assert!(!added.connection.authority, "the other forge is for its repositories only");
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    github.org("acme-two");
    let token = github.token("ada", Some("repo, user, read:org"));
    let first = wish(GHES, &github.site(), "acme", token);
    assert!(bench.connections.add(first.clone()).await.unwrap().connection.authority);
    let second = NewConnection { account: "acme-two".into(), key: Some(key("second")), ..first };
    let forced = NewConnection { authority: Some(true), ..second.clone() };
    assert_eq!(code(bench.connections.add(forced).await).0, "authority-exists");
    assert!(!bench.connections.add(second).await.unwrap().connection.authority);
    let acme = bench.store.organization(&slug("acme")).await.unwrap().unwrap();
    assert_eq!(acme.authority, Some(key("acme")));
}

#[tokio::test]
async fn an_app_that_there_is_already_is_used_where_it_is_installed() {
    let bench = Bench::of_acme(Some(Forge::Github)).await;
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    github.repo("acme", "site", true);
    let app = github.app("ours");
    let new = wish_of_app(&github, app, None, Some("the hook's own secret"));
    assert_eq!(code(bench.connections.add(new.clone()).await).0, "not-installed");
    let installation = github.installs(app, "acme", &[("metadata", "read"), ("members", "read")]);
    let added = bench.connections.add(new).await.unwrap();
    assert_eq!(added.connection.installation, Some(installation));
    assert_eq!(added.hook.map(|(url, _)| url), None, "its own secret is known to whoever gave it");
    assert_eq!(added.connection.state(), ConnectionState::Limited);
    let owner = CredentialOwner::Source(added.connection.source.clone());
    let kept = bench.store.credential(&owner, CredentialKind::WebhookSecret).await.unwrap().unwrap();
    assert_eq!(kept.secret.expose_secret(), "the hook's own secret");
    // Granted permissions decide, not those that were asked for.
    github.grants(installation, &[("metadata", "read"), ("members", "read"), ("pull_requests", "write")]);
    bench.works().await;
    assert_eq!(bench.state("acme").await, ConnectionState::Connected);
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::NotSetUp)]);
    assert_eq!(github.violations(), [""; 0]);
}

/// Story 12 of the rules, the addresses.
#[tokio::test]
async fn an_address_that_is_never_called_is_refused_before_anything_is_sent() {
    let bench = Bench::of_acme(None).await;
    for (address, refused) in [
        ("http://169.254.169.254/", "url-forbidden"),
        ("https://[::ffff:169.254.169.254]/", "url-forbidden"),
        ("https://10.0.0.1/", "url-forbidden"),
        ("https://user:password@git.example.com/", "url-forbidden"),
        ("https://github.com/", "url-invalid"),
    ] {
        let site = address.parse().unwrap();
        let (code, message) = code(bench.adds(GHES, &site, "acme", "glpat-canary-token-1").await);
        assert_eq!(code, refused, "{address}: {message}");
        assert!(!message.contains("canary") && !message.contains("user:password"), "{message}");
    }
    // The API's address is taken for what people type.
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    let token = github.token("ada", Some("repo, user"));
    let typed = github.site().join("api/v3/").unwrap();
    let added = bench.adds(GHES, &typed, "acme", token).await.unwrap();
    assert_eq!(added.connection.url, github.site());
}

#[tokio::test]
async fn a_connection_that_was_ended_comes_back_under_its_key() {
    let (bench, gitlab, token) = connected("api").await;
    bench.acts("acme", Verb::Disconnect).await;
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::Paused)]);
    bench.adds(Kind::GitlabSelfManaged, &gitlab.site(), "acme", &token).await.unwrap();
    bench.works().await;
    assert_eq!(bench.state("acme").await, ConnectionState::Connected);
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::NotSetUp)]);
}
