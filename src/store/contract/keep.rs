//! Moving everything into an empty store.

use secrecy::ExposeSecret as _;

use super::access::token;
use super::bench::{Bench, LEASE_MS, NOON, delivery, done, source};
use super::records::{self, audit_line, organization, page};
use super::{credential, replay, task};
use crate::domain::change::{Change, Changes, Verdict};
use crate::domain::credential::CredentialKind;
use crate::domain::delivery::{DeliveryState, Lane};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::keep::{ImportMark, Item, MoveError, Tally, compare, transfer};
use crate::store::{
    Accepted, AuditFilter, ConnectionFilter, DeliveryFilter, Indexed, MemberFilter, Outcome, ProjectFilter,
    Store, StoreError, TaskFilter,
};

const MINUTE_MS: i64 = 60_000;

fn retry(after_ms: i64) -> Outcome {
    Outcome::Retry { at: NOON.plus_ms(after_ms), error: "away".into() }
}

async fn queues_in(bench: &Bench, id: &str, lane: &str, blocks: bool) -> DeliveryId {
    let accepted = bench.accepts(id, format!("{id} in {lane}").as_bytes()).await;
    let store = bench.store().await;
    let lane = Lane { key: lane.into(), blocks };
    let row = Indexed {
        id: accepted,
        event: "test".into(),
        action: Some("done".into()),
        provider: "github".into(),
        lane,
        ended: None,
    };
    store.index(vec![row], NOON).await.unwrap();
    accepted
}

/// Something of everything: records, a lane of three, one that failed, one given up, one at work, one not indexed.
async fn fill(bench: &Bench) -> Vec<DeliveryId> {
    let store = bench.store().await;
    store.apply(records::everything(), Vec::new()).await.unwrap();
    let renamed = Changes { changes: records::everything(), ..Changes::none(Verdict::Done) };
    let secret = credential::seals(store.as_ref(), CredentialKind::AccessToken, credential::CANARY).await;
    let wished = task::wishes(task::wish("acme-github", 0));
    store.apply(vec![secret, wished], Vec::new()).await.unwrap();
    store.put_token(token("one", 1)).await.unwrap();
    store.put_setup_code(&[7; 32], NOON.plus_ms(1000)).await.unwrap();
    let mut ids = Vec::new();
    for (id, lane) in [("done", "a"), ("retried", "b"), ("dead", "c"), ("first", "l"), ("second", "l")] {
        ids.push(queues_in(bench, id, lane, id == "retried").await);
    }
    for claim in bench.claims(NOON).await {
        let outcome = match claim.record.external_id.as_str() {
            "done" => Outcome::Apply(renamed.clone()),
            "retried" => retry(5 * MINUTE_MS),
            "dead" => Outcome::Park { reason: "exhausted".into(), error: "the forge is away".into() },
            _ => continue,
        };
        bench.settles(claim, outcome, NOON.plus_ms(7)).await;
    }
    ids.push(queues_in(bench, "third", "l", false).await);
    ids.push(queues_in(bench, "behind the retried", "b", true).await);
    ids.push(queues_in(bench, "unbound", "u", false).await);
    let claim = bench.claims_one(NOON.plus_ms(8)).await;
    bench.settles(claim, Outcome::Apply(Changes::none(Verdict::Unbound)), NOON.plus_ms(9)).await;
    ids.push(bench.accepts("not indexed", b"x").await);
    ids
}

