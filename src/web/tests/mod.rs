//! Tests of the edge, against a store in memory and doors that a test can open.

mod api;
mod describe;
mod fake;
mod fake_keep;
mod fake_roster;
mod gates;
mod hook;
mod member;
mod pin;
mod sample;
mod setup;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::Digest;

use self::fake::Fake;
use super::{Budget, Doors, Doorway, Front, Health, Limits, Peers, RefusedLog, Throttle};
use crate::ci::CheckIns;
use crate::ci::id_token::{FetchKeys, Issuer, Recorded, Verifier};
use crate::ci::scan::{Scans, Spool};
use crate::connect::{Connections, Forges, Ways};
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::ci::Policy;
use crate::domain::delivery::{Authenticate, Encoding, Envelope, RawDelivery, Rejected};
use crate::domain::organization::{Connection, Forge};
use crate::domain::{OrganizationSlug, SourceKey, Timestamp};
use crate::follow::{Desk, Directories, Follower, NoDirectory};
use crate::linking::{AppAccess, Linking, NewApp, Vault};
use crate::provider::{Directory, Events, SentLog};

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

/// Opens for `x-test-proof: good`; says with `x-test-verdict` what else it finds.
#[derive(Debug)]
struct TestDoor;

impl Authenticate for TestDoor {
    fn authenticate(&self, raw: &RawDelivery, _now: Timestamp) -> Result<Envelope, Rejected> {
        if !raw.has_header("x-test-proof") {
            return Err(Rejected::ProofMissing);
        }
        if raw.header("x-test-proof") != Some("good") {
            return Err(Rejected::ProofWrong);
        }
        match raw.header("x-test-verdict") {
            Some("stale") => return Err(Rejected::Stale),
            Some("malformed") => return Err(Rejected::Malformed("no event")),
            Some("media") => return Err(Rejected::MediaType),
            _ => {}
        }
        Ok(Envelope {
            external_id: raw.header("x-test-id").unwrap_or("1").to_owned(),
            hook_id: String::new(),
            event: raw.header("x-github-event").unwrap_or("push").to_owned(),
            encoding: Encoding::Json,
            secret_slot: 0,
            same_within_ms: None,
        })
    }
}

fn hash(text: &str) -> [u8; 32] {
    sha2::Sha256::digest(text.as_bytes()).into()
}

fn kind_of(text: &str) -> Option<TokenKind> {
    [TokenKind::Ci, TokenKind::Read, TokenKind::Admin]
        .into_iter()
        .find(|kind| text.starts_with(kind.as_str()))
}

/// No issuer's keys are there.
struct NoKeys;

#[async_trait::async_trait]
impl FetchKeys for NoKeys {
    async fn fetch(&self, _: &Issuer) -> Result<bytes::Bytes, String> {
        Err("there are none".to_owned())
    }
}

fn check_ins(store: Arc<dyn crate::store::Store>, clock: &crate::domain::Clock) -> Arc<CheckIns> {
    let url = url::Url::parse("https://scm.example.com/").unwrap();
    let verifier =
        Verifier::new(&url, Issuer::public(), Arc::new(Recorded(Arc::clone(&store))), Arc::new(NoKeys));
    let policy = Policy { auto_connect: true, ..Policy::default() };
    let mint = Arc::new(|| Some(("ci-minted".to_owned(), hash("ci-minted"))));
    Arc::new(CheckIns::new(store, verifier, policy, mint, Arc::clone(clock)))
}

fn scans(
    store: Arc<dyn crate::store::Store>,
    check_ins: &Arc<CheckIns>,
    clock: &crate::domain::Clock,
) -> Arc<Scans> {
    let spool = Spool::new(std::env::temp_dir()).unwrap();
    Arc::new(Scans::new(store, Arc::clone(check_ins), HashMap::new(), spool, Arc::clone(clock)))
}

/// No App is known.
struct NoApps;

#[async_trait::async_trait]
impl Vault for NoApps {
    async fn seal(
        &self,
        _: &NewApp<'_>,
        _: Timestamp,
    ) -> Result<Vec<crate::domain::change::Change>, crate::store::StoreError> {
        Ok(Vec::new())
    }

    async fn app(&self, _: &SourceKey) -> Result<Option<AppAccess>, crate::store::StoreError> {
        Ok(None)
    }

    fn opened(&self, _: &SourceKey, _: &secrecy::SecretString) {}
}

fn linking(
    store: Arc<dyn crate::store::Store>,
    forges: Arc<Forges>,
    clock: &crate::domain::Clock,
) -> Arc<Linking> {
    Arc::new(Linking {
        store,
        forges,
        vault: Arc::new(NoApps),
        mint: Arc::new(|bearer| crate::seal::token::Token::generate(bearer).ok()),
        clock: Arc::clone(clock),
        public_url: url::Url::parse("https://scm.example.com/").unwrap(),
    })
}

