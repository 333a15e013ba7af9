//! What CI jobs need.

use super::access::token;
use super::bench::{Bench, NOON};
use super::records::{connection, host, organization, page, project, slug};
use crate::domain::access::{ProjectScope, TokenRecord};
use crate::domain::change::Change;
use crate::domain::ci::{CheckIn, JobLookup, holders_version};
use crate::domain::known::RecordKey;
use crate::domain::organization::{Account, Connection, Kind};
use crate::domain::project::{Project, Proof, claim_number};
use crate::domain::{ConnectionKey, OrganizationSlug};
use crate::store::{ProjectFilter, Retention};

fn of(organization: &str) -> OrganizationSlug {
    OrganizationSlug::parse(organization).unwrap()
}

fn key(key: &str) -> ConnectionKey {
    ConnectionKey::parse(key).unwrap()
}

/// A connection of this organization to the account `acme`.
fn held(name: &str, organization: &str, number: Option<u64>) -> Connection {
    let account = Account { login: "Acme".into(), external_id: number };
    Connection { organization: of(organization), account, installation: None, ..connection(name, 0) }
}

fn put(connection: &Connection) -> Change {
    Change::PutConnection(Box::new(connection.clone()))
}

fn lookup(organization: Option<&str>) -> JobLookup {
    JobLookup {
        organization: organization.map(of),
        host: host(),
        login: "acme".into(),
        full_path: "acme/web".into(),
        namespace: Some(72),
        project: Some(20),
        check_in: "c1".into(),
        keys: vec![key("acme-github"), key("free")],
    }
}

pub(super) fn check_in(id: &str) -> CheckIn {
    CheckIn {
        id: id.into(),
        organization: slug(),
        connection: key("acme-github"),
        kind: Kind::GithubCloud,
        host: host(),
        project: "p".into(),
        full_path: "acme/web".into(),
        proof: Proof::Proven,
        job: Some("302".into()),
        event: None,
        git_ref: None,
        sha: None,
        subject: None,
        made_connection: true,
        made_project: true,
        token: None,
        at: NOON,
    }
}

pub(in crate::store) async fn what_a_job_is_about_is_found_by_every_number(bench: &Bench) {
    let store = bench.store().await;
    let web = Project { namespace: Some(72), ..project(20, "acme/web") };
    let changes = vec![
        Change::PutOrganization(organization("acme")),
        put(&held("acme-github", "acme", Some(9))),
        Change::PutProject(Box::new(web.clone())),
        Change::PutProject(Box::new(Project { removed: true, ..project(21, "acme/gone") })),
        Change::PutCheckIn(Box::new(check_in("c1"))),
    ];
    assert!(store.apply(changes, Vec::new()).await.unwrap());
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    let known = store.known_to_job(&lookup(Some("acme"))).await.unwrap();
    assert_eq!(known.organization.map(|found| found.value.slug), Some(of("acme")));
    assert_eq!(known.own.len(), 1);
    assert_eq!(known.by_login.len(), 1);
    assert_eq!(known.by_account, None);
    assert_eq!(known.by_number.len(), 1);
    assert_eq!(known.project.map(|found| found.value), Some(web.clone()));
    assert_eq!(known.at_path, None, "it is found by its number");
    let claim = JobLookup { project: None, namespace: None, ..lookup(Some("acme")) };
    let claimed = store.known_to_job(&claim).await.unwrap();
    assert_eq!(claimed.at_path.map(|found| found.value), Some(web));
    assert_eq!((claimed.project, claimed.own.len()), (None, 1));
    assert_eq!(known.before.map(|found| found.value), Some(check_in("c1")));
    assert_eq!(known.taken, [key("acme-github")]);
    // Without the word of a CI token, the numbers say whose it is.
    let alone = store.known_to_job(&lookup(None)).await.unwrap();
    assert_eq!(alone.organization.map(|found| found.value.slug), Some(of("acme")));
    let by_account = JobLookup { project: Some(1), namespace: Some(9), ..lookup(None) };
    let known = store.known_to_job(&by_account).await.unwrap();
    assert_eq!(known.by_account.map(|found| found.key), Some(key("acme-github")));
    let gone =
        JobLookup { project: Some(21), namespace: Some(1), full_path: "acme/gone".into(), ..lookup(None) };
    let known = store.known_to_job(&gone).await.unwrap();
    assert!(known.organization.is_none() && known.by_number.is_empty());
    // Of another organization, nothing but who holds what.
    let other = store.known_to_job(&lookup(Some("other"))).await.unwrap();
    assert!(other.own.is_empty() && other.project.is_none() && other.at_path.is_none());
    assert_eq!((other.by_login.len(), other.by_number.len()), (1, 1));
}

