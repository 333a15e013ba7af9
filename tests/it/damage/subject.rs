//! A closed store with something of everything in it, and every answer that it gives.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use scm_connect::domain::access::{TokenKind, TokenRecord};
use scm_connect::domain::change::{AuditEntry, Change, Changes, Verdict};
use scm_connect::domain::delivery::{
    Authenticate, Delivery, DeliveryState, Encoding, Envelope, Lane, RawDelivery, Rejected,
};
use scm_connect::domain::organization::{Forge, Member, MemberState, Organization, Source};
use scm_connect::domain::project::{Project, Proof};
use scm_connect::domain::{ConnectionKey, Host, OrganizationSlug, SourceKey, Timestamp};
use scm_connect::store::sled::{SledStore, open};
use scm_connect::store::{
    Access, AuditFilter, DeliveryFilter, Health, Inbox, Indexed, MemberFilter, OpenError, Outcome, Page,
    ProjectFilter, Records, Settled, StoreError,
};
use sha2::{Digest as _, Sha256};

use crate::harness::dice::Dice;

pub(super) const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);

/// What was asked, and what the answer was.
pub(super) type Answers = BTreeMap<String, Result<String, String>>;

struct Trusting(String);

impl Authenticate for Trusting {
    fn authenticate(&self, _: &RawDelivery, _: Timestamp) -> Result<Envelope, Rejected> {
        let (external_id, hook_id, event) = (self.0.clone(), "1".into(), "test".into());
        let encoding = Encoding::Json;
        Ok(Envelope { external_id, hook_id, event, encoding, secret_slot: 0, same_within_ms: None })
    }
}

/// Opens the store of a case.
pub(super) fn reopen(dir: &Path) -> Result<SledStore, OpenError> {
    open(&dir.join("store"), &dir.join("master.key"), NOON)
}

fn slug() -> OrganizationSlug {
    OrganizationSlug::parse("acme").unwrap()
}

fn github() -> (url::Url, Host) {
    let url = url::Url::parse("https://github.com").unwrap();
    let host = Host::of(&url).unwrap();
    (url, host)
}

/// Fills a new store in `dir` and closes it. With `bulk`, the inbox log has a closed file too.
pub(super) async fn make(dir: &Path, dice: &mut Dice, bulk: bool) {
    let store = reopen(dir).unwrap();
    store.apply(records(), Vec::new()).await.unwrap();
    store.put_token(token()).await.unwrap();
    store.put_setup_code(&[7; 32], NOON.plus_ms(1000)).await.unwrap();
    for number in 0..if bulk { 4 } else { 0 } {
        accept(&store, &format!("large-{number}"), dice.bytes(24 << 20)).await;
    }
    for number in 0..60 {
        let len = usize::try_from(200 + dice.below(6000)).unwrap();
        accept(&store, &format!("small-{number}"), dice.bytes(len)).await;
    }
    work(&store).await;
    for number in 60..80 {
        accept(&store, &format!("small-{number}"), dice.bytes(300)).await;
    }
    store.close().await.unwrap();
}

async fn accept(store: &SledStore, id: &str, body: Vec<u8>) {
    let source = SourceKey::parse("our-app").unwrap();
    let raw = RawDelivery { source, headers: Vec::new(), body: Bytes::from(body) };
    store.accept(Delivery::authenticate(raw, &Trusting(id.into()), NOON).unwrap(), NOON).await.unwrap();
}

/// Indexes all, handles half of it, gives one up, and leaves the rest queued.
async fn work(store: &SledStore) {
    loop {
        let open = store.unindexed(50).await.unwrap();
        if open.is_empty() {
            break;
        }
        let rows = open.into_iter().map(|one| Indexed {
            id: one.id,
            event: "push".into(),
            action: None,
            provider: "github".into(),
            lane: Lane { key: one.id.to_string(), blocks: false },
            ended: None,
        });
        store.index(rows.collect(), NOON).await.unwrap();
    }
    for (number, claim) in (0_u64..).zip(store.claim_deliveries(NOON, 30_000, 30).await.unwrap()) {
        let outcome = if number == 0 {
            Outcome::Park { reason: "unreadable".into(), error: "it is noise".into() }
        } else {
            let changes = vec![
                Change::PutProject(Box::new(project(number))),
                Change::PutMember(Box::new(member(number))),
                Change::Audit(audit(number)),
            ];
            Outcome::Apply(Changes { changes, organization: Some(slug()), ..Changes::none(Verdict::Done) })
        };
        assert!(matches!(store.settle_delivery(claim, outcome, NOON).await.unwrap(), Settled::Done));
    }
}

fn records() -> Vec<Change> {
    let (url, host) = github();
    vec![
        Change::PutOrganization(Organization {
            slug: slug(),
            name: "Acme".into(),
            home: None,
            authority: None,
            created_by: "config".into(),
            created_at: NOON,
            members: Default::default(),
        }),
        Change::PutSource(Source {
            key: SourceKey::parse("our-app").unwrap(),
            forge: Forge::Github,
            host,
            url,
            organizations: vec![slug()],
            created_by: "config".into(),
            removed: false,
            app: None,
        }),
    ]
}

