//! Marks: one writer wins, and what was written is there after a restart.

use super::bench::Bench;

pub(in crate::store) async fn a_mark_is_written_over_the_one_that_was_read_only(bench: &Bench) {
    let store = bench.store().await;
    assert_eq!(store.mark("lamp").await.unwrap(), None);
    assert!(!store.set_mark("lamp", 1, "x".into()).await.unwrap(), "there is none to write over");
    assert!(store.set_mark("lamp", 0, "a".into()).await.unwrap());
    assert!(!store.set_mark("lamp", 0, "b".into()).await.unwrap(), "there is one by now");
    assert_eq!(store.mark("lamp").await.unwrap().unwrap().value, "a");
    assert_eq!(store.mark("lamp/other").await.unwrap(), None);
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    let known = store.mark("lamp").await.unwrap().unwrap();
    let all = (0..8).map(|n| store.set_mark("lamp", known.version, format!("{n}")));
    let won: Vec<bool> = futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let winner = won.iter().position(|won| *won).unwrap();
    assert_eq!(store.mark("lamp").await.unwrap().unwrap().value, winner.to_string());
}
