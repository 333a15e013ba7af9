//! Work to be done outside.

use super::bench::{Bench, LEASE_MS, NOON};
use super::records::{connection, organization, page, slug};
use crate::domain::change::Change;
use crate::domain::known::RecordKey;
use crate::domain::task::{Task, TaskKind, TaskState, Wish};
use crate::domain::{ConnectionKey, Timestamp};
use crate::store::{Page, Retention, TaskClaim, TaskFilter, TaskOutcome, TaskSettled};

pub(super) fn wish(name: &str, after_ms: i64) -> Wish {
    let key = ConnectionKey::parse(name).unwrap();
    let due_at = NOON.plus_ms(after_ms);
    Wish { due_at, ..Wish::now(TaskKind::CheckConnection, &slug(), &key, "cli", NOON) }
}

pub(super) fn wishes(wish: Wish) -> Change {
    Change::Wish(Box::new(wish))
}

fn done() -> TaskOutcome {
    TaskOutcome::Done { changes: Vec::new(), expects: Vec::new(), note: "well".into() }
}

/// The key of its connection.
fn name(task: &Task) -> String {
    task.connection.as_ref().map(ToString::to_string).unwrap_or_default()
}

async fn with(bench: &Bench, all: impl IntoIterator<Item = Wish>) {
    let changes = all.into_iter().map(wishes).collect();
    assert!(bench.store().await.apply(changes, Vec::new()).await.unwrap());
}

async fn claims(bench: &Bench, after_ms: i64) -> Vec<TaskClaim> {
    bench.store().await.claim_tasks(NOON.plus_ms(after_ms), LEASE_MS, 100).await.unwrap()
}

async fn claims_one(bench: &Bench, after_ms: i64) -> TaskClaim {
    let mut all = claims(bench, after_ms).await;
    assert_eq!(all.len(), 1, "exactly one is due");
    all.remove(0)
}

async fn settles(bench: &Bench, claim: &TaskClaim, outcome: TaskOutcome, after_ms: i64) -> TaskSettled {
    bench.store().await.settle_task(claim, outcome, NOON.plus_ms(after_ms)).await.unwrap()
}

async fn task(bench: &Bench, wish: &Wish) -> Task {
    bench.store().await.task(&wish.id()).await.unwrap().expect("it is there")
}

pub(in crate::store) async fn equal_wishes_are_one_task_due_when_the_first_of_them_is(bench: &Bench) {
    with(bench, [wish("a", 500), wish("a", 200), wish("a", 900), wish("b", 0)]).await;
    bench.restart().await;
    let figures = bench.store().await.figures().await.unwrap();
    assert_eq!((figures.tasks, figures.task_due_at), (2, Some(NOON)));
    assert_eq!(name(&claims_one(bench, 199).await.task), "b");
    let claim = claims_one(bench, 200).await;
    assert_eq!((claim.task.id.as_str(), claim.task.attempts), (wish("a", 0).id().as_str(), 1));
    assert!(claims(bench, 10_000).await.is_empty(), "both are in somebody's hands");
    assert_eq!(settles(bench, &claim, done(), 300).await, TaskSettled::Done);
    let ended = task(bench, &wish("a", 0)).await;
    assert_eq!((ended.state, ended.runs, ended.note.as_deref()), (TaskState::Done, 1, Some("well")));
    assert_eq!(ended.due_at, None);
    assert_eq!(bench.store().await.figures().await.unwrap().tasks, 1, "the other one");
    with(bench, [wish("a", 400)]).await;
    assert_eq!(claims_one(bench, 400).await.task.runs, 1);
}

pub(in crate::store) async fn a_wish_made_while_its_task_runs_has_it_run_again(bench: &Bench) {
    with(bench, [wish("a", 0)]).await;
    let claim = claims_one(bench, 0).await;
    with(bench, [wish("a", 5)]).await;
    assert!(claims(bench, 100).await.is_empty(), "it runs already");
    settles(bench, &claim, done(), 101).await;
    assert_eq!(task(bench, &wish("a", 0)).await.state, TaskState::Queued);
    let again = claims_one(bench, 101).await;
    // What is learnt may hold the wish for the next time, as a thing that is done every quarter of an hour does.
    let (changes, expects) = (vec![wishes(wish("a", 900_000))], Vec::new());
    let outcome = TaskOutcome::Done { changes, expects, note: "again".into() };
    settles(bench, &again, outcome, 102).await;
    assert!(claims(bench, 899_999).await.is_empty());
    assert_eq!(claims_one(bench, 900_000).await.task.runs, 2);
}

pub(in crate::store) async fn waiting_for_the_forge_uses_up_no_attempt(bench: &Bench) {
    with(bench, [wish("a", 0)]).await;
    for after_ms in [0, 1, 2] {
        let claim = claims_one(bench, after_ms).await;
        assert_eq!(claim.task.attempts, 1);
        let at = NOON.plus_ms(after_ms + 1);
        let waits = TaskOutcome::Wait { at, error: "the forge asks to wait".into() };
        assert_eq!(settles(bench, &claim, waits, after_ms).await, TaskSettled::Done);
        let waiting = task(bench, &wish("a", 0)).await;
        assert_eq!((waiting.state, waiting.due_at), (TaskState::Waiting, Some(at)));
    }
    let claim = claims_one(bench, 3).await;
    let fails = TaskOutcome::Retry { at: NOON.plus_ms(4), error: "away".into() };
    assert_eq!(settles(bench, &claim, fails, 3).await, TaskSettled::Done);
    assert_eq!(claims_one(bench, 4).await.task.attempts, 2);
}