/// Everything that can be asked, as text.
async fn answers(store: &dyn Store, ids: &[DeliveryId]) -> Vec<String> {
    let mut all = Vec::new();
    let listed = store.deliveries(&DeliveryFilter::default(), &page()).await.unwrap();
    all.push(format!("{:?}", listed.items));
    for state in DeliveryState::ALL {
        let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
        all.push(format!("{:?}", store.deliveries(&filter, &page()).await.unwrap().items));
    }
    for id in ids {
        all.push(format!("{:?}", store.attempts(*id).await.unwrap()));
        all.push(format!("{:?}", store.delivery_body(*id).await.unwrap()));
    }
    let waiting = store.unindexed(10).await.unwrap();
    all.push(format!("{waiting:?}"));
    all.push(format!("{:?}", store.organizations(&page()).await.unwrap()));
    all.push(format!("{:?}", store.sources().await.unwrap()));
    all.push(format!("{:?}", store.connections(&ConnectionFilter::default(), &page()).await.unwrap().items));
    let projects = store.projects(&ProjectFilter::default(), &page()).await.unwrap().items;
    for project in &projects {
        all.push(format!("{:?}", store.pipelines(project, &page()).await.unwrap().items));
    }
    all.push(format!("{projects:?}"));
    all.push(format!("{:?}", store.members(&MemberFilter::default(), &page()).await.unwrap().items));
    all.push(format!("{:?}", store.audit(&AuditFilter::default(), &page()).await.unwrap().items));
    all.push(format!("{:?}", store.token_by_hash(&[1; 32]).await.unwrap()));
    let opened = store.credential(&credential::owner(), CredentialKind::AccessToken).await.unwrap().unwrap();
    all.push(format!("{:?} {}", opened.about, opened.secret.expose_secret()));
    all.push(format!("{:?}", store.tasks(&TaskFilter::default(), &page()).await.unwrap().items));
    let figures = store.figures().await.unwrap();
    let numbers = (figures.by_state, figures.dead_by_reason, figures.unindexed, figures.lanes_blocked);
    all.push(format!("{numbers:?}"));
    all
}

async fn moves(from: &Bench, to: &Bench) -> Tally {
    let (from, to) = (from.store().await, to.store().await);
    let view = from.freeze().await.unwrap();
    let tally = transfer(view.as_ref(), "a test", to.as_ref(), &|_, _| {}).await.unwrap();
    compare(&tally, to.as_ref(), &|_, _| {}).await.unwrap();
    tally
}

pub(in crate::store) async fn what_has_moved_gives_the_same_answers(bench: &Bench, other: &Bench) {
    let ids = fill(bench).await;
    // Of what is at work, the lease alone does not move: here it is over before the move.
    let claims = bench.claims(NOON.plus_ms(2 * LEASE_MS)).await;
    for claim in claims {
        bench.settles(claim, retry(3 * MINUTE_MS), NOON.plus_ms(2 * LEASE_MS)).await;
    }
    let tally = moves(bench, other).await;
    assert_eq!(tally.counts.get("delivery"), Some(&8));
    assert_eq!(tally.counts.get("unindexed"), Some(&1));
    let before = answers(bench.store().await.as_ref(), &ids).await;
    assert_eq!(answers(other.store().await.as_ref(), &ids).await, before);
    let chains = super::roster::check_chains(bench.store().await.as_ref()).await.unwrap();
    assert!(!chains.is_empty());
    assert_eq!(super::roster::check_chains(other.store().await.as_ref()).await, Ok(chains));
    other.restart().await;
    let store = other.store().await;
    assert_eq!(answers(store.as_ref(), &ids).await, before);
    assert_eq!(store.import_mark().await.unwrap(), None);
    assert!(store.verify(&|_, _| {}).await.unwrap().is_empty());
    let made = store.redeem_setup_code(&[7; 32], organization("fresh"), token("fresh", 3), NOON);
    assert!(made.await.unwrap(), "the setup code has moved");
}

pub(in crate::store) async fn work_goes_on_where_it_stood(bench: &Bench, other: &Bench) {
    fill(bench).await;
    moves(bench, other).await;
    other.restart().await;
    let name = |claim: &crate::store::Claim| claim.record.external_id.clone();
    // "first" was at work: nobody holds it here, so it is due at once; its lane waits for it.
    let claim = other.claims_one(NOON.plus_ms(10)).await;
    assert_eq!((name(&claim), claim.record.attempts, claim.tries), ("first".into(), 2, 2));
    other.settles(claim, done(), NOON.plus_ms(11)).await;
    for next in ["second", "third"] {
        let claim = other.claims_one(NOON.plus_ms(12)).await;
        assert_eq!(name(&claim), next);
        other.settles(claim, done(), NOON.plus_ms(12)).await;
    }
    assert!(other.claims(NOON.plus_ms(5 * MINUTE_MS - 1)).await.is_empty(), "the retry is not due yet");
    let claim = other.claims_one(NOON.plus_ms(5 * MINUTE_MS)).await;
    assert_eq!(name(&claim), "retried");
    other.settles(claim, done(), NOON.plus_ms(5 * MINUTE_MS)).await;
    let claim = other.claims_one(NOON.plus_ms(5 * MINUTE_MS)).await;
    assert_eq!(name(&claim), "behind the retried");
    other.settles(claim, done(), NOON.plus_ms(5 * MINUTE_MS)).await;
    let store = other.store().await;
    assert_eq!(store.wake_unbound(NOON.plus_ms(6 * MINUTE_MS)).await.unwrap(), 1);
    other.indexes(false).await;
    let woken: Vec<_> = other.claims(NOON.plus_ms(6 * MINUTE_MS)).await.iter().map(name).collect();
    assert_eq!(woken.len(), 2, "the unbound one and the one that no index knew: {woken:?}");
}

