//! Health: what is said of a connection, after how many looks, and what a look may do.

use scm_connect::connect::Verb;
use scm_connect::domain::change::Change;
use scm_connect::domain::organization::{Connection, ConnectionState as S, Kind};
use scm_connect::domain::project::ProjectState;
use scm_connect::domain::task::TaskState;
use scm_connect::store::{Page, TaskFilter};

use super::bench::{Bench, code, connected, connection, key, wish_of_app};
use crate::forge::{FakeGithub, Fault, Planted};

const MINUTE_MS: i64 = 60_000;

#[tokio::test]
async fn a_connection_is_checked_every_quarter_of_an_hour_and_on_demand() {
    let (bench, gitlab, _) = connected("api").await;
    assert_eq!(bench.state("acme").await, S::Connected);
    let asked = gitlab.book.seen().len();
    bench.passes(11 * MINUTE_MS);
    assert!(bench.works().await.is_empty(), "it is not due before");
    bench.passes(8 * MINUTE_MS);
    assert_eq!(bench.works().await.len(), 1);
    assert!(gitlab.book.seen().len() > asked);
    let tasks = bench.acts("acme", Verb::Test).await;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].note.as_deref(), Some("all is well"));
    assert_eq!(tasks[0].state, TaskState::Queued, "the next one is planned");
}

#[tokio::test]
async fn one_refusal_may_be_a_clock_and_two_are_an_invalid_token() {
    let (bench, gitlab, token) = connected("api").await;
    gitlab.revokes(&token);
    bench.acts("acme", Verb::Test).await;
    assert_eq!(bench.state("acme").await, S::Connected, "one 401 says little");
    bench.passes(MINUTE_MS);
    bench.works().await;
    let shown = bench.shown("acme").await;
    assert_eq!(shown.state(), S::TokenInvalid);
    assert_eq!(shown.health.since[&S::TokenInvalid], bench.now());
    // Since when stays, whatever is found later.
    bench.passes(MINUTE_MS);
    bench.works().await;
    assert!(bench.shown("acme").await.health.since[&S::TokenInvalid] < bench.now());
    // A sync that is refused has the connection checked at once.
    let tasks = bench.acts("acme", Verb::Sync).await;
    assert!(tasks.iter().any(|task| task.kind.as_str() == "check_connection"), "{tasks:?}");
}

#[tokio::test]
async fn it_takes_three_silences_to_be_unreachable_and_one_answer_to_be_back() {
    let (bench, gitlab, _) = connected("api").await;
    for silence in 1..=3 {
        gitlab.plants(Planted::always("", Fault::Status(503)));
        bench.acts("acme", Verb::Test).await;
        let state = bench.state("acme").await;
        assert_eq!(state, if silence < 3 { S::Connected } else { S::Unreachable }, "{silence}");
        gitlab.book.heals();
    }
    // The breaker lets nobody through for a while.
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(120)).await;
    tokio::time::resume();
    bench.acts("acme", Verb::Test).await;
    let shown = bench.shown("acme").await;
    assert_eq!(shown.state(), S::Connected);
    assert!(shown.health.since.is_empty() && shown.health.last_error.is_none());
}

#[tokio::test]
async fn states_are_shown_worst_first_and_all_reasons_are_listed() {
    let (bench, gitlab, token) = connected("api").await;
    gitlab.ends(&token, "2026-06-03");
    let group = bench.shown("acme").await.account.external_id.unwrap();
    gitlab.disables_group_hooks(group);
    for trigger in ["/test/push_events", "/test/pipeline_events"] {
        gitlab.plants(Planted::always(trigger, Fault::Status(422)));
    }
    bench.acts("acme", Verb::Test).await;
    let shown = bench.shown("acme").await;
    assert_eq!(shown.reasons, [S::WebhookDisabled, S::TokenExpiring]);
    assert_eq!(shown.state(), S::WebhookDisabled);
}

/// Story 10 of the rules: suspended and back, with every event lost.
#[tokio::test]
async fn s34_a_suspension_that_no_event_told_is_seen_and_its_tokens_are_let_go_of() {
    let bench = Bench::of_acme(None).await;
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    github.repo("acme", "site", false);
    let app = github.app("ours");
    let granted = [("metadata", "read"), ("members", "read"), ("pull_requests", "write")];
    let installation = github.installs(app, "acme", &granted);
    bench.connections.add(wish_of_app(&github, app, Some(installation), None)).await.unwrap();
    bench.works().await;
    assert_eq!(bench.state("acme").await, S::Connected);
    let minted = github.minted();
    github.suspends(installation);
    bench.acts("acme", Verb::Test).await;
    assert_eq!(bench.state("acme").await, S::Suspended);
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::Paused)]);
    // Nothing is asked for it but whether it is still so, and that as the App.
    let before = github.book.seen().len();
    let synced = bench.acts("acme", Verb::Sync).await;
    assert_eq!(synced[0].note.as_deref(), Some("nothing was read: the connection is switched off"));
    assert_eq!((github.book.seen().len(), github.minted()), (before, minted));
    github.unsuspends(installation);
    github.book.pass_s(20 * 60);
    bench.passes(20 * MINUTE_MS);
    bench.works().await;
    assert_eq!(bench.state("acme").await, S::Connected);
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::NotSetUp)]);
    // Gone takes two looks: one may be a forge that is being mended.
    github.uninstalls(installation);
    bench.acts("acme", Verb::Test).await;
    assert_eq!(bench.state("acme").await, S::Connected);
    github.book.pass_s(60);
    bench.passes(MINUTE_MS);
    bench.works().await;
    assert_eq!(bench.state("acme").await, S::Uninstalled);
    assert_eq!(github.violations(), [""; 0]);
}

