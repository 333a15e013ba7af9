//! What others write while a connection is ended, and credentials that do not open: neither undoes the other.

use scm_connect::connect::Verb;
use scm_connect::domain::change::Change;
use scm_connect::domain::credential::{CredentialKind, CredentialOwner};
use scm_connect::domain::organization::{Account, Connection, ConnectionState, Forge, Organization};
use scm_connect::domain::project::Project;
use scm_connect::domain::task::{Performed, TaskKind, TaskState};
use scm_connect::store::{Page, ProjectFilter, TaskClaim, TaskOutcome, TaskSettled};

use super::bench::{Bench, connected, key, slug, wish_of_app};
use crate::forge::FakeGithub;

/// What there is to do of this kind, taken by a worker.
async fn claimed(bench: &Bench, kind: TaskKind) -> TaskClaim {
    let claims = bench.store.claim_tasks(bench.now(), 30_000, 10).await.unwrap();
    claims.into_iter().find(|claim| claim.task.kind == kind).unwrap()
}

async fn settled(bench: &Bench, claim: &TaskClaim, performed: Performed) -> TaskSettled {
    let Performed::Done { changes, expects, note } = performed else { panic!("{performed:?}") };
    let outcome = TaskOutcome::Done { changes, expects, note };
    bench.store.settle_task(claim, outcome, bench.now()).await.unwrap()
}

async fn site(bench: &Bench) -> Project {
    let page = Page { limit: 1, cursor: None };
    bench.store.projects(&ProjectFilter::default(), &page).await.unwrap().items.remove(0)
}

#[tokio::test]
async fn what_is_told_of_a_project_while_its_connection_goes_off_is_not_written_over() {
    let (bench, gitlab, _) = connected("api").await;
    let mut shown = bench.shown("acme").await;
    // The forge has said once that the account is gone; the second word counts.
    shown.health.gone = 1;
    gitlab.loses_group(shown.account.external_id.unwrap());
    bench.writes(vec![Change::PutConnection(Box::new(shown))]).await;
    bench.connections.act(&key("acme"), Verb::Test, "cli").await.unwrap();
    let claim = claimed(&bench, TaskKind::CheckConnection).await;
    let performed = bench.connections.check(&claim.task).await.unwrap();
    let renamed = Project { full_path: "acme/renamed".into(), ..site(&bench).await };
    bench.writes(vec![Change::PutProject(Box::new(renamed))]).await;
    assert_eq!(settled(&bench, &claim, performed).await, TaskSettled::Changed);
    let again = bench.connections.check(&claim.task).await.unwrap();
    assert_eq!(settled(&bench, &claim, again).await, TaskSettled::Done);
    let told = site(&bench).await;
    assert_eq!((told.full_path.as_str(), told.paused), ("acme/renamed", true));
}

/// 450 projects more, as many as no one act holds.
async fn many_projects(bench: &Bench) {
    let known = site(bench).await;
    let copy = |n: u64| {
        let full_path = format!("acme/copy-{n}");
        Change::PutProject(Box::new(Project { full_path, external_id: 10_000 + n, ..known.clone() }))
    };
    bench.writes((0..450).map(copy).collect()).await;
}

/// How many projects there are, and how many of them are paused.
async fn paused(bench: &Bench) -> (usize, usize) {
    let (mut cursor, mut all, mut paused) = (None, 0, 0);
    loop {
        let page = Page { limit: 200, cursor };
        let found = bench.store.projects(&ProjectFilter::default(), &page).await.unwrap();
        all += found.items.len();
        paused += found.items.iter().filter(|it| it.paused).count();
        cursor = found.next;
        if cursor.is_none() {
            return (all, paused);
        }
    }
}

#[tokio::test]
async fn many_projects_are_paused_with_their_connection_though_whoever_does_it_ends_half_way() {
    let (bench, _, _) = connected("api").await;
    many_projects(&bench).await;
    for (verb, first, last) in [(Verb::Pause, 200, 451), (Verb::Resume, 251, 0)] {
        bench.connections.act(&key("acme"), verb, "cli").await.unwrap();
        assert_eq!(paused(&bench).await, (451, first), "{verb:?}: as many as one act holds");
        assert!(bench.shown("acme").await.projects_lag, "{verb:?}");
        // Whoever goes on with it ends before their work is settled, and nobody says it again.
        let claim = claimed(&bench, TaskKind::CheckConnection).await;
        bench.connections.check(&claim.task).await.unwrap();
        bench.passes(31_000);
        bench.works().await;
        assert_eq!(paused(&bench).await, (451, last), "{verb:?}");
        assert!(!bench.shown("acme").await.projects_lag, "{verb:?}");
    }
}

