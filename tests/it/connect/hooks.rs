//! Hooks that we make at GitLab: which, how they prove what they send, and what is done when one is switched off.

use scm_connect::connect::Verb;
use scm_connect::domain::credential::{CredentialKind, CredentialOwner};
use scm_connect::domain::health::Channel;
use scm_connect::domain::organization::{ConnectionState, Kind};
use secrecy::ExposeSecret as _;

use super::bench::Bench;
use crate::forge::{FakeGithub, FakeGitlab, Fault, Planted};

async fn kept(bench: &Bench, kind: CredentialKind) -> Option<String> {
    let owner = CredentialOwner::Source(bench.shown("acme").await.source);
    let found = bench.store.credential(&owner, kind).await.unwrap();
    found.map(|kept| kept.secret.expose_secret().to_owned())
}

#[tokio::test]
async fn a_paid_group_gets_one_hook_that_signs_what_it_sends() {
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    let site = gitlab.project(group, "site");
    let token = gitlab.group_token(group, 50, &["api"]);
    let bench = Bench::connected(&gitlab, &token).await;
    bench.acts("acme", Verb::Test).await;
    let hooks = gitlab.group_hooks(group);
    assert_eq!(hooks.len(), 1, "looked for before it is made: {hooks:?}");
    assert_eq!(hooks[0]["url"], "https://scm.example.com/hooks/acme");
    assert_eq!((&hooks[0]["pipeline_events"], &hooks[0]["member_events"]), (&true.into(), &true.into()));
    assert!(gitlab.project_hooks(site).is_empty());
    let (plain, signing) = gitlab.group_hook_secrets(group);
    assert_eq!((kept(&bench, CredentialKind::WebhookSecret).await, plain.is_some()), (plain, true));
    assert_eq!((kept(&bench, CredentialKind::SigningToken).await, signing.is_some()), (signing, true));
    let shown = bench.shown("acme").await;
    assert_eq!((shown.health.channel, shown.state()), (Channel::GroupHook, ConnectionState::Connected));
    // Switched off at the forge, it is switched on again by a test that we answer.
    gitlab.disables_group_hooks(group);
    bench.acts("acme", Verb::Test).await;
    assert_eq!(bench.state("acme").await, ConnectionState::Connected);
    assert_eq!(gitlab.group_hooks(group)[0]["alert_status"], "executable");
    // With the connection, the hook goes; and every secret.
    let ended = bench.acts("acme", Verb::Disconnect).await;
    assert!(gitlab.group_hooks(group).is_empty());
    assert!(ended[0].note.as_ref().unwrap().contains("hooks removed: 1"), "{ended:?}");
    assert_eq!(kept(&bench, CredentialKind::WebhookSecret).await, None);
    assert_eq!(bench.state("acme").await, ConnectionState::Uninstalled);
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn a_free_group_gets_a_hook_of_each_project_and_an_old_server_a_plain_token() {
    let gitlab = FakeGitlab::old_instance();
    let group = gitlab.group("acme");
    let projects = [gitlab.project(group, "site"), gitlab.project(group, "web")];
    let token = gitlab.group_token(group, 50, &["api"]);
    let bench = Bench::connected(&gitlab, &token).await;
    bench.acts("acme", Verb::Test).await;
    bench.acts("acme", Verb::Test).await;
    for project in projects {
        let hooks = gitlab.project_hooks(project);
        assert_eq!(hooks.len(), 1, "{hooks:?}");
        assert_eq!(hooks[0]["url"], "https://scm.example.com/hooks/acme");
    }
    let shown = bench.shown("acme").await;
    assert_eq!((shown.health.channel, shown.health.hooks.len()), (Channel::ProjectHooks, 2));
    // A door that asked for signatures would refuse all that this server sends.
    assert_eq!(kept(&bench, CredentialKind::SigningToken).await, None);
    gitlab.disables_hooks(projects[0]);
    bench.acts("acme", Verb::Test).await;
    assert_eq!(gitlab.project_hooks(projects[0])[0]["alert_status"], "executable");
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn a_developers_token_makes_no_hooks_and_the_connection_is_limited() {
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    gitlab.project(group, "site");
    let token = gitlab.group_token(group, 30, &["api"]);
    let bench = Bench::connected(&gitlab, &token).await;
    let shown = bench.shown("acme").await;
    assert_eq!((shown.health.channel, shown.state()), (Channel::Polling, ConnectionState::Limited));
    let hooks = shown.health.capabilities.iter().find(|it| it.feature == "hooks").unwrap();
    assert!(!hooks.ok && hooks.needs.contains("Maintainer"), "{hooks:?}");
    assert!(gitlab.group_hooks(group).is_empty());
}

#[tokio::test]
async fn a_github_token_that_may_makes_one_hook_of_the_organization_and_takes_it_away_again() {
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    github.member("acme", "ada", "admin");
    github.repo("acme", "site", false);
    let bench = Bench::of_acme(None).await;
    let token = github.token("ada", Some("repo, user, read:org, workflow, admin:org_hook"));
    let added = bench.adds(Kind::GithubEnterpriseServer, &github.site(), "acme", token).await.unwrap();
    assert_eq!(added.hook.map(|(url, _)| url), None, "nobody has to set one up");
    bench.works().await;
    bench.acts("acme", Verb::Test).await;
    let hooks = github.org_hooks("acme");
    assert_eq!(hooks.len(), 1, "looked for before it is made: {hooks:?}");
    assert_eq!(hooks[0]["config"]["url"], "https://scm.example.com/hooks/acme");
    assert_eq!((&hooks[0]["config"]["content_type"], &hooks[0]["active"]), (&"json".into(), &true.into()));
    let shown = bench.shown("acme").await;
    assert_eq!(
        (shown.health.channel, shown.state()),
        (Channel::OrganizationHook, ConnectionState::Connected)
    );
    // Somebody takes it away: it is there again after the next look.
    github.loses_org_hooks("acme");
    bench.acts("acme", Verb::Test).await;
    assert_eq!(github.org_hooks("acme").len(), 1);
    let ended = bench.acts("acme", Verb::Disconnect).await;
    assert!(ended[0].note.as_ref().unwrap().contains("hooks removed: 1"), "{ended:?}");
    assert!(github.org_hooks("acme").is_empty());
    assert_eq!(github.violations(), [""; 0]);
}

#[tokio::test]
async fn once_a_server_signs_every_older_hook_of_a_project_does_so_too() {
    let gitlab = FakeGitlab::old_instance();
    let group = gitlab.group("acme");
    let old = [gitlab.project(group, "site"), gitlab.project(group, "web")];
    let token = gitlab.group_token(group, 50, &["api"]);
    let bench = Bench::connected(&gitlab, &token).await;
    bench.acts("acme", Verb::Test).await;
    gitlab.is_upgraded();
    let new = gitlab.project(group, "app");
    bench.acts("acme", Verb::Sync).await;
    bench.acts("acme", Verb::Test).await;
    assert!(kept(&bench, CredentialKind::SigningToken).await.is_some(), "the door asks for signatures now");
    for project in [old[0], old[1], new] {
        assert_eq!(gitlab.project_hooks(project)[0]["signing_token_present"], true, "{project}");
    }
}

#[tokio::test]
async fn a_hook_that_was_left_behind_is_given_the_secrets_of_the_connection_that_comes_after() {
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    let token = gitlab.group_token(group, 50, &["api"]);
    let bench = Bench::connected(&gitlab, &token).await;
    let before = gitlab.group_hook_secrets(group);
    // The forge is away while the connection is ended.
    gitlab.plants(Planted::always("/hooks", Fault::Status(503)));
    let ended = bench.acts("acme", Verb::Disconnect).await;
    assert!(ended[0].note.as_ref().unwrap().contains("could not be removed: 1"), "{ended:?}");
    gitlab.book.heals();
    bench.adds(Kind::GitlabSelfManaged, &gitlab.site(), "acme", &token).await.unwrap();
    bench.works().await;
    let (plain, signing) = gitlab.group_hook_secrets(group);
    assert_eq!(gitlab.group_hooks(group).len(), 1);
    assert_ne!((plain.clone(), signing.clone()), before);
    assert_eq!(kept(&bench, CredentialKind::WebhookSecret).await, plain);
    assert_eq!(kept(&bench, CredentialKind::SigningToken).await, signing);
}
