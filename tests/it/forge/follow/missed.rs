//! R24: what forges sent while nobody took it is found in their logs, comes once more through the door, and is named.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use scm_connect::domain::SourceKey;
use scm_connect::domain::change::Change;
use scm_connect::domain::delivery::{Delivery, Lane, RawDelivery};
use scm_connect::domain::health::Channel;
use scm_connect::domain::missed::Gap;
use scm_connect::domain::organization::{ConnectionState, Forge};
use scm_connect::domain::task::TaskKind;
use scm_connect::follow::{CaughtUp, Follower, Mode, Reach, SyncError, gaps, light};
use scm_connect::handler::{Found, Look, judge};
use scm_connect::provider::github::client::HookPlace;
use scm_connect::provider::gitlab::client::HookPlace as Place;
use scm_connect::provider::{Door, LiveSecret, Secrets, SentLog, github, gitlab};
use scm_connect::store::{DeliveryFilter, Indexed, Page, TaskFilter};

use super::super::github::Github;
use super::super::gitlab::Gitlab;
use super::super::story::{self, pass};
use super::super::{Fault, Planted};
use super::{Desk, at_github, at_gitlab, key};

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 3600;
const SECRET: &str = "canary-webhook-secret";

/// An organization whose App is told of events, and who takes them.
struct Office {
    forge: Arc<Github>,
    app: u64,
    desk: Desk,
    logs: Vec<Box<dyn SentLog>>,
    sent: BTreeSet<String>,
}

fn source() -> SourceKey {
    SourceKey::parse(key().as_str()).unwrap()
}

impl Office {
    async fn new() -> Self {
        let forge = Github::cloud();
        let desk = at_github(&forge).await.0;
        let app = forge.app("ours");
        let session = story::app(&story::patient_client(&forge), app).session().clone();
        let log = github::HookLog::new(session, HookPlace::App, 0, false);
        light(desk.store.as_ref(), desk.now()).await.unwrap();
        Self { forge, app, desk, logs: vec![Box::new(log)], sent: BTreeSet::new() }
    }

    /// Something happens at the forge, and its delivery arrives or does not.
    async fn happens(&mut self, arrives: bool) {
        let guid = format!("guid-{:04}", self.sent.len());
        self.forge.delivers(self.app, &guid, arrives);
        if arrives {
            takes(&self.desk, &guid).await;
        }
        self.sent.insert(guid);
    }

    async fn looks(&self, mode: Mode) -> Result<CaughtUp, SyncError> {
        let connection = self.desk.connection().await;
        self.desk.follower.catch_up(&self.logs, &connection, mode).await
    }

    /// Looks once, and what was asked for arrives.
    async fn catches_up(&self) -> CaughtUp {
        light(self.desk.store.as_ref(), self.desk.now()).await.unwrap();
        let caught = self.looks(Mode::Apply).await.unwrap();
        for guid in self.forge.sends_again() {
            takes(&self.desk, &guid).await;
        }
        caught
    }

    /// Minutes pass, and somebody listens.
    async fn listens(&self, minutes: u64) {
        for _ in 0..minutes {
            pass(&self.forge.book, MINUTE_S).await;
            light(self.desk.store.as_ref(), self.desk.now()).await.unwrap();
        }
    }

    async fn held(&self) -> BTreeSet<String> {
        let page = Page { limit: 200, cursor: None };
        let all = self.desk.store.deliveries(&DeliveryFilter::default(), &page).await.unwrap();
        all.items.into_iter().map(|it| it.external_id).collect()
    }

    async fn gaps(&self) -> Vec<Gap> {
        gaps(self.desk.store.as_ref(), &source()).await.unwrap()
    }

    /// The kinds of what was wished for.
    async fn wished(&self) -> BTreeSet<&'static str> {
        let page = Page { limit: 50, cursor: None };
        let all = self.desk.store.tasks(&TaskFilter::default(), &page).await.unwrap().items;
        all.iter().map(|task| task.kind.as_str()).collect()
    }
}

