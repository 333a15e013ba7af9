//! Tokens replaced by their successors, and answers that are lost on the way.

use scm_connect::connect::{NotReady, Verb};
use scm_connect::domain::credential::{CredentialKind, CredentialOwner};
use scm_connect::domain::organization::ConnectionState;
use scm_connect::domain::task::{TaskKind, TaskState};
use secrecy::ExposeSecret as _;

use super::bench::{Bench, connected, key};
use crate::forge::{Fault, Planted};

async fn token(bench: &Bench) -> String {
    let owner = CredentialOwner::Connection(key("acme"));
    let kept = bench.store.credential(&owner, CredentialKind::AccessToken).await.unwrap().unwrap();
    kept.secret.expose_secret().to_owned()
}

#[tokio::test]
async fn a_token_is_replaced_and_the_old_one_is_never_shown_again() {
    let (bench, gitlab, old) = connected("api").await;
    let tasks = bench.acts("acme", Verb::Rotate).await;
    assert_eq!(tasks[0].state, TaskState::Done, "{tasks:?}");
    assert_ne!(token(&bench).await, old);
    bench.acts("acme", Verb::Test).await;
    bench.acts("acme", Verb::Sync).await;
    assert_eq!(bench.state("acme").await, ConnectionState::Connected);
    assert_eq!(gitlab.violations(), [""; 0], "a rotated token that is used again voids its family");
}

#[tokio::test]
async fn an_answer_that_is_lost_ends_the_token_and_nothing_is_asked_with_it() {
    let (bench, gitlab, _) = connected("api").await;
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
    let (bench, _, old) = connected("api").await;
    bench.connections.act(&key("acme"), Verb::Sync, "cli").await.unwrap();
    let using = bench.store.claim_tasks(bench.now(), 30_000, 10).await.unwrap();
    assert_eq!(using[0].task.kind, TaskKind::SyncConnection);
    let tasks = bench.acts("acme", Verb::Rotate).await;
    assert_eq!((tasks[0].state, token(&bench).await), (TaskState::Waiting, old));
    assert!(bench.forges.ready(&bench.shown("acme").await).await.is_ok(), "the mark is taken back");
}
