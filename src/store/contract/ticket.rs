//! Tickets: kept under a hash, for one purpose, for a while, and given to one.

use super::bench::{Bench, NOON};
use crate::domain::OrganizationSlug;
use crate::domain::ticket::{Ticket, TicketPurpose};

fn ticket(purpose: TicketPurpose, life_ms: i64) -> Ticket {
    let organization = OrganizationSlug::parse("acme").unwrap();
    Ticket { purpose, organization, about: r#"{"a": "ä"}"#.into(), expires_at: NOON.plus_ms(life_ms) }
}

pub(in crate::store) async fn s25_a_ticket_opens_one_thing_for_a_while(bench: &Bench) {
    for (n, purpose) in (1_u8..).zip(TicketPurpose::ALL) {
        bench.store().await.put_ticket(&[n; 32], ticket(purpose, 1000), NOON).await.unwrap();
    }
    bench.restart().await;
    let store = bench.store().await;
    for (n, purpose) in (1_u8..).zip(TicketPurpose::ALL) {
        for asked in TicketPurpose::ALL {
            let found = store.ticket(&[n; 32], asked, NOON.plus_ms(999)).await.unwrap();
            assert_eq!(found, (asked == purpose).then(|| ticket(purpose, 1000)), "{purpose:?} as {asked:?}");
            if asked != purpose {
                assert_eq!(store.redeem_ticket(&[n; 32], asked, NOON).await.unwrap(), None);
            }
        }
        assert_eq!(store.ticket(&[n; 32], purpose, NOON.plus_ms(1000)).await.unwrap(), None, "too late");
        assert_eq!(store.redeem_ticket(&[n; 32], purpose, NOON.plus_ms(1000)).await.unwrap(), None);
    }
    assert_eq!(store.ticket(&[99; 32], TicketPurpose::Link, NOON).await.unwrap(), None);
    let again = ticket(TicketPurpose::Session, 5000);
    store.put_ticket(&[1; 32], again.clone(), NOON).await.unwrap();
    assert_eq!(store.ticket(&[1; 32], TicketPurpose::Session, NOON).await.unwrap(), Some(again));
}

pub(in crate::store) async fn s25_of_many_who_bring_one_ticket_one_gets_it(bench: &Bench) {
    let store = bench.store().await;
    store.put_ticket(&[1; 32], ticket(TicketPurpose::Proof, 1000), NOON).await.unwrap();
    let all = (0..32).map(|_| store.redeem_ticket(&[1; 32], TicketPurpose::Proof, NOON));
    let got = futures_util::future::join_all(all).await;
    assert_eq!(got.into_iter().filter(|got| matches!(got, Ok(Some(_)))).count(), 1);
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    assert_eq!(store.redeem_ticket(&[1; 32], TicketPurpose::Proof, NOON).await.unwrap(), None);
}
