//! Secrets of hooks that we made, replaced: every hook gets the new one, the old one counts for a further day, and whoever
//! goes on after a crash or a lost answer comes to the same end.

use std::sync::Arc;

use scm_connect::connect::{AppSecrets, Verb};
use scm_connect::domain::change::Change;
use scm_connect::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner};
use scm_connect::domain::organization::{ConnectionState, Kind, Source};
use scm_connect::domain::task::{Task, TaskKind, TaskState};
use scm_connect::store::{AuditFilter, Page};
use secrecy::ExposeSecret as _;

use super::bench::{Bench, code, connected, key, slug, wish_of_app};
use crate::forge::{FakeGithub, FakeGitlab, Fault, Planted};

/// So long the forge is not told of a secret after it was kept.
pub(super) const DOORS_MS: i64 = 10_000;
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1000;
pub(super) const GRANTED: [(&str, &str); 3] =
    [("metadata", "read"), ("members", "read"), ("pull_requests", "write")];

fn owner() -> CredentialOwner {
    CredentialOwner::Source(scm_connect::domain::SourceKey::parse("acme").unwrap())
}

pub(super) async fn kept(bench: &Bench, kind: CredentialKind) -> Option<(String, CredentialAbout)> {
    let found = bench.store.credential(&owner(), kind).await.unwrap();
    found.map(|kept| (kept.secret.expose_secret().to_owned(), kept.about))
}

pub(super) async fn secret(bench: &Bench, kind: CredentialKind) -> Option<String> {
    kept(bench, kind).await.map(|(secret, _)| secret)
}

/// Everything that would prove a delivery: now, and what was replaced.
pub(super) async fn proving(bench: &Bench) -> Vec<String> {
    let mut all = Vec::new();
    for (now, before) in CredentialKind::OF_HOOKS {
        for kind in [now, before] {
            let counts = |about: &CredentialAbout| about.expires_at.is_none_or(|at| at > bench.now());
            all.extend(kept(bench, kind).await.filter(|(_, about)| counts(about)).map(|(secret, _)| secret));
        }
    }
    all
}

/// A connection at a GitHub server by a token that may make no hooks, and the secret with which somebody set one up.
pub(super) async fn with_hook_by_hand() -> (Bench, Arc<FakeGithub>, String) {
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    github.member("acme", "ada", "admin");
    let bench = Bench::of_acme(None).await;
    let token = github.token("ada", Some("repo, user, read:org"));
    let added = bench.adds(Kind::GithubEnterpriseServer, &github.site(), "acme", token).await.unwrap();
    let secret = added.hook.unwrap().1.expose_secret().to_owned();
    bench.works().await;
    (bench, github, secret)
}

/// An admin wants another secret, and the daemon does its part, however long that takes.
pub(super) async fn rotated(bench: &Bench) -> Task {
    match ended(&bench.acts("acme", Verb::Rotate).await) {
        Some(task) => task,
        None => over(bench).await,
    }
}

pub(super) fn ended(tasks: &[Task]) -> Option<Task> {
    tasks.iter().find(|task| task.kind == TaskKind::RotateToken && task.due_at.is_none()).cloned()
}

/// Time passes until the rotation is over.
pub(super) async fn over(bench: &Bench) -> Task {
    for _ in 0..40 {
        bench.passes(DOORS_MS);
        if let Some(task) = ended(&bench.works().await) {
            return task;
        }
    }
    panic!("it does not end");
}

pub(super) async fn actions(bench: &Bench) -> Vec<String> {
    let filter = AuditFilter { organization: Some(slug("acme")), ..AuditFilter::default() };
    let all = bench.store.audit(&filter, &Page { limit: 200, cursor: None }).await.unwrap();
    let of_secrets = all.items.into_iter().filter(|line| line.action.starts_with("secret."));
    let mut found: Vec<String> = of_secrets.map(|line| line.action).collect();
    found.reverse();
    found
}

