//! What our clients make of the fakes: each test is a story, and at its end no rule was broken.

mod github_lists;
mod github_tokens;
pub(super) mod gitlab;
mod naive;

use std::sync::Arc;
use std::time::Duration;

use scm_connect::domain::Timestamp;
use scm_connect::outbound::{Limits, Outbound, Rules};
use scm_connect::provider::Reads;
use scm_connect::provider::github::client::{App, AppKey, Github as Client};

use super::Book;
use super::github::{APP_KEY, Github};

/// Outbound rules for forges on this machine, with a clock that is `ahead_s` ahead of the forge's.
fn outbound(book: impl Fn() -> i64 + Send + Sync + 'static, ahead_s: i64) -> Outbound {
    Outbound::new(Rules {
        plain_http: true,
        private: vec!["127.0.0.0/8".parse().unwrap()],
        limits: Limits { whole: Duration::from_secs(3), header: Duration::from_secs(2), ..Limits::default() },
        clock: Arc::new(move || Timestamp::from_ms((book() + ahead_s) * 1000)),
    })
}

/// The same, for stories in which nothing is slow but the machine.
pub(super) fn patient(book: impl Fn() -> i64 + Send + Sync + 'static) -> Outbound {
    Outbound::new(Rules {
        plain_http: true,
        private: vec!["127.0.0.0/8".parse().unwrap()],
        limits: Limits::default(),
        clock: Arc::new(move || Timestamp::from_ms(book() * 1000)),
    })
}

/// Our client of this GitHub, with all the time in the world.
pub(super) fn patient_client(forge: &Arc<Github>) -> Client {
    let theirs = Arc::clone(forge);
    let outbound = patient(move || theirs.book.now_s());
    let endpoint = outbound.declared(forge.api(), None, None, &[]);
    Client::open(&outbound, endpoint, Reads::default()).unwrap()
}

/// Our client of this GitHub.
fn client_ahead(forge: &Arc<Github>, ahead_s: i64) -> Client {
    let theirs = Arc::clone(forge);
    let outbound = outbound(move || theirs.book.now_s(), ahead_s);
    let endpoint = outbound.declared(forge.api(), None, None, &[]);
    Client::open(&outbound, endpoint, Reads::default()).unwrap()
}

pub(super) fn client(forge: &Arc<Github>) -> Client {
    client_ahead(forge, 0)
}

/// Our App, as the fake knows it.
pub(super) fn app(client: &Client, id: u64) -> App {
    client.app(AppKey::parse(id.to_string(), &APP_KEY.into()).unwrap())
}

/// Time passes, for the forge and for us.
pub(super) async fn pass(book: &Book, seconds: u64) {
    book.pass_s(i64::try_from(seconds).unwrap());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}