#[tokio::test]
async fn projects_that_lag_behind_a_connection_which_is_switched_once_more_follow_the_last_word() {
    let (bench, _, _) = connected("api").await;
    many_projects(&bench).await;
    for verb in [Verb::Pause, Verb::Resume, Verb::Pause, Verb::Disconnect] {
        bench.connections.act(&key("acme"), verb, "cli").await.unwrap();
    }
    bench.works().await;
    assert_eq!(paused(&bench).await, (451, 451));
    assert!(!bench.shown("acme").await.projects_lag);
}

#[tokio::test]
async fn what_an_admin_says_of_an_organization_while_its_authority_is_ended_is_kept() {
    let (bench, _, _) = connected("api").await;
    let acme = bench.store.organization(&slug("acme")).await.unwrap().unwrap();
    let acme = Organization { authority: Some(key("acme")), ..acme };
    bench.writes(vec![Change::PutOrganization(acme.clone())]).await;
    bench.connections.act(&key("acme"), Verb::Disconnect, "cli").await.unwrap();
    let claim = claimed(&bench, TaskKind::DisconnectConnection).await;
    let performed = bench.connections.disconnect(&claim.task).await.unwrap();
    let renamed = Organization { name: "Acme & Sons".into(), ..acme };
    bench.writes(vec![Change::PutOrganization(renamed)]).await;
    assert_eq!(settled(&bench, &claim, performed).await, TaskSettled::Changed);
    let again = bench.connections.disconnect(&claim.task).await.unwrap();
    assert_eq!(settled(&bench, &claim, again).await, TaskSettled::Done);
    let told = bench.store.organization(&slug("acme")).await.unwrap().unwrap();
    assert_eq!((told.name.as_str(), told.authority), ("Acme & Sons", None));
}

#[tokio::test]
async fn who_begins_to_speak_through_a_source_while_its_connection_is_ended_is_not_written_over() {
    let (bench, _, _) = connected("api").await;
    bench.connections.act(&key("acme"), Verb::Disconnect, "cli").await.unwrap();
    let claim = claimed(&bench, TaskKind::DisconnectConnection).await;
    let performed = bench.connections.disconnect(&claim.task).await.unwrap();
    let source = bench.shown("acme").await.source;
    let mut known = bench.store.source(&source).await.unwrap().unwrap();
    known.organizations.push(slug("other"));
    bench.writes(vec![Change::PutSource(known)]).await;
    assert_eq!(settled(&bench, &claim, performed).await, TaskSettled::Changed);
    let again = bench.connections.disconnect(&claim.task).await.unwrap();
    assert_eq!(settled(&bench, &claim, again).await, TaskSettled::Done);
    let told = bench.store.source(&source).await.unwrap().unwrap();
    assert_eq!((told.organizations, told.removed), (vec![slug("acme"), slug("other")], true));
}

#[tokio::test]
async fn an_app_is_kept_as_long_as_another_connection_lives_by_it() {
    let bench = Bench::of_acme(None).await;
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    let app = github.app("ours");
    let granted = [("metadata", "read"), ("members", "read"), ("pull_requests", "write")];
    let installation = github.installs(app, "acme", &granted);
    bench.connections.add(wish_of_app(&github, app, Some(installation), None)).await.unwrap();
    let first = bench.shown("acme").await;
    let second = Connection {
        key: key("acme-two"),
        account: Account { login: "acme-two".into(), external_id: Some(7) },
        installation: None,
        ..first.clone()
    };
    bench.writes(vec![Change::PutConnection(Box::new(second))]).await;
    let owner = CredentialOwner::Source(first.source.clone());
    let has_key = async || bench.store.credential(&owner, CredentialKind::AppKey).await.unwrap().is_some();
    bench.acts("acme", Verb::Disconnect).await;
    assert!(has_key().await, "the second one asks with it");
    bench.acts("acme-two", Verb::Disconnect).await;
    assert!(!has_key().await);
    assert!(bench.store.source(&first.source).await.unwrap().unwrap().removed);
}

#[tokio::test]
async fn a_credential_that_does_not_open_is_shown_at_its_connection_and_ends_its_tasks() {
    let (bench, gitlab, _) = connected("api").await;
    let owner = CredentialOwner::Connection(key("acme"));
    bench.keeps_damaged(owner, CredentialKind::AccessToken, Forge::Gitlab, &gitlab.site()).await;
    let before = gitlab.book.seen().len();
    let checked = bench.acts("acme", Verb::Test).await;
    assert_ne!(checked[0].state, TaskState::Failed, "{checked:?}");
    let shown = bench.shown("acme").await;
    assert_eq!(shown.state(), ConnectionState::TokenInvalid);
    assert!(shown.health.last_error.unwrap().contains("does not open; enter it anew"));
    let rotated = bench.acts("acme", Verb::Rotate).await;
    assert_eq!(rotated[0].state, TaskState::Failed, "{rotated:?}");
    assert_eq!(gitlab.book.seen().len(), before, "nothing was asked");
}