#[tokio::test]
async fn s49_a_groups_hook_gets_another_secret_and_the_old_one_counts_for_a_further_day() {
    let (bench, gitlab, _) = connected("api").await;
    let group = bench.shown("acme").await.account.external_id.unwrap();
    let before = gitlab.group_hook_secrets(group);
    let both = |of: &(Option<String>, Option<String>)| [of.0.clone().unwrap(), of.1.clone().unwrap()];
    bench.acts("acme", Verb::Rotate).await;
    assert_eq!(gitlab.group_hook_secrets(group), before, "no door may be behind the forge");
    assert_eq!(proving(&bench).await.len(), 4, "from the first moment on both prove");
    let task = over(&bench).await;
    assert_eq!((task.state, task.last_error), (TaskState::Done, None));
    let after = gitlab.group_hook_secrets(group);
    assert!(both(&before).iter().all(|old| !both(&after).contains(old)), "both of them are new");
    let proves = proving(&bench).await;
    assert!(both(&before).iter().chain(&both(&after)).all(|it| proves.contains(it)), "{proves:?}");
    let until = bench.shown("acme").await.health.old_secret_until.unwrap();
    assert!((DAY_MS - 3_600_000..=DAY_MS).contains(&until.since(bench.now())), "{until}");
    // Nothing is told twice, and a check leaves it as it is.
    let told = gitlab.book.lines().iter().filter(|line| line.contains("PUT")).count();
    bench.acts("acme", Verb::Test).await;
    assert_eq!(gitlab.book.lines().iter().filter(|line| line.contains("PUT")).count(), told);
    bench.passes(DAY_MS);
    assert_eq!(proving(&bench).await.len(), 2, "its time is over, also where nobody looks");
    bench.acts("acme", Verb::Test).await;
    assert_eq!(secret(&bench, CredentialKind::WebhookSecretBefore).await, None);
    assert_eq!(secret(&bench, CredentialKind::SigningTokenBefore).await, None);
    assert_eq!(bench.shown("acme").await.health.old_secret_until, None);
    assert_eq!(gitlab.group_hook_secrets(group), after);
    let expected = ["rotation-asked", "rotation-begun", "rotated", "rotated", "retired"];
    assert_eq!(
        actions(&bench).await,
        expected.map(|it| format!("secret.{it}")),
        "the token was replaced, too"
    );
    assert_eq!(bench.state("acme").await, ConnectionState::Connected);
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn s49_an_organizations_hook_and_an_apps_get_another_secret() {
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    github.member("acme", "ada", "admin");
    let bench = Bench::of_acme(None).await;
    let token = github.token("ada", Some("repo, user, read:org, workflow, admin:org_hook"));
    bench.adds(Kind::GithubEnterpriseServer, &github.site(), "acme", token).await.unwrap();
    bench.works().await;
    let old = github.org_hook_secret("acme").unwrap();
    let task = rotated(&bench).await;
    assert_eq!(task.state, TaskState::Done, "{task:?}");
    assert!(github.book.lines().iter().any(|line| line.contains("/pings")), "and it is tried out");
    let new = github.org_hook_secret("acme").unwrap();
    assert_ne!(new, old);
    assert_eq!(proving(&bench).await, [new, old]);
    assert_eq!(github.violations(), [""; 0]);
    // An App's own hook.
    let bench = Bench::of_acme(None).await;
    let app = github.app("ours");
    let installation = github.installs(app, "acme", &GRANTED);
    bench
        .connections
        .add(wish_of_app(&github, app, Some(installation), Some("the first one")))
        .await
        .unwrap();
    bench.works().await;
    let refused = bench.acts("acme", Verb::Rotate).await;
    assert!(refused[0].last_error.as_ref().unwrap().contains("another address"), "{refused:?}");
    assert_eq!(proving(&bench).await, ["the first one"]);
    github.sends_to(app, "https://scm.example.com/hooks/acme");
    bench.acts("acme", Verb::Rotate).await;
    // A secret is never as old as the one before it, be it by a moment.
    github.book.pass_s(2 * DOORS_MS / 1000);
    bench.passes(2 * DOORS_MS);
    let task = ended(&bench.works().await).unwrap();
    assert_eq!(task.state, TaskState::Done, "{task:?}");
    let new = github.app_hook_secret(app).unwrap();
    assert_eq!(proving(&bench).await, [new, "the first one".into()]);
    bench.passes(DAY_MS);
    github.book.pass_s(DAY_MS / 1000);
    bench.acts("acme", Verb::Test).await;
    assert_eq!(secret(&bench, CredentialKind::WebhookSecretBefore).await, None);
    assert_eq!(github.violations(), [""; 0]);
}

/// A rotation whose forge does this the first time that it is told.
async fn disturbed(fault: Fault) -> (Bench, Arc<FakeGitlab>, u64, String) {
    let (bench, gitlab, _) = connected("api").await;
    let group = bench.shown("acme").await.account.external_id.unwrap();
    let old = gitlab.group_hook_secrets(group).1.unwrap();
    bench.acts("acme", Verb::Rotate).await;
    let hook = gitlab.group_hooks(group)[0]["id"].to_string();
    gitlab.plants(Planted::at(Box::leak(format!("/hooks/{hook}").into_boxed_str()), fault));
    (bench, gitlab, group, old)
}

#[tokio::test]
async fn s49_a_forge_that_fails_or_whose_answer_is_lost_is_told_once_more_and_nothing_stops_proving() {
    for fault in [Fault::Cut, Fault::Status(503), Fault::Silence, Fault::Html] {
        let (bench, gitlab, group, old) = disturbed(fault.clone()).await;
        bench.passes(DOORS_MS);
        bench.works().await;
        let has = gitlab.group_hook_secrets(group).1.unwrap();
        let proves = proving(&bench).await;
        assert!(proves.contains(&has) && proves.contains(&old), "{fault:?}: whichever of them it has now");
        assert_eq!(
            bench.shown("acme").await.health.old_secret_until,
            None,
            "{fault:?}: its day has not begun"
        );
        let task = over(&bench).await;
        assert_eq!(task.state, TaskState::Done, "{fault:?}: {task:?}");
        assert_eq!(gitlab.group_hook_secrets(group).1, secret(&bench, CredentialKind::SigningToken).await);
        assert!(proving(&bench).await.contains(&old), "{fault:?}");
    }
}

#[tokio::test]
async fn s49_whoever_has_read_the_old_secret_is_waited_for_before_the_forge_is_told() {
    let (bench, gitlab, _) = connected("api").await;
    let group = bench.shown("acme").await.account.external_id.unwrap();
    let old = gitlab.group_hook_secrets(group);
    bench.connections.act(&key("acme"), Verb::Test, "cli").await.unwrap();
    let slow = bench.store.claim_tasks(bench.now(), 600_000, 10).await.unwrap();
    assert_eq!(slow[0].task.kind, TaskKind::CheckConnection);
    bench.acts("acme", Verb::Rotate).await;
    bench.passes(2 * DOORS_MS);
    bench.works().await;
    assert_eq!(gitlab.group_hook_secrets(group), old, "it would give the hook the old one again");
    assert!(secret(&bench, CredentialKind::WebhookSecretBefore).await.is_some());
    // A check that begins after the secret was kept tells the forge itself: it has read the new one.
    bench.passes(600_000);
    let task = over(&bench).await;
    assert_eq!(task.state, TaskState::Done, "{task:?}");
    assert_ne!(gitlab.group_hook_secrets(group), old);
}

#[tokio::test]
async fn within_the_day_the_hooks_keep_their_secret_whoever_asks_again() {
    let (bench, gitlab, _) = connected("api").await;
    let group = bench.shown("acme").await.account.external_id.unwrap();
    rotated(&bench).await;
    let (has, proves) = (gitlab.group_hook_secrets(group), proving(&bench).await);
    let again = rotated(&bench).await;
    assert!(again.note.as_ref().unwrap().contains("the old one counts until"), "{again:?}");
    assert_eq!((gitlab.group_hook_secrets(group), proving(&bench).await), (has, proves));
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn what_nobody_here_can_replace_is_left_with_the_reason() {
    let (bench, _github, by_hand) = with_hook_by_hand().await;
    let tasks = bench.acts("acme", Verb::Rotate).await;
    let error = tasks[0].last_error.clone().unwrap();
    assert!(
        error.contains("only GitLab replaces tokens") && error.contains("no hook of it was made here"),
        "{error}"
    );
    assert_eq!(proving(&bench).await, [by_hand]);
    // A source of the operator's file keeps its secrets there.
    let source = bench.store.source(&bench.shown("acme").await.source).await.unwrap().unwrap();
    let declared = Source { created_by: "config".into(), ..source };
    bench.writes(vec![Change::PutSource(declared)]).await;
    let tasks = bench.acts("acme", Verb::Rotate).await;
    assert!(tasks[0].last_error.as_ref().unwrap().contains("declared in the config file"), "{tasks:?}");
}

#[tokio::test]
async fn s49_an_apps_key_is_replaced_only_by_one_that_the_forge_accepts() {
    let bench = Bench::of_acme(None).await;
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    github.repo("acme", "site", false);
    let app = github.app("ours");
    let installation = github.installs(app, "acme", &GRANTED);
    bench.connections.add(wish_of_app(&github, app, Some(installation), None)).await.unwrap();
    bench.works().await;
    let old = secret(&bench, CredentialKind::AppKey).await;
    let new = include_str!("../../../src/ci/id_token/tests/stranger.pem");
    let replaces = async |key: &str| {
        let shown = bench.shown("acme").await;
        let new = AppSecrets { private_key: Some(key.into()), client_secret: None };
        bench.connections.replace_app_secrets(&shown, &new, "cli").await
    };
    assert_eq!(code(replaces(new).await).0, "credential-refused", "nobody has added it to the App");
    assert_eq!(code(replaces("no key").await).0, "credential-invalid");
    assert_eq!(secret(&bench, CredentialKind::AppKey).await, old);
    github.adds_key(app, include_str!("../../fixture/keys/stranger.modulus"));
    replaces(new).await.unwrap();
    assert_eq!(secret(&bench, CredentialKind::AppKey).await.as_deref(), Some(new));
    github.drops_key(app);
    let minted = github.minted();
    for verb in [Verb::Test, Verb::Sync] {
        bench.acts("acme", verb).await;
    }
    assert_eq!(bench.state("acme").await, ConnectionState::Connected);
    assert_eq!(github.minted(), minted + 1, "what the old one has minted is let go of");
    assert_eq!(actions(&bench).await, ["secret.replaced"]);
    assert_eq!(github.violations(), [""; 0]);
}

#[tokio::test]
async fn s49_a_hook_that_was_set_up_by_hand_proves_by_both_until_it_has_told_something_with_the_new_one() {
    let (bench, github, old) = with_hook_by_hand().await;
    let another = async || {
        let shown = bench.shown("acme").await;
        bench.connections.new_hook_secret(&shown, "cli").await
    };
    let lost = another().await.unwrap().1;
    let (url, new) = another().await.unwrap();
    assert_eq!(url.as_str(), "https://scm.example.com/hooks/acme");
    assert_ne!(lost.expose_secret(), new.expose_secret());
    assert_eq!(proving(&bench).await, [new.expose_secret(), &old], "the first one was entered nowhere");
    // Days go by, and nobody has entered it at the forge.
    for id in ["one", "two"] {
        bench.passes(2 * DAY_MS);
        github.book.pass_s(2 * DAY_MS / 1000);
        bench.hears("acme", id, &[new.expose_secret(), &old], 1).await;
        bench.acts("acme", Verb::Test).await;
        assert_eq!(proving(&bench).await.len(), 2, "what the forge sends is proven by the old one");
    }
    bench.hears("acme", "three", &[new.expose_secret(), &old], 0).await;
    bench.acts("acme", Verb::Test).await;
    assert!(bench.shown("acme").await.health.old_secret_until.is_some());
    assert_eq!(code(another().await).0, "secret-replaced");
    bench.passes(DAY_MS);
    github.book.pass_s(DAY_MS / 1000);
    bench.acts("acme", Verb::Test).await;
    assert_eq!(proving(&bench).await, [new.expose_secret()]);
    assert_eq!(secret(&bench, CredentialKind::WebhookSecretBefore).await, None);
    assert_eq!(github.violations(), [""; 0]);
    // Hooks that were made here are not given one by hand.
    let (bench, ..) = connected("api").await;
    let refused = bench.connections.new_hook_secret(&bench.shown("acme").await, "cli").await;
    assert_eq!(code(refused).0, "no-hook");
}
