//! Replays of many deliveries: which ones come next, and when.

use std::sync::Arc;

use super::fake::{Answer, Fake};
use crate::domain::delivery::{DeliveryRecord, DeliveryState};
use crate::domain::replay::{Piece, Progress};
use crate::domain::task::{Performed, Task, TaskKind, Wish};
use crate::domain::{DeliveryId, SourceKey, Timestamp};
use crate::store::{DeliveryFilter, Page, Paged, Store};
use crate::worker::replay;

impl Fake {
    /// A page as a store gives it: a cursor is a place in the whole list, and a page may end before it is full.
    pub(super) async fn listed(&self, filter: &DeliveryFilter, page: &Page) -> Answer<Paged<DeliveryRecord>> {
        const SEEN_MAX: usize = 7;
        let from: usize = page.cursor.as_ref().map_or(0, |cursor| cursor.parse().unwrap());
        self.with(|script| {
            let mut paged = Paged { items: Vec::new(), next: None };
            for (place, record) in script.deliveries.iter().enumerate().skip(from) {
                if paged.items.len() == page.limit || place == from + SEEN_MAX {
                    paged.next = Some(place.to_string());
                    break;
                }
                paged.items.extend(Some(record).filter(|record| filter.wants(record)).cloned());
            }
            Ok(paged)
        })
    }
}

fn id(number: u8) -> DeliveryId {
    DeliveryId::from_bytes([number; 16])
}

/// Received in the second of its number; every second one is dead.
fn record(number: u8) -> DeliveryRecord {
    let state = if number.is_multiple_of(2) { DeliveryState::Dead } else { DeliveryState::Done };
    DeliveryRecord {
        id: id(number),
        source: SourceKey::parse("our-app").unwrap(),
        provider: "github".into(),
        organization: None,
        connection: None,
        event: "push".into(),
        action: None,
        external_id: number.to_string(),
        hook_id: String::new(),
        received_at: Timestamp::from_ms(i64::from(number) * 1000),
        state,
        attempts: 1,
        duplicates: 0,
        last_error: None,
        reason: None,
        replay_suspected: false,
        body_bytes: 1,
        secret_slot: 0,
        finished_at: None,
        due_at: None,
        lane: String::new(),
    }
}

/// A store with forty deliveries, newest first.
fn store() -> Arc<Fake> {
    let store = Arc::new(Fake::default());
    store.with(|script| script.deliveries = (1..=40).rev().map(record).collect());
    store
}

/// A replay of what is dead, wished in this second.
fn task(second: i64, progress: Progress) -> Task {
    let dead = DeliveryFilter { state: Some(DeliveryState::Dead), ..DeliveryFilter::default() };
    let at = Timestamp::from_ms(second * 1000);
    let wish = Wish {
        kind: TaskKind::ReplayDeliveries,
        organization: None,
        connection: None,
        subject: dead.to_subject(),
        by: "cli".into(),
        at,
        due_at: at,
    };
    Task { progress: Some(progress), started_at: Some(at.plus_ms(500)), ..Task::wished(None, &wish) }
}

async fn piece(store: &dyn Store, task: &Task) -> (Piece, Timestamp) {
    match replay(store, task).await.unwrap() {
        Performed::Piece { piece, next } => (piece, next),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_replay_comes_in_tens_a_second_apart_until_all_that_matched_have_come() {
    let store = store();
    let mut task = task(31, Progress::default());
    // What came in the second in which it was wished, or later, is not meant: 30, 28, … 2.
    let (first, next) = piece(store.as_ref(), &task).await;
    let tens: Vec<DeliveryId> = (6..=15).rev().map(|half| id(half * 2)).collect();
    assert_eq!(first, Piece { matched: 15, deliveries: tens, is_last: false });
    assert_eq!(next, Timestamp::from_ms(32_500), "a second after this one was begun");
    task.progress = Some(Progress::default().after(&first, 10));
    // What was behind it is counted no more.
    store.with(|script| script.deliveries.truncate(38));
    let (second, _) = piece(store.as_ref(), &task).await;
    let rest: Vec<DeliveryId> = (2..=5).rev().map(|half| id(half * 2)).collect();
    assert_eq!(second, Piece { matched: 15, deliveries: rest, is_last: true });
}

#[tokio::test]
async fn a_replay_of_nothing_is_one_empty_piece() {
    let (only, _) = piece(store().as_ref(), &task(1, Progress::default())).await;
    assert_eq!(only, Piece { matched: 0, deliveries: Vec::new(), is_last: true });
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_given_up() {
    for subject in ["", "{\"tenant\":\"x\"}", "[]"] {
        let task = Task { subject: subject.into(), ..task(31, Progress::default()) };
        let performed = replay(store().as_ref(), &task).await.unwrap();
        assert!(matches!(performed, Performed::Failed { .. }), "{subject}: {performed:?}");
    }
}