pub(in crate::store) async fn a_claim_and_a_rejected_connection_keep_nobody_out(bench: &Bench) {
    let store = bench.store().await;
    let claim = Connection { proof: Proof::Claimed, ..held("claim", "acme", Some(72)) };
    let rejected = Connection { rejected_at: Some(NOON), ..held("rejected", "acme", Some(72)) };
    store.apply(vec![put(&claim), put(&rejected)], Vec::new()).await.unwrap();
    let known = store.known_to_job(&lookup(Some("acme"))).await.unwrap();
    assert!(known.by_account.is_none() && known.by_login.is_empty());
    assert_eq!(known.own.len(), 2);
    let proven = Connection { proof: Proof::Proven, ..claim };
    store.apply(vec![put(&proven)], Vec::new()).await.unwrap();
    let known = store.known_to_job(&lookup(Some("acme"))).await.unwrap();
    assert_eq!(known.by_account.map(|found| found.key), Some(key("claim")));
    assert_eq!(known.by_login.len(), 1);
}

pub(in crate::store) async fn an_account_that_was_taken_meanwhile_stops_what_stands_on_it(bench: &Bench) {
    let store = bench.store().await;
    let holders = |keys: &[&str]| {
        let keys: Vec<ConnectionKey> = keys.iter().map(|name| key(name)).collect();
        let version = holders_version(&keys);
        vec![(RecordKey::Account(host(), 72), version), (RecordKey::Login(host(), "acme".into()), version)]
    };
    let apply = async |name: &str, expects| {
        store.apply(vec![put(&held(name, "acme", Some(72)))], expects).await.unwrap()
    };
    assert!(apply("first", holders(&[])).await, "nobody had it");
    assert!(!apply("second", holders(&[])).await, "somebody has it");
    assert_eq!(store.connection(&key("second")).await.unwrap(), None);
    assert!(apply("first", holders(&["first"])).await, "it is still the same");
}

pub(in crate::store) async fn a_claimed_project_gives_way_to_its_proven_self(bench: &Bench) {
    let store = bench.store().await;
    let number = claim_number("acme/web");
    let claimed = Project { proof: Proof::Claimed, ..project(number, "acme/web") };
    store.apply(vec![Change::PutProject(Box::new(claimed.clone()))], Vec::new()).await.unwrap();
    let known = store.known_to_job(&lookup(Some("acme"))).await.unwrap();
    assert_eq!(known.claimed.map(|found| found.value), Some(claimed.clone()));
    let proven = Project { claimed_as: Some(number), ..project(20, "acme/web") };
    let changes =
        vec![Change::DropProject(slug(), host(), number), Change::PutProject(Box::new(proven.clone()))];
    store.apply(changes, Vec::new()).await.unwrap();
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    assert_eq!(proven.id(), claimed.id());
    assert_eq!(store.project(&claimed.id()).await.unwrap(), Some(proven.clone()));
    let filter = ProjectFilter { organization: Some(slug()), ..ProjectFilter::default() };
    assert_eq!(store.projects(&filter, &page()).await.unwrap().items, [proven]);
}

pub(in crate::store) async fn check_ins_and_jobs_tokens_end_with_their_time(bench: &Bench) {
    let store = bench.store().await;
    let scope = ProjectScope {
        connection: key("acme-github"),
        host: host(),
        number: 20,
        project: "p".into(),
        sha: None,
        change: None,
    };
    let short = TokenRecord { scope: Some(scope), ..token("short", 1) };
    let changes = vec![
        Change::PutCheckIn(Box::new(check_in("c1"))),
        Change::PutToken(Box::new(short.clone())),
        Change::PutToken(Box::new(token("long", 2))),
    ];
    store.apply(changes, Vec::new()).await.unwrap();
    let keep = Retention { payload_ms: 1000, metadata_ms: 90 * 24 * 3_600_000 };
    store.purge(keep, NOON.plus_ms(6 * 3_600_000)).await.unwrap();
    assert_eq!(store.token_by_hash(&[1; 32]).await.unwrap(), Some(short), "its job may still be at work");
    store.purge(keep, NOON.plus_ms(9 * 3_600_000)).await.unwrap();
    assert_eq!(store.token_by_hash(&[1; 32]).await.unwrap(), None);
    assert!(store.token_by_hash(&[2; 32]).await.unwrap().is_some(), "made by a person");
    assert!(store.known_to_job(&lookup(Some("acme"))).await.unwrap().before.is_some());
    store.purge(keep, NOON.plus_ms(91 * 24 * 3_600_000)).await.unwrap();
    assert!(store.known_to_job(&lookup(Some("acme"))).await.unwrap().before.is_none());
}
