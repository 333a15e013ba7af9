//! New keys in place of old ones.

use super::bench::{Bench, NOON, delivery, done};
use super::credential::{CANARY, owner, seals};
use crate::domain::DeliveryId;
use crate::domain::credential::CredentialKind;
use crate::store::Store;
use crate::store::keep::Rotated;

async fn rotates(store: &dyn Store) -> Rotated {
    store.rotate_keys(false, NOON, &|_, _| {}).await.expect("it rotates")
}

async fn opens(store: &dyn Store, id: DeliveryId, body: &str) {
    let found = store.delivery_body(id).await.expect("it opens").expect("it is kept");
    assert_eq!(found.body().as_ref(), body.as_bytes());
}

async fn opens_the_credential(store: &dyn Store) {
    let found = store.credential(&owner(), CredentialKind::AccessToken).await.expect("it opens");
    assert_eq!(secrecy::ExposeSecret::expose_secret(&found.expect("it is kept").secret), CANARY);
}

pub(in crate::store) async fn s48_new_keys_open_all_that_is_kept_and_no_old_one_is_left(bench: &Bench) {
    let mut kept = Vec::new();
    for number in 0..150 {
        let body = format!("lane {}", number % 7);
        kept.push((bench.queues(&format!("d{number}"), &body).await, body));
    }
    let ended = bench.claims_one_of(NOON).await;
    bench.settles(ended, done(), NOON).await;
    let store = bench.store().await;
    let put = vec![seals(store.as_ref(), CredentialKind::AccessToken, CANARY).await];
    assert!(store.apply(put, Vec::new()).await.unwrap());
    // Twice, and with a restart after each: what the first change leaves must not mislead the second.
    drop(store);
    for round in 0..2 {
        let store = bench.store().await;
        let told = rotates(store.as_ref()).await;
        assert_eq!(told, Rotated::Done { sealed: 151 }, "round {round}");
        assert!(!store.keyring().has_old_keys());
        drop(store);
        bench.restart().await;
        let store = bench.store().await;
        assert!(!store.keyring().has_old_keys(), "round {round}: an old key is still kept");
        for (id, body) in &kept {
            opens(store.as_ref(), *id, body).await;
        }
        opens_the_credential(store.as_ref()).await;
        assert_eq!(store.verify(&|_, _| {}).await.unwrap(), Vec::<String>::new());
    }
    assert!(!bench.claims(NOON).await.is_empty(), "work goes on");
}

pub(in crate::store) async fn s48_what_comes_while_keys_are_rotated_is_kept(bench: &Bench) {
    for number in 0..40 {
        bench.queues(&format!("before {number}"), "x").await;
    }
    let store = bench.store().await;
    let (stop, stopped) = (std::sync::atomic::AtomicBool::new(false), &*store);
    let comes = async {
        let mut kept = Vec::new();
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let number = kept.len();
            let accepted = stopped.accept(delivery(&format!("new {number}"), b"y"), NOON).await;
            kept.push(accepted.expect("a change of keys is no reason to refuse").id());
            bench.indexes(false).await;
            let put = vec![seals(stopped, CredentialKind::AccessToken, CANARY).await];
            assert!(stopped.apply(put, Vec::new()).await.expect("it is written"));
        }
        kept
    };
    let changes = async {
        for _ in 0..3 {
            rotates(&*store).await;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (kept, ()) = tokio::join!(comes, changes);
    assert!(!kept.is_empty());
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    for id in kept {
        opens(store.as_ref(), id, "y").await;
    }
    opens_the_credential(store.as_ref()).await;
}

pub(in crate::store) async fn s48_a_prepared_key_waits_to_be_put_in_force(bench: &Bench) {
    let id = bench.queues("a", "x").await;
    let store = bench.store().await;
    for _ in 0..2 {
        let told = store.rotate_keys(true, NOON, &|_, _| {}).await.unwrap();
        assert_eq!(told, Rotated::Prepared);
    }
    assert!(!store.keyring().has_old_keys(), "nothing was changed");
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    opens(store.as_ref(), id, "x").await;
    assert_eq!(rotates(store.as_ref()).await, Rotated::Done { sealed: 1 });
    opens(store.as_ref(), id, "x").await;
}
