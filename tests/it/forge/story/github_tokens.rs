//! R35, R31: tokens that end, clocks that differ, limits that are kept.

use scm_connect::provider::ProviderError;
use scm_connect::provider::github::client::HookPlace;
use scm_connect::provider::github::client::OrganizationRole::{Admin, Member};

use super::super::github::Github;
use super::super::{Fault, Planted};
use super::{app, client, client_ahead, pass};

/// An App at an organization with one owner and one member.
fn acme(forge: &Github) -> (u64, u64) {
    let id = forge.app("ours");
    forge.org("acme");
    forge.member("acme", "ada", "admin");
    forge.member("acme", "bob", "member");
    (id, forge.installs(id, "acme", &[("members", "read"), ("metadata", "read")]))
}

#[tokio::test]
async fn r35_a_token_is_minted_once_for_all_and_renewed_before_it_ends() {
    let forge = Github::cloud();
    forge.mints_long_tokens();
    let (id, installation) = acme(&forge);
    let session = app(&client(&forge), id).at(installation).for_person();
    let asked = (0..20).map(|_| session.organization("acme"));
    for ended in futures_util::future::join_all(asked).await {
        assert_eq!(ended.unwrap().login, "acme");
    }
    assert_eq!(forge.minted(), 1);
    pass(&forge.book, 3240).await;
    session.organization("acme").await.unwrap();
    assert_eq!(forge.minted(), 1, "renewed earlier than five minutes before the end");
    pass(&forge.book, 90).await;
    session.organization("acme").await.unwrap();
    assert_eq!(forge.minted(), 2);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn s53_each_use_of_an_installation_has_a_token_that_allows_no_more() {
    let forge = Github::cloud();
    let (id, _) = acme(&forge);
    let granted = [("members", "read"), ("metadata", "read"), ("contents", "write"), ("secrets", "write")];
    let installation = forge.installs(id, "acme", &granted);
    let session = app(&client(&forge), id).at(installation);
    session.organization("acme").await.unwrap();
    session.all_installation_repositories().await.unwrap();
    for role in [Admin, Member] {
        assert_eq!(session.members("acme", role).await.unwrap().items().len(), 1);
    }
    session.membership("acme", "bob").await.unwrap();
    assert_eq!(forge.minted_for(), ["members:read", "metadata:read"], "one for each use, and kept for it");
    assert_eq!(forge.violations(), [""; 0]);
    // What was not granted is named, and no token is made that could do something else.
    let place = HookPlace::Organization("acme".into());
    let refused = session.hooks(&place).await.unwrap_err();
    assert!(
        matches!(refused, ProviderError::NotPermitted { needs: Some(needs) } if needs.contains("organization_hooks")),
        "{refused:?}"
    );
    assert_eq!((forge.minted(), forge.violations()), (2, Vec::new()));
}

#[tokio::test]
async fn r35_a_void_token_is_renewed_once_and_tried_once_more() {
    let forge = Github::cloud();
    let (id, installation) = acme(&forge);
    let session = app(&client(&forge), id).at(installation);
    session.organization("acme").await.unwrap();
    pass(&forge.book, 60).await;
    forge.voids_tokens();
    assert_eq!(session.organization("acme").await.unwrap().login, "acme");
    assert_eq!(forge.minted(), 2);
    // For good: one renewal, one retry, then the refusal is what it is.
    forge.plants(Planted::at("/orgs/acme", Fault::Status(401)).times(9));
    let before = forge.book.seen().len();
    assert_eq!(session.organization("acme").await.unwrap_err(), ProviderError::CredentialRefused);
    assert_eq!(forge.book.seen().len() - before, 3, "{:?}", forge.book.lines());
}

#[tokio::test]
async fn r35_a_suspended_or_removed_installation_stops_and_does_not_loop() {
    let forge = Github::cloud();
    let (id, installation) = acme(&forge);
    let app = app(&client(&forge), id);
    app.at(installation).organization("acme").await.unwrap();
    forge.suspends(installation);
    let before = forge.book.seen().len();
    let ended = app.at(installation).members("acme", Admin).await;
    assert_eq!(ended.unwrap_err(), ProviderError::Suspended);
    assert!(forge.book.seen().len() - before <= 3, "{:?}", forge.book.lines());
    forge.uninstalls(installation);
    assert_eq!(app.at(installation).members("acme", Admin).await.unwrap_err(), ProviderError::Gone);
    assert_eq!(app.installation(installation).await.unwrap_err(), ProviderError::Gone);
}

#[tokio::test]
async fn r35_clocks_may_differ_by_five_minutes_and_beyond_that_the_clock_is_named() {
    for ahead_s in [-300, -120, 0, 120, 300] {
        let forge = Github::cloud();
        let (id, installation) = acme(&forge);
        let app = app(&client_ahead(&forge, ahead_s), id);
        assert!(app.about().await.is_ok(), "{ahead_s}");
        assert_eq!(app.at(installation).members("acme", Member).await.unwrap().items().len(), 1, "{ahead_s}");
    }
    for ahead_s in [-3600, 3600] {
        let forge = Github::cloud();
        let (id, installation) = acme(&forge);
        let ended = app(&client_ahead(&forge, ahead_s), id).at(installation).members("acme", Member).await;
        let error = ended.unwrap_err();
        assert_eq!(error, ProviderError::Clock { ahead_s });
        assert!(error.to_string().contains("clock is 3600 seconds"), "{error}");
    }
}

#[tokio::test]
async fn r31_nothing_is_asked_while_the_forge_says_wait() {
    let limits = [
        (429, vec![("retry-after", 40)], "{}", 40),
        (403, vec![("retry-after", 40), ("x-ratelimit-remaining", 0)], "{}", 40),
        (
            403,
            vec![("x-ratelimit-remaining", 0), ("x-ratelimit-reset", super::super::BEGIN_S + 90)],
            "{}",
            91,
        ),
        (
            403,
            vec![],
            "{\"documentation_url\": \"https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits\"}",
            60,
        ),
        (429, vec![], "too many", 60),
    ];
    // Also with a clock that is ten minutes off.
    for ahead_s in [0, 600, -600] {
        for (status, headers, body, wait_s) in limits.clone() {
            let forge = Github::cloud();
            forge.org("acme");
            let session = client_ahead(&forge, ahead_s).token(forge.token("ada", Some("repo")).into());
            forge.plants(Planted::at("/orgs/acme", Fault::Limit(status, headers, body)));
            let until = match session.organization("acme").await {
                Err(ProviderError::Throttled { until }) => until.ms() / 1000 - forge.book.now_s() - ahead_s,
                other => panic!("{other:?}"),
            };
            assert!((wait_s..=wait_s + 1).contains(&until), "{status} {ahead_s}: {until} and not {wait_s}");
            for _ in 0..3 {
                assert!(session.for_person().organization("acme").await.is_err());
            }
            assert_eq!(forge.book.seen().len(), 1, "asked while limited");
            pass(&forge.book, u64::try_from(wait_s).unwrap() + 2).await;
            session.organization("acme").await.unwrap();
            assert_eq!(forge.violations(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn r31_synchronisation_leaves_a_tenth_to_people_and_never_meets_the_limit() {
    let forge = Github::cloud();
    forge.allows_hourly(20);
    forge.org("acme");
    let session = client(&forge).token(forge.token("ada", Some("repo")).into());
    let mut asked = 0;
    while session.who().await.is_ok() {
        asked += 1;
        assert!(asked <= 20, "the limit was never minded");
    }
    assert!(asked >= 17, "stopped after {asked}");
    assert!(session.for_person().who().await.is_ok());
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn r31_one_token_synchronises_one_thing_at_a_time() {
    let forge = Github::cloud();
    forge.book.takes_ms(20);
    let (id, installation) = acme(&forge);
    let session = app(&client(&forge), id).at(installation);
    let asked = (0..6).map(|_| session.members("acme", Admin));
    assert!(futures_util::future::join_all(asked).await.iter().all(Result::is_ok));
    assert_eq!(forge.book.most_at_once(), 1);
}