/// A signed delivery comes through the front door, and its index is written.
async fn takes(desk: &Desk, guid: &str) {
    let body = Bytes::from(format!("{{\"zen\": \"{guid}\"}}"));
    let secret = secrecy::SecretString::from(SECRET);
    let header = |name: &str, value: &str| (name.to_owned(), Bytes::from(value.to_owned()));
    let headers = vec![
        header("x-github-delivery", guid),
        header("x-github-event", "push"),
        header("x-github-hook-id", "1"),
        header("content-type", "application/json"),
        header("x-hub-signature-256", &github::hook::sign(&secret, &body)),
    ];
    let secrets = Secrets { webhook: vec![LiveSecret { secret, not_after: None }], signing: Vec::new() };
    let door = Door::new(Forge::Github, source(), secrets).unwrap();
    let raw = RawDelivery { source: source(), headers, body };
    let delivery = Delivery::authenticate(raw, &door, desk.now()).unwrap();
    desk.store.accept(delivery, desk.now()).await.unwrap();
    indexes(desk).await;
}

async fn indexes(desk: &Desk) {
    let rows = desk.store.unindexed(100).await.unwrap().into_iter().map(|it| Indexed {
        id: it.id,
        event: "push".into(),
        action: None,
        provider: "github".into(),
        lane: Lane { key: it.id.to_string(), blocks: false },
        ended: None,
    });
    desk.store.index(rows.collect(), desk.now()).await.unwrap();
}

/// Events every quarter of an hour, of which a tenth is dropped; for `outage_s` nobody listens.
async fn lives_through(office: &mut Office, outage_s: u64, every_s: u64) {
    for number in 0..10 {
        pass(&office.forge.book, 15 * MINUTE_S).await;
        light(office.desk.store.as_ref(), office.desk.now()).await.unwrap();
        office.happens(number != 4).await;
        // In between, the lamp is lit as the daemon does.
        for _ in 0..15 {
            pass(&office.forge.book, 50).await;
            light(office.desk.store.as_ref(), office.desk.now()).await.unwrap();
        }
    }
    let mut dark_s = 0;
    while dark_s < outage_s {
        pass(&office.forge.book, every_s).await;
        dark_s += every_s;
        office.happens(false).await;
    }
}

#[tokio::test]
async fn r24_what_was_missed_in_two_hours_is_here_within_ten_minutes_of_the_return() {
    let mut office = Office::new().await;
    office.catches_up().await;
    lives_through(&mut office, 2 * HOUR_S, 20 * MINUTE_S).await;
    let shown = office.looks(Mode::DryRun).await.unwrap();
    assert_eq!((shown.missing, office.gaps().await.len()), (7, 0), "a look changes nothing");
    let began = office.desk.now();
    light(office.desk.store.as_ref(), began).await.unwrap();
    let first = office.looks(Mode::Apply).await.unwrap();
    assert_eq!((first.asked, first.missing), (7, 7), "the dropped one, and six of the outage");
    pass(&office.forge.book, 30).await;
    let second = office.looks(Mode::Apply).await.unwrap();
    assert_eq!((second.asked, second.missing), (0, 7), "what was asked for is on its way");
    while office.gaps().await.last().is_none_or(|gap| gap.closed_at.is_none()) {
        pass(&office.forge.book, MINUTE_S).await;
        office.catches_up().await;
        assert!(office.desk.now().since(began) <= 10 * 60 * 1000, "{:?}", office.gaps().await);
    }
    assert_eq!(office.held().await, office.sent);
    let gaps = office.gaps().await;
    let said = gaps.iter().map(|gap| gap.sentence("GitHub")).collect::<Vec<_>>();
    assert!(said[0].starts_with("not listening 2026-06-01 "), "{said:?}");
    assert!(said[0].ends_with("; GitHub 7 missed, 7 recovered"), "{said:?}");
    assert_eq!(said.len(), 1);
    assert_eq!(office.forge.violations(), [""; 0], "nothing was asked for twice");
}

#[tokio::test]
async fn r24_of_four_days_the_forges_window_comes_back_and_the_state_is_read_for_the_rest() {
    let mut office = Office::new().await;
    office.catches_up().await;
    lives_through(&mut office, 96 * HOUR_S, 8 * HOUR_S).await;
    let began = office.desk.now();
    for _ in 0..9 {
        office.catches_up().await;
        pass(&office.forge.book, MINUTE_S).await;
    }
    assert!(office.desk.now().since(began) <= 10 * 60 * 1000);
    let lost: Vec<String> = office.sent.difference(&office.held().await).cloned().collect();
    // One was dropped before, and three of the twelve are older than what GitHub keeps.
    assert_eq!(lost, ["guid-0004", "guid-0010", "guid-0011", "guid-0012"]);
    let gap = office.gaps().await.pop().unwrap();
    assert_eq!((gap.missed, gap.recovered, gap.lost), (9, 9, 0));
    assert!(gap.closed_at.is_some());
    let wished = office.wished().await;
    let kinds = [TaskKind::SyncConnection.as_str(), TaskKind::SyncMembers.as_str()];
    assert!(kinds.iter().all(|kind| wished.contains(kind)), "{wished:?}");
    assert_eq!(office.forge.violations(), [""; 0]);
}