pub(in crate::store) async fn a_task_lost_to_another_worker_changes_nothing(bench: &Bench) {
    with(bench, [wish("a", 0)]).await;
    let first = claims_one(bench, 0).await;
    let store = bench.store().await;
    assert!(store.extend_task(&first, NOON.plus_ms(2 * LEASE_MS)).await.unwrap());
    assert!(claims(bench, LEASE_MS + 1).await.is_empty(), "the lease was made longer");
    let second = claims_one(bench, 2 * LEASE_MS).await;
    assert_eq!(second.task.attempts, 2);
    assert!(!store.extend_task(&first, NOON.plus_ms(9 * LEASE_MS)).await.unwrap());
    let changes = vec![Change::PutOrganization(organization("acme"))];
    let late = TaskOutcome::Done { changes, expects: Vec::new(), note: String::new() };
    assert_eq!(settles(bench, &first, late, 2 * LEASE_MS).await, TaskSettled::LeaseLost);
    assert_eq!(store.organization(&slug()).await.unwrap(), None);
    assert_eq!(settles(bench, &second, done(), 2 * LEASE_MS).await, TaskSettled::Done);
    assert_eq!(settles(bench, &second, done(), 2 * LEASE_MS).await, TaskSettled::LeaseLost);
}

pub(in crate::store) async fn what_a_task_learnt_is_written_only_if_what_it_looked_at_still_stands(
    bench: &Bench,
) {
    let store = bench.store().await;
    let it = connection("acme-github", 7);
    let put = || Change::PutConnection(Box::new(it.clone()));
    store.apply(vec![put(), wishes(wish("acme-github", 0))], Vec::new()).await.unwrap();
    let claim = claims_one(bench, 0).await;
    let expects = |version| vec![(RecordKey::Connection(it.key.clone()), version)];
    store.apply(vec![put()], expects(1)).await.unwrap();
    let learnt = |version| TaskOutcome::Done {
        changes: vec![put(), Change::PutOrganization(organization("acme"))],
        expects: expects(version),
        note: String::new(),
    };
    assert_eq!(settles(bench, &claim, learnt(1), 1).await, TaskSettled::Changed);
    assert_eq!(store.organization(&slug()).await.unwrap(), None);
    assert_eq!(settles(bench, &claim, learnt(2), 1).await, TaskSettled::Done);
    assert!(store.organization(&slug()).await.unwrap().is_some());
    assert!(!store.apply(vec![put()], expects(2)).await.unwrap(), "it was written once more");
}

pub(in crate::store) async fn many_workers_never_share_a_task(bench: &Bench) {
    let all: Vec<Wish> = (0..20).map(|n| wish(&format!("c{n}"), 0)).collect();
    with(bench, all).await;
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(8));
    let mut workers = Vec::new();
    for _ in 0..8 {
        let (store, gate) = (bench.store().await, std::sync::Arc::clone(&gate));
        workers.push(tokio::spawn(async move {
            gate.wait().await;
            let mut mine = Vec::new();
            for _ in 0..20 {
                let claims = store.claim_tasks(NOON, LEASE_MS, 2).await.unwrap();
                mine.extend(claims.into_iter().map(|claim| claim.task.id));
            }
            mine
        }));
    }
    let mut taken = Vec::new();
    for worker in workers {
        taken.extend(worker.await.unwrap());
    }
    let distinct: std::collections::BTreeSet<_> = taken.iter().collect();
    assert_eq!((taken.len(), distinct.len()), (20, 20));
}

pub(in crate::store) async fn tasks_are_listed_by_filter_and_old_ones_forgotten(bench: &Bench) {
    let later = |name: &str, n: i64| Wish { at: NOON.plus_ms(n), ..wish(name, 0) };
    with(bench, [later("a", 1), later("b", 3), later("c", 2)]).await;
    let store = bench.store().await;
    let names = |tasks: Vec<Task>| -> Vec<String> { tasks.iter().map(name).collect() };
    let first = store.tasks(&TaskFilter::default(), &Page { limit: 2, cursor: None }).await.unwrap();
    assert_eq!(names(first.items), ["b", "c"]);
    let next = Page { limit: 2, cursor: first.next };
    assert_eq!(names(store.tasks(&TaskFilter::default(), &next).await.unwrap().items), ["a"]);
    for claim in claims(bench, 0).await {
        let fails = name(&claim.task) == "c";
        let put_off = name(&claim.task) == "b";
        let outcome = match (fails, put_off) {
            (true, _) => TaskOutcome::Fail { error: "no such account".into() },
            (_, true) => TaskOutcome::Retry { at: NOON.plus_ms(9), error: "away".into() },
            _ => done(),
        };
        settles(bench, &claim, outcome, 5).await;
    }
    let in_state = |state| TaskFilter { state: Some(state), ..TaskFilter::default() };
    for (state, wanted) in [(TaskState::Done, "a"), (TaskState::Failed, "c"), (TaskState::Waiting, "b")] {
        assert_eq!(names(store.tasks(&in_state(state), &page()).await.unwrap().items), [wanted]);
    }
    let other = TaskFilter {
        organization: Some(crate::domain::OrganizationSlug::parse("other").unwrap()),
        ..TaskFilter::default()
    };
    assert!(store.tasks(&other, &page()).await.unwrap().items.is_empty());
    let keep = Retention { payload_ms: 0, metadata_ms: 100 };
    store.purge(keep, Timestamp::from_ms(NOON.ms() + 200)).await.unwrap();
    let left = names(store.tasks(&TaskFilter::default(), &page()).await.unwrap().items);
    assert_eq!(left, ["b"], "what is not done stays");
}
