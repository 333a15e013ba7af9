//! Tasks: performed, put off, given up, given back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::Floor;
use super::fake::Fake;
use crate::domain::task::{Performed, Task, TaskKind, Wish};
use crate::domain::{ConnectionKey, OrganizationSlug, Timestamp};
use crate::store::{StoreError, TaskOutcome};
use crate::worker::schedule::STOPPED;
use crate::worker::{Perform, start};

/// What a task says in its subject is what happens.
struct Obeys;

#[async_trait]
impl Perform for Obeys {
    async fn perform(&self, task: &Task) -> Result<Performed, StoreError> {
        let error = "the forge is away".to_owned();
        match task.subject.as_str() {
            "later" => Ok(Performed::Later { at: None, error }),
            "when told" => Ok(Performed::Later { at: Some(Timestamp::from_ms(77_000)), error }),
            "never" => Ok(Performed::Failed { error: "no such account".into() }),
            "panic" => panic!("no\u{7}body"),
            "hang" => std::future::pending().await,
            "away" => Err(StoreError::Unavailable("the disk is full".into())),
            _ => Ok(Performed::Done { changes: Vec::new(), expects: Vec::new(), note: "well".into() }),
        }
    }
}

fn task(subject: &str, attempts: u32) -> Task {
    let organization = OrganizationSlug::parse("acme").unwrap();
    let connection = ConnectionKey::parse("acme-github").unwrap();
    let at = Timestamp::from_ms(0);
    let wish = Wish::now(TaskKind::CheckConnection, &organization, &connection, "cli", at);
    let task = Task::wished(None, &Wish { subject: subject.into(), ..wish });
    Task { attempts, id: subject.into(), ..task }
}

async fn settled(store: &Fake, count: usize) -> Vec<(String, TaskOutcome)> {
    store.until(|script| script.tasks_settled.len() >= count).await;
    store.with(|script| script.tasks_settled.clone())
}

fn begin(floor: &Floor) -> crate::worker::Workers {
    start(floor.parts().with_performer(Arc::new(Obeys)), &CancellationToken::new())
}

#[tokio::test(start_paused = true)]
async fn a_task_is_done_put_off_or_given_up_as_its_performer_says() {
    let floor = Floor::new();
    let wanted = [("well", 1), ("later", 2), ("later", 10), ("when told", 30), ("never", 1), ("panic", 1)];
    for (subject, attempts) in wanted {
        floor.store.with(|script| script.tasks.push_back(task(subject, attempts)));
    }
    let workers = begin(&floor);
    let settled = settled(&floor.store, wanted.len()).await;
    let at = Timestamp::from_ms;
    for (id, outcome) in settled {
        match (id.as_str(), outcome) {
            ("well", TaskOutcome::Done { note, .. }) => assert_eq!(note, "well"),
            // Two tries are behind it: half a minute.
            ("later", TaskOutcome::Retry { at: then, .. }) => assert_eq!(then, at(31_000)),
            // Ten are enough.
            ("later", TaskOutcome::Fail { error }) => assert_eq!(error, "the forge is away"),
            // Who is told when to come again comes then, however often.
            ("when told", TaskOutcome::Wait { at: then, .. }) => assert_eq!(then, at(77_000)),
            ("never", TaskOutcome::Fail { error }) => assert_eq!(error, "no such account"),
            ("panic", TaskOutcome::Retry { error, .. }) => assert_eq!(error, "it panicked: nobody"),
            (id, outcome) => panic!("{id}: {outcome:?}"),
        }
    }
    workers.stop(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_records_changed_is_done_anew() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.changes = 2;
        script.tasks.push_back(task("well", 1));
    });
    let workers = begin(&floor);
    assert!(matches!(settled(&floor.store, 1).await[0].1, TaskOutcome::Done { .. }));
    assert_eq!(floor.store.calls("settle_task"), 3);
    workers.stop(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_the_work_and_a_store_that_is_away_settles_nothing() {
    let floor = Floor::new();
    floor.store.with(|script| {
        script.tasks_lost = true;
        script.tasks.extend([task("hang", 1), task("away", 1)]);
    });
    let workers = begin(&floor);
    floor.store.until(|script| script.calls.contains_key("extend_task")).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(floor.store.calls("extend_task"), 1, "who has lost it holds it no longer");
    assert!(floor.store.with(|script| script.tasks_settled.is_empty()));
    workers.stop(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn r42_a_stop_gives_a_task_back_at_once() {
    let floor = Floor::new();
    floor.store.with(|script| script.tasks.push_back(task("hang", 1)));
    let workers = begin(&floor);
    floor.store.until(|script| script.tasks.is_empty()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    workers.stop(Duration::from_secs(2)).await;
    let settled = settled(&floor.store, 1).await;
    let wanted = TaskOutcome::Wait { at: Timestamp::from_ms(1_000), error: STOPPED.into() };
    assert_eq!(settled, [("hang".to_owned(), wanted)]);
}