fn token() -> TokenRecord {
    TokenRecord {
        id: "t1".into(),
        hash: hex::encode([9; 32]),
        kind: TokenKind::Read,
        organization: slug(),
        name: None,
        created_at: NOON,
        expires_at: NOON.plus_ms(1_000_000),
        revoked_at: None,
        scope: None,
        member: None,
    }
}

fn project(number: u64) -> Project {
    Project {
        organization: slug(),
        connection: ConnectionKey::parse("acme-github").unwrap(),
        provider: Forge::Github,
        host: github().1,
        external_id: number,
        namespace: None,
        claimed_as: None,
        full_path: format!("acme/site-{number}"),
        previous_paths: Vec::new(),
        default_branch: Some("main".into()),
        visibility: None,
        archived: false,
        removed: false,
        moved_away: false,
        paused: false,
        ci_state: "none".into(),
        first_seen_at: NOON,
        last_check_in_at: None,
        last_push_at: None,
        last_pipeline: None,
        seen_at: None,
        proof: Proof::Proven,
    }
}

fn member(number: u64) -> Member {
    Member {
        organization: slug(),
        host: github().1,
        external_id: number,
        login: format!("person-{number}"),
        previous_logins: Vec::new(),
        role: None,
        role_source: "forge".into(),
        state: MemberState::Pending,
        source: ConnectionKey::parse("acme-github").unwrap(),
        seen_at: None,
        last_confirmed_at: None,
        removed_at: None,
    }
}

fn audit(number: u64) -> AuditEntry {
    AuditEntry {
        at: NOON,
        organization: Some(slug()),
        actor: "webhook".into(),
        action: "test".into(),
        subject: number.to_string(),
        detail: String::new(),
        ..AuditEntry::default()
    }
}

fn note<T>(answers: &mut Answers, what: String, answer: Result<T, StoreError>, show: impl Fn(T) -> String) {
    answers.insert(what, answer.map(show).map_err(|error| error.to_string()));
}

/// Asks for everything.
pub(super) async fn ask(store: &SledStore) -> Answers {
    let mut answers = Answers::new();
    let page = Page { limit: 200, cursor: None };
    let listed = store.deliveries(&DeliveryFilter::default(), &page).await;
    let ids: Vec<_> = listed.iter().flat_map(|page| &page.items).map(|record| record.id).collect();
    note(&mut answers, "deliveries".into(), listed, |page| format!("{:?}", page.items));
    for state in DeliveryState::ALL {
        let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
        let listed = store.deliveries(&filter, &page).await;
        note(&mut answers, format!("deliveries {state:?}"), listed, |page| format!("{:?}", page.items));
    }
    for id in ids {
        note(&mut answers, format!("delivery {id}"), store.delivery(id).await, |one| format!("{one:?}"));
        note(&mut answers, format!("attempts {id}"), store.attempts(id).await, |all| format!("{all:?}"));
        note(&mut answers, format!("body {id}"), store.delivery_body(id).await, |one| {
            one.map_or("none".into(), |delivery| hex::encode(Sha256::digest(delivery.body())))
        });
    }
    // In pieces, as one answer is bounded in bytes.
    note(&mut answers, "unindexed".into(), store.unindexed(1000).await, |all| {
        let one = |one: &scm_connect::store::Unindexed| {
            format!("{} {}", one.id, hex::encode(Sha256::digest(one.delivery.body())))
        };
        all.iter().map(one).collect::<Vec<_>>().join(" ")
    });
    let source = SourceKey::parse("our-app").unwrap();
    note(&mut answers, "source".into(), store.source(&source).await, |one| format!("{one:?}"));
    note(&mut answers, "sources".into(), store.sources().await, |all| format!("{all:?}"));
    note(&mut answers, "organizations".into(), store.organizations(&page).await, |all| format!("{all:?}"));
    let filter = ProjectFilter::default();
    note(&mut answers, "projects".into(), store.projects(&filter, &page).await, |all| format!("{all:?}"));
    let filter = MemberFilter::default();
    note(&mut answers, "members".into(), store.members(&filter, &page).await, |all| format!("{all:?}"));
    note(&mut answers, "audit".into(), store.audit(&AuditFilter::default(), &page).await, |all| {
        format!("{all:?}")
    });
    note(&mut answers, "token".into(), store.token_by_hash(&[9; 32]).await, |one| format!("{one:?}"));
    note(&mut answers, "tokens".into(), store.tokens(None, None, &page).await, |all| format!("{all:?}"));
    note(&mut answers, "figures".into(), store.figures().await, |figures| {
        format!("{:?} {:?} {}", figures.by_state, figures.dead_by_reason, figures.unindexed)
    });
    answers
}