fn connections(store: Arc<dyn crate::store::Store>, clock: &crate::domain::Clock) -> Connections {
    let ways = Ways::undeclared(Arc::clone(clock));
    let forges = Arc::new(Forges::new(Arc::clone(&store), ways));
    let (chance, random) = (Arc::new(|| 0), Arc::new(|_: &mut [u8]| true));
    let url = url::Url::parse("https://scm.example.com/").unwrap();
    Connections::new(forges, store, Arc::clone(clock), chance, random, url)
}

/// Nobody's members can be read here.
struct NoDirectories;

#[async_trait::async_trait]
impl Directories for NoDirectories {
    async fn directory(&self, _: &Connection) -> Result<Box<dyn Directory>, NoDirectory> {
        Err(NoDirectory::Quiet("nothing is asked in a test of the edge".to_owned()))
    }

    async fn logs(&self, _: &Connection) -> Result<Vec<Box<dyn SentLog>>, NoDirectory> {
        Err(NoDirectory::Quiet("nothing is asked in a test of the edge".to_owned()))
    }

    async fn events(&self, _: &Connection) -> Result<Option<Box<dyn Events>>, NoDirectory> {
        Ok(None)
    }
}

/// A front for tests; the token `admin-acme` is an admin token of acme, and so on.
fn front_with(store: Arc<Fake>, limits: Limits) -> Front {
    let clock: crate::domain::Clock = Arc::new(|| NOW);
    let count = AtomicU64::new(1);
    let door = |forge| Doorway { forge, door: Arc::new(TestDoor), meter: Arc::default() };
    let doors = [("acme-github", Forge::Github), ("acme-gitlab", Forge::Gitlab)];
    let doors: HashMap<_, _> =
        doors.into_iter().map(|(key, forge)| (SourceKey::parse(key).unwrap(), door(forge))).collect();
    let check_ins = check_ins(Arc::clone(&store) as Arc<dyn crate::store::Store>, &clock);
    let scans = scans(Arc::clone(&store) as Arc<dyn crate::store::Store>, &check_ins, &clock);
    let connections = Arc::new(connections(Arc::clone(&store) as Arc<dyn crate::store::Store>, &clock));
    let follower = Follower::new(Arc::clone(&store) as Arc<dyn crate::store::Store>, Arc::clone(&clock));
    let members = Arc::new(Desk::new(follower, Arc::new(NoDirectories)));
    Front {
        linking: linking(
            Arc::clone(&store) as Arc<dyn crate::store::Store>,
            Arc::clone(connections.forges()),
            &clock,
        ),
        store,
        connections,
        doors: Arc::new(Doors::new(doors)),
        health: Arc::new(Health::new(Arc::clone(&clock))),
        clock,
        random: Arc::new(move |bytes| {
            let n = count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            bytes.iter_mut().zip(n.iter().cycle()).for_each(|(to, from)| *to = *from);
        }),
        limits,
        public_url: url::Url::parse("https://scm.example.com/").unwrap(),
        refused: RefusedLog::default(),
        metrics: Arc::new(|| "# metrics\n".to_owned()),
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        config_hash: std::sync::Mutex::new("c0ffee".to_owned()),
        started_at: NOW,
        token_check: Arc::new(|text| kind_of(text).map(|kind| (kind, hash(text)))),
        token_mint: Arc::new(|kind| {
            let text = format!("{}-minted", kind.as_str());
            let hashed = hash(&text);
            Some((text, hashed))
        }),
        scans,
        check_ins,
        members,
        budget: Budget::new(limits.inflight_bytes_max),
        peers: Peers::default(),
        throttle: Throttle::new(limits.failures_burst, limits.failures_per_minute),
    }
}

fn front() -> (Arc<Front>, Arc<Fake>) {
    front_limited(roomy())
}

fn front_limited(limits: Limits) -> (Arc<Front>, Arc<Fake>) {
    let store = Arc::new(Fake::with_two_tenants());
    (Arc::new(front_with(Arc::clone(&store), limits)), store)
}

/// Small bodies, and failures without end.
fn roomy() -> Limits {
    Limits {
        body_bytes_max: 100_000,
        inflight_bytes_max: 400_000,
        request_deadline: Duration::from_secs(5),
        failures_burst: 1_000_000,
        ..Limits::default()
    }
}

fn token(text: &str, organization: &str) -> TokenRecord {
    TokenRecord {
        id: format!("id-{text}"),
        hash: hex::encode(hash(text)),
        kind: kind_of(text).unwrap(),
        organization: OrganizationSlug::parse(organization).unwrap(),
        name: None,
        created_at: NOW,
        expires_at: NOW.plus_ms(if text.ends_with("expired") { 0 } else { 1000 }),
        revoked_at: text.ends_with("revoked").then_some(NOW),
        scope: None,
        member: None,
    }
}