pub(in crate::store) async fn a_replay_goes_on_in_the_store_to_which_it_moved(bench: &Bench, other: &Bench) {
    let ids = replay::handled(bench, 3).await;
    replay::wishes(bench, replay::wish(10)).await;
    let claim = replay::claims_one(bench, 10).await;
    replay::does(bench, &claim, &ids[..1], false, 20).await;
    moves(bench, other).await;
    let claim = replay::claims_one(other, 1020).await;
    let progress = claim.task.progress.clone().unwrap();
    assert_eq!((progress.queued, progress.last), (1, Some(ids[0])));
    replay::does(other, &claim, &ids[1..], true, 1030).await;
    assert_eq!(other.claims(NOON.plus_ms(1030)).await.len(), 3, "each is queued once");
}

pub(in crate::store) async fn a_copy_is_recognised_after_a_move(bench: &Bench, other: &Bench) {
    let indexed = bench.queues("indexed", "x").await;
    let waiting = bench.accepts("waiting", b"y").await;
    moves(bench, other).await;
    let store = other.store().await;
    let again = store.accept(delivery("indexed", b"x"), NOON.plus_ms(1)).await.unwrap();
    assert_eq!(again, Accepted::Duplicate(indexed));
    let again = store.accept(delivery("waiting", b"y"), NOON.plus_ms(1)).await.unwrap();
    assert_eq!(again, Accepted::Duplicate(waiting));
    other.indexes(false).await;
    let equal = other.queues("another id", "x").await;
    assert!(store.delivery(equal).await.unwrap().unwrap().replay_suspected, "its body came before");
}

pub(in crate::store) async fn versions_move_too(bench: &Bench, other: &Bench) {
    let store = bench.store().await;
    for _ in 0..3 {
        store.apply(vec![Change::PutOrganization(organization("acme"))], Vec::new()).await.unwrap();
    }
    moves(bench, other).await;
    let slug = organization("acme").slug;
    let key = crate::domain::known::RecordKey::Organization(slug);
    let store = other.store().await;
    let put = || vec![Change::PutOrganization(organization("acme"))];
    assert!(!store.apply(put(), vec![(key.clone(), 1)]).await.unwrap());
    assert!(store.apply(put(), vec![(key, 3)]).await.unwrap());
}

pub(in crate::store) async fn an_import_goes_on_where_it_was_cut(bench: &Bench, other: &Bench) {
    let ids = fill(bench).await;
    let from = bench.store().await;
    let view = from.freeze().await.unwrap();
    let all = everything(view.as_ref()).await;
    let mut tally = Tally::default();
    for item in &all {
        tally.add(item);
        let mark = ImportMark { from: "a test".into(), items: tally.items(), sum: tally.sum() };
        if tally.items() % 3 == 0 {
            // What is written twice, as after a cut between the log and the rows, is there once.
            other.store().await.import(vec![item.clone()], mark.clone()).await.unwrap();
            let again = other.store().await.import(vec![item.clone()], mark).await;
            assert!(matches!(again, Err(StoreError::Unavailable(_))), "{again:?}");
            other.restart().await;
        } else {
            other.store().await.import(vec![item.clone()], mark).await.unwrap();
        }
        if tally.items() + 2 == all.len() as u64 {
            break;
        }
    }
    let to = other.store().await;
    assert!(!to.is_empty().await.unwrap());
    let wrong = transfer(view.as_ref(), "another", to.as_ref(), &|_, _| {}).await;
    assert!(matches!(wrong, Err(MoveError::Other)), "{wrong:?}");
    let tally = transfer(view.as_ref(), "a test", to.as_ref(), &|_, _| {}).await.unwrap();
    compare(&tally, to.as_ref(), &|_, _| {}).await.unwrap();
    let waiting = to.unindexed(10).await.unwrap();
    assert_eq!(waiting.iter().map(|one| one.id).collect::<Vec<_>>(), ids[8..].to_vec());
}

