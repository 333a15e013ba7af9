//! The loops, on a store that is told what to answer.

pub(super) mod fake;
mod fake_roster;

mod inbox;
mod indexer;
mod loops;
mod outbox;
mod replay;

use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::inbox::lock;
use super::{Chance, Context, LoopState, Notice, Parts, Rules};
use crate::domain::change::{Changes, Verdict};
use crate::domain::connection::Beginning;
use crate::domain::delivery::{Delivery, Lane};
use crate::domain::event::{About, Event, Fact, Repository};
use crate::domain::known::{Candidates, Known};
use crate::domain::organization::{Account, Connection, Forge, Kind, Organization, Source};
use crate::domain::{Clock, ConnectionKey, OrganizationSlug, Timestamp};
use crate::handler::Routing;
use crate::provider::Unreadable;
use crate::store::{Outcome, Retention};
use fake::Fake;

/// What was told, in order.
#[derive(Default)]
pub(super) struct Heard {
    lines: Mutex<Vec<String>>,
    last_write: Mutex<Option<Timestamp>>,
}

impl Heard {
    fn hear(&self, line: String) {
        lock(&self.lines).push(line);
    }

    fn lines(&self, about: &str) -> Vec<String> {
        lock(&self.lines).iter().filter(|line| line.starts_with(about)).cloned().collect()
    }
}

impl Notice for Heard {
    fn writable(&self, _: Timestamp) {
        self.hear("writable".into());
    }
    fn unwritable(&self, why: &str, _: Timestamp) {
        self.hear(format!("unwritable: {why}"));
    }
    fn changed(&self, name: &'static str, state: LoopState, _: Timestamp) {
        self.hear(format!("{name} {state:?}"));
    }
    fn checked(&self, damages: &[String]) {
        self.hear(format!("checked: {}", damages.join("; ")));
    }
    fn fatal(&self, why: &str) {
        self.hear(format!("fatal: {why}"));
    }
    fn last_write(&self) -> Option<Timestamp> {
        *lock(&self.last_write)
    }
}

fn organization() -> Organization {
    Organization {
        slug: OrganizationSlug::parse("acme").unwrap(),
        name: "Acme".into(),
        home: None,
        authority: None,
        created_by: "config".into(),
        created_at: Timestamp::from_ms(0),
        members: Default::default(),
    }
}

fn connection(source: &Source) -> Connection {
    Connection::begin(Beginning {
        key: ConnectionKey::parse("acme-github").unwrap(),
        organization: organization().slug,
        kind: Kind::GithubCloud,
        host: source.host.clone(),
        url: source.url.clone(),
        account: Account { login: "acme".into(), external_id: Some(1) },
        source: source.key.clone(),
        created_by: "config".into(),
        created_at: Timestamp::from_ms(0),
    })
}

/// The body's first word decides: what cannot be read, what panics, what never ends.
fn read(_: Forge, delivery: &Delivery) -> Result<Event, Unreadable> {
    let word = std::str::from_utf8(delivery.body()).unwrap();
    let fact = match word {
        "unreadable" => return Err(Unreadable("no JSON object".into())),
        "read panics" => panic!("reader\u{7}"),
        "read spins" => spin(word),
        "ping" => Fact::Ping,
        "unwanted" => Fact::Unwanted,
        _ if word.starts_with("counted") => {
            lock(&BEGUN).push(word.to_owned());
            Fact::RepositorySeen { repository: repository() }
        }
        _ => Fact::RepositorySeen { repository: repository() },
    };
    let action = Some("cre\nated".to_owned());
    Ok(Event { name: word.to_owned(), action, about: About::default(), at: None, fact })
}

/// Words whose spinning is over; without this the test's runtime would wait for the thread.
static RELEASED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// Which word spins, once for each thread; and which word was read, once for each time.
static BEGUN: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn times(word: &str) -> usize {
    lock(&BEGUN).iter().filter(|met| *met == word).count()
}

/// Waits until so many threads have met the word. Threads run in real time, whatever the paused clock says, so a test
/// must not move the clock before they are there.
async fn met(word: &str, times: usize) {
    while self::times(word) < times {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
    // What has answered must be able to hand over its answer as well.
    for _ in 0..50 {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
}

/// Does not come back before the test is over.
fn spin(word: &str) -> Fact {
    lock(&BEGUN).push(word.to_owned());
    while !lock(&RELEASED).contains(&word) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Fact::Unwanted
}

/// Ends the spinning with the test, also with one that fails.
struct Release(&'static str);

impl Drop for Release {
    fn drop(&mut self) {
        lock(&RELEASED).push(self.0);
    }
}

fn repository() -> Repository {
    Repository { id: 1, full_path: "a/b".into(), default_branch: None, visibility: None, archived: None }
}

fn lane(event: &Event) -> Lane {
    Lane { key: format!("lane of {}", event.name), blocks: false }
}

fn route(source: &Source, event: &Event, _: &Candidates, _: Timestamp) -> Routing {
    match event.name.as_str() {
        "unbound" => Routing::End(Changes::none(Verdict::Unbound)),
        _ => Routing::To(Box::new(connection(source))),
    }
}

fn handle(event: &Event, known: &Known) -> Changes {
    match event.name.as_str() {
        "handle panics" => panic!("{}\u{1b}[2J", "x".repeat(5_000)),
        "handle spins" => drop(spin("handle spins")),
        _ => {}
    }
    // Shows in the answer that the worker says when the delivery came.
    Changes::none(Verdict::Superseded(known.received_at.ms().to_string()))
}

/// A floor to work on: the store, what was told, and a clock that stands still.
pub(super) struct Floor {
    store: Arc<Fake>,
    heard: Arc<Heard>,
}

impl Floor {
    fn new() -> Self {
        Self { store: Arc::default(), heard: Arc::default() }
    }

    fn parts(&self) -> Parts {
        let clock: Clock = Arc::new(|| Timestamp::from_ms(1_000));
        let chance: Chance = Arc::new(|| 0);
        let keep = Retention { payload_ms: 1, metadata_ms: 1 };
        let rules = Rules { read, lane, route, handle };
        Parts { rules, ..Parts::new(self.store.clone(), clock, keep, self.heard.clone(), chance) }
    }

    fn context(&self) -> Arc<Context> {
        Arc::new(Context::new(self.parts(), CancellationToken::new()))
    }

    fn settled(&self) -> Vec<Outcome> {
        self.store.with(|script| script.settled.iter().map(|(_, outcome)| outcome.clone()).collect())
    }
}
