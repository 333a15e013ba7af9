//! Tokens replaced by their successors, and answers that are lost on the way.

use std::sync::Arc;

use scm_connect::connect::{NewCredential, NotReady, Verb};
use scm_connect::domain::change::Change;
use scm_connect::domain::credential::{CredentialKind, CredentialOwner};
use scm_connect::domain::organization::ConnectionState;
use scm_connect::domain::task::{Performed, TaskKind, TaskState, Wish};
use secrecy::ExposeSecret as _;

use super::bench::{Bench, connected, key, slug};
use crate::forge::{FakeGitlab, Fault, Planted};

/// A connection whose token may make no hooks, so that its token is all there is to replace.
async fn without_hooks() -> (Bench, Arc<FakeGitlab>, String) {
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    gitlab.project(group, "site");
    let token = gitlab.group_token(group, 30, &["api"]);
    (Bench::connected(&gitlab, &token).await, gitlab, token)
}

async fn token(bench: &Bench) -> String {
    let owner = CredentialOwner::Connection(key("acme"));
    let kept = bench.store.credential(&owner, CredentialKind::AccessToken).await.unwrap().unwrap();
    kept.secret.expose_secret().to_owned()
}

#[tokio::test]
async fn a_token_is_replaced_and_the_old_one_is_never_shown_again() {
    let (bench, gitlab, old) = without_hooks().await;
    let tasks = bench.acts("acme", Verb::Rotate).await;
    assert_eq!(tasks[0].state, TaskState::Done, "{tasks:?}");
    assert_ne!(token(&bench).await, old);
    bench.acts("acme", Verb::Test).await;
    bench.acts("acme", Verb::Sync).await;
    assert_eq!(bench.state("acme").await, ConnectionState::Limited);
    assert_eq!(gitlab.violations(), [""; 0], "a rotated token that is used again voids its family");
}

#[tokio::test]
async fn an_answer_that_is_lost_ends_the_token_and_nothing_is_asked_with_it() {
    let (bench, gitlab, _) = without_hooks().await;
    gitlab.plants(Planted::always("/rotate", Fault::Cut));
    bench.acts("acme", Verb::Rotate).await;
    let shown = bench.shown("acme").await;
    assert_eq!(shown.state(), ConnectionState::TokenInvalid);
    assert!(shown.health.last_error.unwrap().contains("make a new token"));
    let before = gitlab.book.seen().len();
    for verb in [Verb::Test, Verb::Sync, Verb::Rotate] {
        bench.acts("acme", verb).await;
    }
    assert_eq!(gitlab.book.seen().len(), before, "the old one is not shown again");
    let ready = bench.forges.ready(&bench.shown("acme").await).await;
    assert!(matches!(ready, Err(NotReady::Rotating)));
    assert_eq!(bench.state("acme").await, ConnectionState::TokenInvalid);
}