async fn everything(view: &dyn crate::store::Frozen) -> Vec<Item> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let piece = view.piece(cursor.as_deref()).await.unwrap();
        all.extend(piece.items);
        cursor = piece.next;
        if cursor.is_none() {
            return all;
        }
    }
}

pub(in crate::store) async fn a_changed_source_is_not_gone_on_from(bench: &Bench, other: &Bench) {
    let from = bench.store().await;
    from.apply(vec![Change::PutOrganization(organization("acme"))], Vec::new()).await.unwrap();
    let view = from.freeze().await.unwrap();
    let to = other.store().await;
    transfer(view.as_ref(), "a test", to.as_ref(), &|_, _| {}).await.unwrap();
    from.apply(vec![Change::PutOrganization(organization("acme"))], Vec::new()).await.unwrap();
    let view = from.freeze().await.unwrap();
    let moved = transfer(view.as_ref(), "a test", to.as_ref(), &|_, _| {}).await;
    assert!(matches!(moved, Err(MoveError::Other)), "{moved:?}");
}

pub(in crate::store) async fn a_store_that_holds_something_takes_no_import(bench: &Bench, other: &Bench) {
    let from = bench.store().await;
    from.apply(vec![Change::PutOrganization(organization("acme"))], Vec::new()).await.unwrap();
    let view = from.freeze().await.unwrap();
    other.accepts("a", b"x").await;
    let to = other.store().await;
    let refused = transfer(view.as_ref(), "a test", to.as_ref(), &|_, _| {}).await;
    assert!(matches!(refused, Err(MoveError::NotEmpty)), "{refused:?}");
    assert!(to.organizations(&page()).await.unwrap().items.is_empty());
}

pub(in crate::store) async fn a_frozen_view_shows_one_moment(bench: &Bench, other: &Bench) {
    let first = bench.queues("a", "x").await;
    let store = bench.store().await;
    let view = store.freeze().await.unwrap();
    let claim = bench.claims_one(NOON).await;
    bench.settles(claim, done(), NOON).await;
    store.apply(vec![Change::Audit(audit_line("later"))], Vec::new()).await.unwrap();
    bench.accepts("b", b"later").await;
    let to = other.store().await;
    transfer(view.as_ref(), "a test", to.as_ref(), &|_, _| {}).await.unwrap();
    assert_eq!(to.delivery(first).await.unwrap().unwrap().state, DeliveryState::Queued);
    assert!(to.unindexed(10).await.unwrap().is_empty());
    assert!(to.audit(&AuditFilter::default(), &page()).await.unwrap().items.is_empty());
}

pub(in crate::store) async fn a_frozen_view_misses_nothing_while_others_write(bench: &Bench, other: &Bench) {
    let store = bench.store().await;
    for number in 0..600 {
        store.accept(delivery(&format!("before {number}"), b"x"), NOON).await.unwrap();
    }
    let writing = {
        let store = bench.store().await;
        tokio::spawn(async move {
            let mut number: u32 = 0;
            while store.figures().await.unwrap().unindexed < 1200 {
                store.accept(delivery(&format!("during {number}"), b"x"), NOON).await.unwrap();
                number += 1;
            }
        })
    };
    let view = store.freeze().await.unwrap();
    let to = other.store().await;
    let tally = transfer(view.as_ref(), "a test", to.as_ref(), &|_, _| {}).await.unwrap();
    compare(&tally, to.as_ref(), &|_, _| {}).await.unwrap();
    writing.await.unwrap();
    let moved = to.unindexed(2000).await.unwrap();
    let names = |prefix: &str| {
        moved.iter().filter(|one| one.delivery.envelope().external_id.starts_with(prefix)).count()
    };
    assert_eq!(names("before"), 600);
    assert_eq!(moved.first().map(|one| one.delivery.source().clone()), Some(source()));
    assert!(moved.iter().all(|one| one.received_at == Timestamp::from_ms(NOON.ms())));
}