#[tokio::test]
async fn a_paused_connection_asks_nothing_until_it_is_resumed() {
    let (bench, gitlab, _) = connected("api").await;
    bench.acts("acme", Verb::Pause).await;
    let shown = bench.shown("acme").await;
    assert_eq!((shown.state(), shown.paused_at), (S::Suspended, Some(bench.now())));
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::Paused)]);
    let before = gitlab.book.seen().len();
    for verb in [Verb::Test, Verb::Sync] {
        bench.acts("acme", verb).await;
    }
    assert_eq!(gitlab.book.seen().len(), before);
    bench.acts("acme", Verb::Resume).await;
    assert_eq!(bench.state("acme").await, S::Connected);
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::NotSetUp)]);
    assert!(gitlab.book.seen().len() > before);
}

#[tokio::test]
async fn a_rejected_connections_projects_are_no_longer_live() {
    let (bench, ..) = connected("api").await;
    bench.acts("acme", Verb::Reject).await;
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::Paused)]);
    bench.acts("acme", Verb::Allow).await;
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::NotSetUp)]);
}

#[tokio::test]
async fn what_the_file_declares_is_ended_in_the_file() {
    let (bench, ..) = connected("api").await;
    let mut declared = bench.shown("acme").await;
    declared.created_by = "config".into();
    bench.writes(vec![scm_connect::domain::change::Change::PutConnection(Box::new(declared))]).await;
    for verb in [Verb::Disconnect, Verb::Rotate] {
        let refused = bench.connections.act(&key("acme"), verb, "cli").await;
        assert_eq!(code(refused).0, "declared-in-config");
    }
    assert!(bench.connections.act(&key("acme"), Verb::Pause, "cli").await.unwrap().is_some());
}

#[tokio::test]
async fn a_sync_takes_away_what_a_whole_list_no_longer_has_but_never_all_of_it() {
    let (bench, gitlab, _) = connected("api").await;
    let group = bench.shown("acme").await.account.external_id.unwrap();
    let web = gitlab.project(group, "web");
    bench.passes(MINUTE_MS);
    bench.acts("acme", Verb::Sync).await;
    let paths =
        |all: &[(String, ProjectState)]| -> Vec<String> { all.iter().map(|it| it.0.clone()).collect() };
    assert_eq!(paths(&bench.projects("acme").await), ["acme/site", "acme/web"]);
    gitlab.loses(web);
    bench.passes(MINUTE_MS);
    bench.acts("acme", Verb::Sync).await;
    let states: Vec<_> = bench.projects("acme").await.into_iter().map(|it| it.1).collect();
    assert_eq!(states, [ProjectState::NotSetUp, ProjectState::Removed]);
    // An empty list with a 200 is no list.
    gitlab.plants(Planted::always("/projects", Fault::Json("[]")));
    bench.passes(MINUTE_MS);
    bench.acts("acme", Verb::Sync).await;
    assert_eq!(bench.projects("acme").await[0].1, ProjectState::NotSetUp);
    // One that fails on its second page is none either.
    let filter = TaskFilter { connection: Some(key("acme")), ..TaskFilter::default() };
    let tasks = bench.store.tasks(&filter, &Page { limit: 10, cursor: None }).await.unwrap();
    assert!(tasks.items.iter().all(|task| task.state == TaskState::Queued), "{tasks:?}");
}

#[tokio::test]
async fn where_there_is_nothing_to_ask_by_it_is_looked_at_again() {
    let github = FakeGithub::server("3.19.0");
    let bench = Bench::of_acme(None).await;
    let waiting = connection(Kind::GithubEnterpriseServer, &github.site(), "app");
    bench.writes(vec![Change::PutConnection(Box::new(waiting.clone()))]).await;
    let tasks = bench.acts("acme", Verb::Test).await;
    assert_eq!((tasks.len(), tasks[0].state), (1, TaskState::Queued), "{tasks:?}");
    bench.passes(19 * MINUTE_MS);
    assert_eq!(bench.works().await.len(), 1);
    // What has no credential, and nobody makes one for, is left alone.
    let none = Connection { credential: "none".into(), ..waiting };
    bench.writes(vec![Change::PutConnection(Box::new(none))]).await;
    let tasks = bench.acts("acme", Verb::Test).await;
    assert!(tasks.iter().all(|task| task.state != TaskState::Queued), "{tasks:?}");
}
