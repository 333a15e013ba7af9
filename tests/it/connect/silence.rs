//! Hooks that are there and tell nothing (e-56): noticed after a day in which something happened, and not before.

use scm_connect::connect::Verb;
use scm_connect::domain::change::Change;
use scm_connect::domain::organization::{Connection, ConnectionState as S};
use scm_connect::domain::task::TaskKind;

use super::bench::{Bench, connected, key};
use crate::forge::FakeGitlab;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Time passes, and what is due is done.
async fn after_hours(bench: &Bench, hours: i64) -> Vec<TaskKind> {
    bench.passes(hours * HOUR_MS);
    bench.works().await.into_iter().map(|task| task.kind).collect()
}

async fn states(bench: &Bench) -> (S, Vec<S>) {
    let shown = bench.shown("acme").await;
    (shown.state(), shown.reasons)
}

/// Somebody makes a project, of which the group's hook tells nothing; the next reading finds it.
async fn makes_in_silence(bench: &Bench, gitlab: &FakeGitlab) {
    let group = bench.shown("acme").await.account.external_id.unwrap();
    gitlab.project(group, "web");
    after_hours(bench, 7).await;
    assert_eq!(bench.projects("acme").await.len(), 2, "it was read");
    assert!(bench.shown("acme").await.health.unheard_at.is_some());
}

#[tokio::test]
async fn a_hook_that_tells_nothing_for_a_day_though_something_happened_is_shown_and_all_is_read() {
    let (bench, gitlab, _) = connected("api").await;
    makes_in_silence(&bench, &gitlab).await;
    after_hours(&bench, 16).await;
    assert_eq!(states(&bench).await.0, S::Connected, "it may be late");
    let read = after_hours(&bench, 2).await;
    assert_eq!(states(&bench).await, (S::WebhookSilent, vec![S::WebhookSilent]));
    for kind in [TaskKind::SyncConnection, TaskKind::CatchUp] {
        assert!(read.contains(&kind), "{read:?}");
    }
    let since = bench.shown("acme").await.health.since[&S::WebhookSilent];
    let again = after_hours(&bench, 1).await;
    assert_eq!(again, [TaskKind::CheckConnection], "it is swept once, and not with each look");
    assert_eq!(bench.shown("acme").await.health.since[&S::WebhookSilent], since);
    // The hook tells something, and all is well.
    let heard = Connection { last_event_at: Some(bench.now()), ..bench.shown("acme").await };
    bench.writes(vec![Change::PutConnection(Box::new(heard))]).await;
    after_hours(&bench, 1).await;
    assert_eq!(states(&bench).await, (S::Connected, vec![]));
}

#[tokio::test]
async fn where_nothing_happens_a_quiet_hook_is_no_silent_one() {
    let (bench, ..) = connected("api").await;
    for _ in 0..10 {
        after_hours(&bench, 24).await;
        assert_eq!(states(&bench).await.0, S::Connected);
    }
    assert_eq!(bench.shown("acme").await.health.unheard_at, None, "the first reading is all news");
}

#[tokio::test]
async fn a_hook_that_tells_what_means_nothing_here_is_not_silent() {
    let (bench, gitlab, _) = connected("api").await;
    makes_in_silence(&bench, &gitlab).await;
    after_hours(&bench, 10).await;
    bench.hears("acme", "one", &["a secret"], 0).await;
    after_hours(&bench, 8).await;
    assert_eq!(states(&bench).await.0, S::Connected);
    after_hours(&bench, 24).await;
    assert_eq!(states(&bench).await.0, S::WebhookSilent, "it was the last that it told");
}

#[tokio::test]
async fn hooks_of_projects_tell_of_no_new_ones_so_that_a_new_one_proves_no_silence() {
    let gitlab = FakeGitlab::old_instance();
    let group = gitlab.group("acme");
    gitlab.project(group, "site");
    let token = gitlab.group_token(group, 50, &["api"]);
    let bench = Bench::connected(&gitlab, &token).await;
    bench.acts("acme", Verb::Test).await;
    gitlab.project(group, "web");
    for _ in 0..5 {
        after_hours(&bench, 12).await;
    }
    assert_eq!(bench.projects("acme").await.len(), 2);
    let shown = bench.store.connection(&key("acme")).await.unwrap().unwrap();
    assert_eq!((shown.state(), shown.health.unheard_at), (S::Connected, None));
}
