//! A hook's secret that has leaked: it is replaced as ever, and ends as soon as the forge has its successor.

use std::sync::Arc;

use scm_connect::connect::{Undone, Verb};
use scm_connect::domain::change::Change;
use scm_connect::domain::credential::CredentialKind;
use scm_connect::domain::organization::Source;
use scm_connect::domain::task::{Task, TaskKind, TaskState};
use scm_connect::store::{Page, TaskFilter};

use super::bench::{Bench, connected, key, wish_of_app};
use super::hook_secret::{DOORS_MS, GRANTED, actions, over, proving, rotated, secret, with_hook_by_hand};
use crate::forge::{FakeGithub, FakeGitlab, Fault, Planted};

/// An admin says that it has leaked, and the daemon does its part, however long that takes.
async fn leaks(bench: &Bench) -> Task {
    let tasks = bench.acts("acme", Verb::RotateLeaked).await;
    let ended = tasks.into_iter().find(|task| task.subject == "leaked" && task.due_at.is_none());
    match ended {
        Some(task) => task,
        None => over(bench).await,
    }
}

async fn token(bench: &Bench) -> Option<String> {
    use scm_connect::domain::credential::CredentialOwner;
    use secrecy::ExposeSecret as _;
    let owner = CredentialOwner::Connection(key("acme"));
    let kept = bench.store.credential(&owner, CredentialKind::AccessToken).await.unwrap();
    kept.map(|kept| kept.secret.expose_secret().to_owned())
}

fn both((token, signing): (Option<String>, Option<String>)) -> [String; 2] {
    [token.unwrap(), signing.unwrap()]
}

async fn group() -> (Bench, Arc<FakeGitlab>, u64) {
    let (bench, gitlab, _) = connected("api").await;
    let group = bench.shown("acme").await.account.external_id.unwrap();
    (bench, gitlab, group)
}

#[tokio::test]
async fn s49_a_leaked_secret_ends_as_soon_as_the_forge_has_another_one() {
    let (bench, gitlab, group) = group().await;
    let (before, has) = (both(gitlab.group_hook_secrets(group)), token(&bench).await);
    let task = leaks(&bench).await;
    assert_eq!((task.state, task.kind), (TaskState::Done, TaskKind::RotateToken), "{task:?}");
    let note = task.note.unwrap();
    assert!(note.contains("counts no more") && note.contains("is refused, and asked for again"), "{note}");
    let after = both(gitlab.group_hook_secrets(group));
    assert!(before.iter().all(|old| !after.contains(old)), "both of them are new");
    let proves = proving(&bench).await;
    assert!(proves.len() == 2 && after.iter().all(|new| proves.contains(new)), "{proves:?}");
    for kind in [CredentialKind::WebhookSecretBefore, CredentialKind::SigningTokenBefore] {
        assert_eq!(secret(&bench, kind).await, None, "what has leaked is erased");
    }
    assert_eq!(bench.shown("acme").await.health.old_secret_until, None);
    assert_eq!(token(&bench).await, has, "the token is none of this");
    let expected = ["leaked", "rotation-begun", "rotated", "retired"];
    assert_eq!(actions(&bench).await, expected.map(|it| format!("secret.{it}")));
    let filter = TaskFilter { kind: Some(TaskKind::CatchUp), ..TaskFilter::default() };
    let asks = bench.store.tasks(&filter, &Page { limit: 10, cursor: None }).await.unwrap();
    assert_eq!(asks.items.len(), 1, "what was refused is asked for");
    assert_eq!(gitlab.violations(), [""; 0]);
    // An App's own hook.
    let bench = Bench::of_acme(None).await;
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    let app = github.app("ours");
    let installation = github.installs(app, "acme", &GRANTED);
    let wish = wish_of_app(&github, app, Some(installation), Some("the one that leaks"));
    bench.connections.add(wish).await.unwrap();
    bench.works().await;
    github.sends_to(app, "https://scm.example.com/hooks/acme");
    assert_eq!(leaks(&bench).await.state, TaskState::Done);
    assert_eq!(proving(&bench).await, [github.app_hook_secret(app).unwrap()]);
    assert_eq!(secret(&bench, CredentialKind::WebhookSecretBefore).await, None);
    assert_eq!(github.violations(), [""; 0]);
}