#[tokio::test]
async fn a_refusal_to_replace_leaves_the_token_as_it_is() {
    // It may look, and not replace itself.
    let (bench, gitlab, old) = connected("read_api").await;
    let tasks = bench.acts("acme", Verb::Rotate).await;
    assert_eq!(tasks[0].state, TaskState::Failed);
    assert_eq!(token(&bench).await, old);
    bench.acts("acme", Verb::Test).await;
    assert_eq!(bench.state("acme").await, ConnectionState::Limited);
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn a_token_in_use_is_not_replaced_under_its_users_hands() {
    let (bench, _, old) = without_hooks().await;
    bench.connections.act(&key("acme"), Verb::Sync, "cli").await.unwrap();
    let using = bench.store.claim_tasks(bench.now(), 30_000, 10).await.unwrap();
    assert_eq!(using[0].task.kind, TaskKind::SyncConnection);
    let tasks = bench.acts("acme", Verb::Rotate).await;
    assert_eq!((tasks[0].state, token(&bench).await), (TaskState::Waiting, old));
    assert!(bench.forges.ready(&bench.shown("acme").await).await.is_ok(), "the mark is taken back");
}

/// What a rotation comes to when an admin enters this token while the forge is thinking, in which it does this.
async fn entered_meanwhile(bench: &Bench, forge_does: Fault, gitlab: &FakeGitlab, other: &str) -> Performed {
    gitlab.plants(Planted::at("/rotate", forge_does));
    bench.connections.act(&key("acme"), Verb::Rotate, "cli").await.unwrap();
    let claims = bench.store.claim_tasks(bench.now(), 30_000, 10).await.unwrap();
    let rotating = bench.connections.rotate(&claims[0].task);
    let entering = async {
        let owner = CredentialOwner::Connection(key("acme"));
        let is_marked = async || {
            let kept = bench.store.credential(&owner, CredentialKind::AccessToken).await.unwrap();
            kept.unwrap().about.rotating_since.is_some()
        };
        while !is_marked().await {
            tokio::task::yield_now().await;
        }
        let shown = bench.shown("acme").await;
        let new = NewCredential::Token(other.into());
        bench.connections.promote(&shown, new, "cli", false).await.unwrap();
    };
    tokio::join!(rotating, entering).0.unwrap()
}

#[tokio::test]
async fn what_an_admin_enters_while_a_token_is_replaced_is_never_written_over() {
    for forge_does in [Fault::Late(1_500), Fault::Silence] {
        let (bench, gitlab, _) = without_hooks().await;
        let group = bench.shown("acme").await.account.external_id.unwrap();
        let other = gitlab.group_token(group, 50, &["api"]);
        let performed = entered_meanwhile(&bench, forge_does.clone(), &gitlab, &other).await;
        assert!(matches!(performed, Performed::Failed { .. }), "{forge_does:?}: {performed:?}");
        assert_eq!(token(&bench).await, other, "{forge_does:?}");
        let shown = bench.shown("acme").await;
        assert_eq!(shown.state(), ConnectionState::Connected, "{forge_does:?}");
        let end: String = other.chars().skip(other.len() - 4).collect();
        assert_eq!(shown.credential_last4, Some(end));
        assert!(bench.forges.ready(&shown).await.is_ok());
    }
}

#[tokio::test]
async fn a_worker_that_has_lost_the_task_marks_no_token() {
    let (bench, gitlab, old) = without_hooks().await;
    bench.connections.act(&key("acme"), Verb::Rotate, "cli").await.unwrap();
    let late = bench.store.claim_tasks(bench.now(), 30_000, 10).await.unwrap();
    bench.passes(31_000);
    let taken_over = bench.store.claim_tasks(bench.now(), 30_000, 10).await.unwrap();
    assert_eq!(late[0].task.id, taken_over[0].task.id);
    let performed = bench.connections.rotate(&late[0].task).await.unwrap();
    assert!(matches!(performed, Performed::Later { .. }), "{performed:?}");
    assert_eq!(token(&bench).await, old);
    assert!(!gitlab.book.lines().iter().any(|line| line.contains("/rotate")), "and asks for no successor");
}

#[tokio::test]
async fn a_lost_token_is_replaced_by_another_one_and_everything_is_read_anew() {
    let (bench, gitlab, _) = connected("api").await;
    gitlab.plants(Planted::always("/rotate", Fault::Cut));
    bench.acts("acme", Verb::Rotate).await;
    // Its hooks have another secret first, which takes a moment.
    bench.passes(11_000);
    bench.works().await;
    gitlab.book.heals();
    assert_eq!(bench.state("acme").await, ConnectionState::TokenInvalid);
    let shown = bench.shown("acme").await;
    let hooks = gitlab.group_hook_secrets(shown.account.external_id.unwrap());
    let other = gitlab.group_token(shown.account.external_id.unwrap(), 50, &["api"]);
    bench
        .connections
        .promote(&shown, NewCredential::Token(other.as_str().into()), "cli", false)
        .await
        .unwrap();
    let kinds: Vec<TaskKind> = bench.works().await.into_iter().map(|task| task.kind).collect();
    for kind in [TaskKind::CheckConnection, TaskKind::SyncConnection] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert_eq!(bench.state("acme").await, ConnectionState::Connected);
    let after = gitlab.group_hook_secrets(shown.account.external_id.unwrap());
    assert_eq!(after, hooks, "the hook that there is keeps its secret");
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn a_rotation_waits_a_day_for_a_connection_that_is_off_and_is_dropped_then() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let (bench, gitlab, old) = without_hooks().await;
    bench.acts("acme", Verb::Pause).await;
    let waits = bench.acts("acme", Verb::Rotate).await;
    assert_eq!((waits[0].state, waits[0].kind), (TaskState::Waiting, TaskKind::RotateToken));
    // It is done once the connection is on again …
    bench.acts("acme", Verb::Resume).await;
    bench.passes(DAY_MS / 2);
    bench.works().await;
    // And once nobody else uses the token.
    bench.passes(60_000);
    bench.works().await;
    assert_ne!(token(&bench).await, old);
    // … and dropped after a day, or at once when it has ended.
    bench.acts("acme", Verb::Pause).await;
    bench.acts("acme", Verb::Rotate).await;
    bench.passes(DAY_MS);
    let dropped = bench.works().await;
    let dropped = dropped.iter().find(|task| task.kind == TaskKind::RotateToken).unwrap();
    assert!(dropped.last_error.as_ref().unwrap().contains("dropped"), "{dropped:?}");
    assert_eq!(dropped.state, TaskState::Failed);
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn a_token_in_use_is_not_replaced_however_many_tasks_came_after_its_user() {
    let (bench, _, old) = without_hooks().await;
    bench.connections.act(&key("acme"), Verb::Sync, "cli").await.unwrap();
    bench.store.claim_tasks(bench.now(), 30_000, 10).await.unwrap();
    let wish = |n: u32| {
        let wish = Wish::now(TaskKind::SyncPerson, &slug("acme"), &key("acme"), "cli", bench.now());
        let due_at = bench.now().plus_ms(3_600_000);
        Change::Wish(Box::new(Wish { subject: n.to_string(), due_at, ..wish }))
    };
    // More than are looked at for one page.
    for piece in 0..11 {
        bench.writes((piece * 500..(piece + 1) * 500).map(wish).collect()).await;
    }
    let tasks = bench.acts("acme", Verb::Rotate).await;
    assert_eq!((tasks[0].state, token(&bench).await), (TaskState::Waiting, old));
}
