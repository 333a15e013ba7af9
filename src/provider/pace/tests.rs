//! The rules, with time moved by hand.

use std::sync::Arc;

use super::*;
use crate::domain::Timestamp;
use crate::outbound::header::{HeaderMap, HeaderName, HeaderValue};

const DIALECT: Dialect = Dialect {
    provider: "github",
    remaining: "x-ratelimit-remaining",
    limit: "x-ratelimit-limit",
    reset: "x-ratelimit-reset",
    points_per_minute: Some(900),
    hidden_limit: |answer| answer.body.as_ref() == b"slow down",
};
/// 2026-01-01T00:00:00Z.
const THEN_S: i64 = 1_767_225_600;

/// A clock that runs with the test's and is `ahead_s` ahead of the forge's.
fn clock(ahead_s: i64) -> Clock {
    let begun = Instant::now();
    Arc::new(move || {
        let ms = i64::try_from(begun.elapsed().as_millis()).unwrap();
        Timestamp::from_ms((THEN_S + ahead_s) * 1000 + ms)
    })
}

fn answer(status: u16, headers: &[(&'static str, i64)], body: &'static str) -> Answer {
    let mut map = HeaderMap::new();
    map.insert("date", HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"));
    for (name, value) in headers {
        map.insert(HeaderName::from_static(name), HeaderValue::from(*value));
    }
    Answer {
        status,
        headers: map,
        body: body.into(),
        url: url::Url::parse("https://api.github.com/").unwrap(),
    }
}

fn wait_s(result: Result<(), ProviderError>, clock: &Clock) -> i64 {
    match result {
        Err(ProviderError::Throttled { until }) => until.since(clock()).div_euclid(1000),
        other => panic!("{other:?}"),
    }
}

async fn asks(pace: &Pace, purpose: Purpose, clock: &Clock) -> Result<(), ProviderError> {
    pace.turn(purpose, false, clock).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn r31_retry_after_comes_first_for_403_and_429() {
    for status in [403, 429] {
        let (pace, clock) = (Pace::new(&DIALECT), clock(0));
        let limited =
            [("retry-after", 30), ("x-ratelimit-remaining", 0), ("x-ratelimit-reset", THEN_S + 3000)];
        assert_eq!(wait_s(pace.learn(&answer(status, &limited, ""), &clock), &clock), 30);
        for purpose in [Purpose::Sync, Purpose::Person] {
            assert_eq!(wait_s(asks(&pace, purpose, &clock).await, &clock), 30);
        }
        tokio::time::advance(Duration::from_millis(29_990)).await;
        assert!(asks(&pace, Purpose::Person, &clock).await.is_err());
        tokio::time::advance(Duration::from_millis(11)).await;
        // The budget is still empty for synchronisation, and open for a person.
        assert_eq!(asks(&pace, Purpose::Person, &clock).await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn r31_an_empty_budget_waits_for_its_reset_by_the_forges_own_clock() {
    for ahead_s in [0, 600, -600, 7200] {
        let (pace, clock) = (Pace::new(&DIALECT), clock(ahead_s));
        let empty =
            [("x-ratelimit-limit", 5000), ("x-ratelimit-remaining", 0), ("x-ratelimit-reset", THEN_S + 120)];
        let waits = wait_s(pace.learn(&answer(403, &empty, ""), &clock), &clock);
        assert!((120..=122).contains(&waits), "{ahead_s}: {waits}");
    }
}

#[tokio::test(start_paused = true)]
async fn r31_the_last_granted_request_closes_the_door_behind_it() {
    let (pace, clock) = (Pace::new(&DIALECT), clock(0));
    let last =
        [("x-ratelimit-limit", 5000), ("x-ratelimit-remaining", 0), ("x-ratelimit-reset", THEN_S + 120)];
    assert_eq!(pace.learn(&answer(200, &last, ""), &clock), Ok(()));
    assert!(asks(&pace, Purpose::Person, &clock).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn r31_a_limit_without_a_time_waits_a_minute_and_doubles() {
    let (pace, clock) = (Pace::new(&DIALECT), clock(0));
    for expected in [60, 120, 240] {
        assert_eq!(wait_s(pace.learn(&answer(429, &[], ""), &clock), &clock), expected);
        tokio::time::advance(Duration::from_secs(3600)).await;
    }
    assert_eq!(pace.learn(&answer(200, &[], ""), &clock), Ok(()));
    assert_eq!(wait_s(pace.learn(&answer(403, &[], "slow down"), &clock), &clock), 60);
}

#[tokio::test(start_paused = true)]
async fn r31_a_403_that_is_no_limit_closes_nothing() {
    let (pace, clock) = (Pace::new(&DIALECT), clock(0));
    let left =
        [("x-ratelimit-limit", 5000), ("x-ratelimit-remaining", 4000), ("x-ratelimit-reset", THEN_S + 60)];
    assert_eq!(pace.learn(&answer(403, &left, "no"), &clock), Ok(()));
    assert_eq!(asks(&pace, Purpose::Sync, &clock).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn r31_a_tenth_of_the_budget_is_left_to_people() {
    let (pace, clock) = (Pace::new(&DIALECT), clock(0));
    let tenth =
        [("x-ratelimit-limit", 5000), ("x-ratelimit-remaining", 500), ("x-ratelimit-reset", THEN_S + 60)];
    assert_eq!(pace.learn(&answer(200, &tenth, ""), &clock), Ok(()));
    assert!(asks(&pace, Purpose::Sync, &clock).await.is_err());
    assert_eq!(asks(&pace, Purpose::Person, &clock).await, Ok(()));
    tokio::time::advance(Duration::from_secs(62)).await;
    assert_eq!(asks(&pace, Purpose::Sync, &clock).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn r31_synchronisation_asks_one_thing_at_a_time_and_people_do_not_wait_for_it() {
    let (pace, clock) = (Arc::new(Pace::new(&DIALECT)), clock(0));
    let first = pace.turn(Purpose::Sync, false, &clock).await.unwrap();
    let (other, theirs) = (Arc::clone(&pace), Arc::clone(&clock));
    let second = tokio::spawn(async move { asks(&other, Purpose::Sync, &theirs).await });
    assert_eq!(asks(&pace, Purpose::Person, &clock).await, Ok(()));
    // Asleep, so that everybody else goes as far as they can.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn r31_writes_are_a_second_apart() {
    let (pace, clock) = (Pace::new(&DIALECT), clock(0));
    let mut ended = Vec::new();
    for purpose in [Purpose::Person, Purpose::Sync, Purpose::Person] {
        let turn = pace.turn(purpose, true, &clock).await.unwrap();
        ended.push(Instant::now());
        drop(turn);
    }
    for pair in ended.windows(2) {
        assert!(pair[1].duration_since(pair[0]) >= WRITE_GAP, "{pair:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r31_no_minute_sees_more_than_its_points() {
    let (pace, clock) = (Pace::new(&DIALECT), clock(0));
    let mut sent: Vec<Instant> = Vec::new();
    for _ in 0..3000 {
        asks(&pace, Purpose::Sync, &clock).await.unwrap();
        sent.push(Instant::now());
    }
    for (index, first) in sent.iter().enumerate() {
        let within = sent[index..].iter().take_while(|it| it.duration_since(*first).as_secs() < 60).count();
        assert!(within <= 900, "{within} requests within one minute");
    }
    assert!(sent[2999].duration_since(sent[0]).as_secs() < 240, "slower than it need be");
}