#[tokio::test]
async fn s49_a_rotation_under_way_ends_the_old_secret_at_once_when_that_has_leaked() {
    // The forge has the new one already.
    let (bench, gitlab, group) = group().await;
    rotated(&bench).await;
    assert_eq!(proving(&bench).await.len(), 4);
    let told = |gitlab: &FakeGitlab| gitlab.book.lines().iter().filter(|line| line.contains("PUT")).count();
    let (has, puts) = (both(gitlab.group_hook_secrets(group)), told(&gitlab));
    let tasks = bench.acts("acme", Verb::RotateLeaked).await;
    assert!(tasks.iter().any(|task| task.subject == "leaked" && task.state == TaskState::Done), "{tasks:?}");
    let proves = proving(&bench).await;
    assert!(proves.len() == 2 && has.iter().all(|new| proves.contains(new)), "{proves:?}");
    assert_eq!((both(gitlab.group_hook_secrets(group)), told(&gitlab)), (has, puts), "nothing is told anew");
    assert_eq!(bench.shown("acme").await.health.old_secret_until, None);
    // Also of a connection of which nothing may be asked.
    let (bench, ..) = self::group().await;
    rotated(&bench).await;
    bench.acts("acme", Verb::Pause).await;
    bench.acts("acme", Verb::RotateLeaked).await;
    assert_eq!(proving(&bench).await.len(), 2);
    // The forge has not been told: then it ends when that was done, by the rotation that there is.
    let (bench, gitlab, group) = self::group().await;
    // A secret is never as old as the one before it, be it by a moment.
    bench.passes(1_000);
    bench.connections.act(&key("acme"), Verb::Rotate, "cli").await.unwrap();
    bench.passes(1_000);
    bench.works().await;
    bench.acts("acme", Verb::RotateLeaked).await;
    assert_eq!(proving(&bench).await.len(), 4, "the forge still signs with the old one");
    for _ in 0..40 {
        bench.passes(DOORS_MS);
        bench.works().await;
    }
    let proves = proving(&bench).await;
    assert!(proves.len() == 2 && proves.contains(&gitlab.group_hook_secrets(group).0.unwrap()), "{proves:?}");
    let begun = actions(&bench).await.into_iter().filter(|it| it == "secret.rotation-begun").count();
    assert_eq!(begun, 1);
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn s49_a_leaked_secret_proves_until_the_forge_has_another_one_whatever_fails() {
    for fault in [Fault::Cut, Fault::Status(503), Fault::Silence] {
        let (bench, gitlab, group) = group().await;
        let old = gitlab.group_hook_secrets(group).1.unwrap();
        bench.acts("acme", Verb::RotateLeaked).await;
        let hook = gitlab.group_hooks(group)[0]["id"].to_string();
        let path: &'static str = Box::leak(format!("/hooks/{hook}").into_boxed_str());
        gitlab.plants(Planted::at(path, fault.clone()));
        bench.passes(DOORS_MS);
        bench.works().await;
        let (has, proves) = (gitlab.group_hook_secrets(group).1.unwrap(), proving(&bench).await);
        assert!(proves.contains(&has) && proves.contains(&old), "{fault:?}: whichever of them it has now");
        let task = over(&bench).await;
        assert_eq!(task.state, TaskState::Done, "{fault:?}: {task:?}");
        let (has, proves) = (gitlab.group_hook_secrets(group).1.unwrap(), proving(&bench).await);
        assert!(proves.contains(&has) && !proves.contains(&old), "{fault:?}");
    }
}

#[tokio::test]
async fn a_leaked_secret_that_somebody_else_keeps_is_left_with_what_to_do() {
    // A hook that was set up by hand: only who has set it up can tell the forge another one.
    let (bench, github, old) = with_hook_by_hand().await;
    assert!(leaks(&bench).await.last_error.unwrap().contains("--by-hand"));
    let shown = bench.shown("acme").await;
    let (_, new) = bench.connections.new_hook_secret(&shown, "cli").await.unwrap();
    assert!(leaks(&bench).await.last_error.unwrap().contains("to be entered at the forge by hand"));
    let new = secrecy::ExposeSecret::expose_secret(&new).to_owned();
    assert_eq!(proving(&bench).await, [new.clone(), old.clone()], "it is the only one that the forge has");
    bench.passes(2 * DOORS_MS);
    github.book.pass_s(2 * DOORS_MS / 1000);
    bench.hears("acme", "one", &[&new, &old], 0).await;
    bench.acts("acme", Verb::Test).await;
    assert!(bench.shown("acme").await.health.old_secret_until.is_some(), "it has proven something");
    assert_eq!(leaks(&bench).await.state, TaskState::Done);
    assert_eq!(proving(&bench).await, [new]);
    // The operator's file.
    let source = bench.store.source(&bench.shown("acme").await.source).await.unwrap().unwrap();
    bench.writes(vec![Change::PutSource(Source { created_by: "config".into(), ..source })]).await;
    let refused = bench.connections.act(&key("acme"), Verb::RotateLeaked, "cli").await;
    let Err(Undone::Refused(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.code, "declared-in-config");
    assert!(refusal.message.contains("which alone may end it") && refusal.help.unwrap().contains("SIGHUP"));
}