#[tokio::test]
async fn r24_a_look_that_is_cut_off_misses_nothing_and_counts_nothing_twice() {
    let mut office = Office::new().await;
    office.happens(false).await;
    for number in 0..120 {
        office.forge.delivers(office.app, &format!("other-{number}"), true);
    }
    office.happens(false).await;
    // It is sent, and the answer says that it is not.
    office.forge.plants(Planted::at("/attempts", Fault::Status(502)));
    let cut = office.looks(Mode::Apply).await;
    assert!(cut.is_err(), "{cut:?}");
    for guid in office.forge.sends_again() {
        takes(&office.desk, &guid).await;
    }
    assert_eq!(office.gaps().await[0].closed_at, None);
    office.catches_up().await;
    pass(&office.forge.book, MINUTE_S).await;
    office.catches_up().await;
    let gap = office.gaps().await.pop().unwrap();
    assert_eq!((gap.missed, gap.recovered, gap.closed_at.is_some()), (2, 2, true));
    assert_eq!(office.held().await, office.sent);
    assert_eq!(office.forge.violations(), [""; 0]);
}

#[tokio::test]
async fn what_the_forge_cannot_bring_is_let_go_of_after_a_while_and_the_state_is_read() {
    let mut office = Office::new().await;
    office.happens(false).await;
    office.forge.finds_nobody(true);
    let mut rounds = 0;
    while office.gaps().await.last().is_none_or(|gap| gap.closed_at.is_none()) {
        office.catches_up().await;
        office.listens(5).await;
        rounds += 1;
        assert!(rounds < 9, "{:?}", office.gaps().await);
    }
    let gap = office.gaps().await.pop().unwrap();
    assert_eq!((gap.missed, gap.recovered, gap.lost), (1, 0, 1));
    assert!(gap.sentence("GitHub").ends_with("1 missed, 0 recovered, 1 lost; the state was read"));
    assert!(office.wished().await.contains(TaskKind::SyncConnection.as_str()));
    office.listens(5).await;
    office.catches_up().await;
    assert_eq!(office.gaps().await.len(), 1, "what is lost opens no second gap");
    assert_eq!(office.forge.violations(), [""; 0]);
}

#[tokio::test]
async fn r25_a_secret_that_differs_is_told_at_once_and_nothing_is_lost_by_it() {
    let mut office = Office::new().await;
    office.happens(true).await;
    office.catches_up().await;
    office.forge.is_refused(true);
    for _ in 0..3 {
        office.listens(1).await;
        office.happens(false).await;
    }
    // An hour goes by, and nobody has looked.
    for _ in 0..12 {
        let caught = office.catches_up().await;
        assert!(caught.asked <= 1, "one is enough to see that all are refused");
        office.listens(5).await;
    }
    let shown = office.desk.connection().await;
    assert_eq!(shown.state(), ConnectionState::WebhookDisabled);
    assert!(shown.health.last_error.as_ref().unwrap().contains("another secret"));
    // A check that finds everything well at the forge knows nothing of our door.
    let account = shown.account.clone();
    let (capabilities, hooks) = (Vec::new(), Some((Channel::OrganizationHook, Vec::new())));
    let found = Found { account, capabilities, expires_at: None, permissions: None, selection: None, hooks };
    let checked = judge(&office.desk.connection().await, &Look::Found(Box::new(found)), office.desk.now());
    assert_eq!(checked.state(), ConnectionState::WebhookDisabled);
    assert!(checked.health.last_error.as_ref().unwrap().contains("another secret"));
    let silent = judge(&checked, &Look::Silent("it is away".into()), office.desk.now());
    let put = vec![Change::PutConnection(Box::new(silent))];
    assert!(office.desk.store.apply(put, Vec::new()).await.unwrap());
    office.forge.is_refused(false);
    for _ in 0..4 {
        office.catches_up().await;
        office.listens(5).await;
    }
    assert_eq!(office.held().await, office.sent);
    assert_ne!(office.desk.connection().await.state(), ConnectionState::WebhookDisabled);
    let gap = office.gaps().await.pop().unwrap();
    assert_eq!((gap.missed, gap.recovered, gap.lost), (3, 3, 0));
    assert_eq!(office.forge.violations(), [""; 0]);
}

