//! Forges that organizations have connected themselves: found at once, read sparingly, believed where they belong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::vector::KEY_SET;
use super::{NOW, Rejected, Served, gitlab, issuers, mint, seconds, with};
use crate::ci::id_token::{FetchKeys, Issuer, ListIssuers, Unproven, Verifier};
use crate::domain::OrganizationSlug;
use crate::domain::ci::{Counts, Facts};
use crate::domain::organization::Forge;
use crate::store::StoreError;

const OWN: &str = "https://git.acme.example/gitlab";

fn slug(name: &str) -> OrganizationSlug {
    OrganizationSlug::parse(name).unwrap()
}

/// Says which forges there are, and counts how often it was asked.
#[derive(Default)]
struct Listed {
    forges: std::sync::Mutex<Vec<(&'static str, &'static str)>>,
    is_away: std::sync::atomic::AtomicBool,
    asked: AtomicUsize,
}

impl Listed {
    /// An organization connects a forge.
    fn connects(&self, organization: &'static str, url: &'static str) {
        self.forges.lock().unwrap().push((organization, url));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl ListIssuers for Listed {
    async fn list(&self) -> Result<Vec<Issuer>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let forges = self.forges.lock().unwrap().clone();
        tokio::task::yield_now().await;
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("it is away".into()));
        }
        let issuer = |(organization, url): (&str, &str)| {
            let issuer = Issuer::of_forge(Forge::Gitlab, &url.parse().unwrap()).unwrap();
            Issuer { counts: Counts::In(vec![slug(organization)]), ..issuer }
        };
        Ok(forges.into_iter().map(issuer).collect())
    }
}

/// What a verifier is asked with.
struct Desk {
    listed: Arc<Listed>,
    served: Arc<Served>,
    verifier: Verifier,
}

impl Desk {
    fn open() -> Self {
        let (listed, served) = (Arc::new(Listed::default()), Served::with(KEY_SET));
        let url = "https://scm-connect.example.com/".parse().unwrap();
        let fetch = Arc::clone(&served) as Arc<dyn FetchKeys>;
        let verifier = Verifier::new(&url, issuers(), Arc::clone(&listed) as Arc<dyn ListIssuers>, fetch);
        Self { listed, served, verifier }
    }

    /// A token of this issuer, with the CI token of an organization or without one.
    async fn asks(&self, issuer: &str, caller: Option<&str>) -> Result<Facts, Unproven> {
        let token = mint(&with(gitlab(), json!({"iss": issuer})));
        let caller = caller.map(slug);
        let proven = self.verifier.check(&token, caller.as_ref(), seconds(NOW)).await;
        proven.map(|proven| proven.facts().clone())
    }
}

fn is_unknown(found: &Result<Facts, Unproven>) -> bool {
    matches!(found, Err(Unproven::Rejected(Rejected::Issuer)))
}

#[tokio::test(start_paused = true)]
async fn s41_a_flood_of_made_up_issuers_reads_the_store_once_a_second_and_dials_nobody() {
    let desk = Desk::open();
    let began = tokio::time::Instant::now();
    for second in 0..10 {
        let made_up: Vec<String> = (0..500).map(|n| format!("https://{second}-{n}.example")).collect();
        let all = made_up.iter().map(|issuer| desk.asks(issuer, None));
        let answers = futures_util::future::join_all(all).await;
        assert!(answers.iter().all(is_unknown), "{:?}", answers.iter().find(|it| !is_unknown(it)));
    }
    let passed = usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(desk.listed.asked() <= passed + 1, "{} readings in {passed} s", desk.listed.asked());
    assert_eq!(desk.served.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_forge_counts_from_the_moment_it_is_connected() {
    let desk = Desk::open();
    // It was asked for a moment ago, and nobody had it.
    assert!(is_unknown(&desk.asks(OWN, Some("acme")).await));
    desk.listed.connects("acme", OWN);
    let facts = desk.asks(OWN, Some("acme")).await.unwrap();
    assert_eq!((facts.job.host.as_str(), facts.issuer.as_str()), ("git.acme.example/gitlab", OWN));
    assert_eq!(facts.counts, Counts::In(vec![slug("acme")]));
    // As long as it is known, jobs do not wait.
    let began = tokio::time::Instant::now();
    desk.asks(OWN, None).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    // It is ended: a second later it is nobody's.
    desk.listed.forges.lock().unwrap().clear();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(is_unknown(&desk.asks(OWN, Some("acme")).await));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_first_jobs_at_once_are_all_answered_by_one_reading() {
    let desk = Desk::open();
    desk.listed.connects("acme", OWN);
    let answers = futures_util::future::join_all((0..1000).map(|_| desk.asks(OWN, Some("acme")))).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|it| it.is_err()));
    assert_eq!(desk.listed.asked(), 1);
    assert_eq!(desk.served.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn s41_a_forge_proves_nothing_to_an_organization_that_has_not_connected_it() {
    let desk = Desk::open();
    desk.listed.connects("evil", OWN);
    desk.asks(OWN, Some("evil")).await.unwrap();
    assert!(is_unknown(&desk.asks(OWN, Some("acme")).await));
    // Without a CI token its word goes no further than to where it is connected.
    assert!(!desk.asks(OWN, None).await.unwrap().counts.includes(&slug("acme")));
    // Nor is it ever asked about a forge of the operator's.
    desk.listed.connects("evil", "https://gitlab.com");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(desk.asks("https://gitlab.com", Some("acme")).await.unwrap().counts, Counts::Everywhere);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_no_refusal() {
    let desk = Desk::open();
    desk.listed.is_away.store(true, Ordering::SeqCst);
    let answers = futures_util::future::join_all((0..50).map(|_| desk.asks(OWN, None))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Unproven::Store(_)))), "{answers:?}");
    assert!(desk.listed.asked() <= 2, "{} readings", desk.listed.asked());
    // What the operator believes needs no store.
    desk.asks("https://gitlab.com", None).await.unwrap();
}