/// A hook of a project, whose log is read.
async fn with_a_hook(forge: &Arc<Gitlab>) -> (Desk, Vec<Box<dyn SentLog>>, u64) {
    let (desk, _, group) = at_gitlab(forge).await;
    let project = forge.project(group, "site");
    let token = forge.group_token(group, 50, &["api"]);
    let session = story::gitlab::patient_client(forge).token(token.as_str().into());
    let made = session.create_hook(Place::Project(project), &story::gitlab::hook()).await.unwrap();
    let log = gitlab::HookLog::new(session, Place::Project(project), made.id.get());
    (desk, vec![Box::new(log)], project)
}

#[tokio::test]
async fn r24_a_gitlabs_hook_events_are_sent_once_more_five_a_minute() {
    let forge = Gitlab::cloud();
    let (desk, logs, project) = with_a_hook(&forge).await;
    light(desk.store.as_ref(), desk.now()).await.unwrap();
    for number in 0..7 {
        forge.sent(project, &format!("key-{number}"), if number < 3 { "500" } else { "execution expired" });
    }
    forge.sent(project, "key-7", "200");
    let mut rounds = 0;
    loop {
        let connection = desk.connection().await;
        let caught = desk.follower.catch_up(&logs, &connection, Mode::Apply).await.unwrap();
        for key in forge.has_sent_again() {
            takes(&desk, &key).await;
        }
        rounds += 1;
        if caught.next_in_ms.is_none() {
            break;
        }
        assert!(rounds < 5);
        pass(&forge.book, MINUTE_S).await;
    }
    assert_eq!(rounds, 3);
    let gap = gaps(desk.store.as_ref(), &source()).await.unwrap().pop().unwrap();
    assert_eq!((gap.missed, gap.recovered), (7, 7));
    assert!(gap.sentence("GitLab").starts_with("not reached "), "{}", gap.sentence("GitLab"));
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn where_no_log_can_be_read_the_gap_is_named_all_the_same_and_the_state_is_read() {
    let mut office = Office::new().await;
    office.logs.clear();
    office.catches_up().await;
    assert_eq!(office.gaps().await, [], "nothing was dark");
    pass(&office.forge.book, HOUR_S).await;
    office.catches_up().await;
    let gap = office.gaps().await.pop().unwrap();
    assert_eq!(
        gap.sentence("GitLab"),
        "not listening 2026-06-01 00:00–01:00; GitLab: no log was looked into; its lists are read instead"
    );
    assert!(office.wished().await.contains(TaskKind::SyncConnection.as_str()));
    pass(&office.forge.book, 50).await;
    office.catches_up().await;
    assert_eq!(office.gaps().await.len(), 1);
}

#[tokio::test]
async fn a_daemon_that_no_forge_reaches_reads_what_was_sent_out_of_the_log() {
    let mut office = Office::new().await;
    let desk = &mut office.desk;
    let clock = Arc::clone(&desk.clock) as _;
    desk.follower = Follower::new(Arc::clone(&desk.store), clock).with_reach(Reach::Polling);
    for _ in 0..3 {
        office.happens(false).await;
        pass(&office.forge.book, MINUTE_S).await;
    }
    assert_eq!(office.looks(Mode::Apply).await.unwrap().asked, 3);
    indexes(&office.desk).await;
    assert_eq!(office.held().await, office.sent);
    assert_eq!(office.looks(Mode::Apply).await.unwrap().asked, 0);
    assert_eq!(office.gaps().await, [], "that nothing arrives is no news");
    let page = Page { limit: 9, cursor: None };
    let all = office.desk.store.deliveries(&DeliveryFilter::default(), &page).await.unwrap().items;
    let kept = office.desk.store.delivery_body(all[0].id).await.unwrap().unwrap();
    let origin = kept.headers().iter().find(|(name, _)| name == "x-scm-connect-origin").unwrap();
    assert_eq!(&origin.1[..], b"log", "it is told from what came through the door");
    assert!(kept.headers().iter().all(|(name, _)| name != "x-hub-signature-256"));
    assert_eq!(office.forge.violations(), [""; 0]);
}
