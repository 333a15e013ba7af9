//! The hook door.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::test::{TestRequest, call_service, init_service, read_body};

use super::fake::{Fake, Mood};
use super::{TestDoor, front, front_limited, roomy};
use crate::domain::SourceKey;
use crate::domain::organization::Forge;
use crate::web::auth::Via;
use crate::web::serve::public_app;
use crate::web::{Doorway, Front, Limits, ReadDoor};

struct Sent {
    status: u16,
    body: String,
    headers: actix_web::http::header::HeaderMap,
}

impl Sent {
    fn code(&self) -> String {
        serde_json::from_str::<serde_json::Value>(&self.body).unwrap()["code"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    }
}

async fn send_from(
    front: &Arc<Front>,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    from: &str,
) -> Sent {
    let app = init_service(public_app(Arc::clone(front), Via::Public)).await;
    let mut request = TestRequest::post().uri(path).set_payload(body.to_vec());
    request = request.peer_addr(format!("{from}:9").parse().unwrap());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        request = request.insert_header((CONTENT_TYPE, "application/json"));
    }
    for (name, value) in headers {
        request = request.append_header((*name, *value));
    }
    let answer = call_service(&app, request.to_request()).await;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Sent { status, headers, body: String::from_utf8(read_body(answer).await.to_vec()).unwrap() }
}

async fn send(front: &Arc<Front>, headers: &[(&str, &str)], body: &[u8]) -> Sent {
    send_from(front, "/hooks/acme-github", headers, body, "192.0.2.1").await
}

const GOOD: (&str, &str) = ("x-test-proof", "good");

#[actix_web::test]
async fn a_proven_delivery_is_stored_once_and_its_copy_is_recognised() {
    let (front, store) = front();
    let first = send(&front, &[GOOD], b"{}").await;
    let again = send(&front, &[GOOD], b"{}").await;
    assert_eq!((first.status, again.status), (202, 200));
    assert!(again.body.contains("\"duplicate\":true") && !first.body.contains("duplicate"));
    assert_eq!(store.state().accepted.len(), 1);
    store.state().wakes = true;
    assert_eq!(send(&front, &[GOOD], b"{}").await.status, 202);
}

#[actix_web::test]
async fn a_ping_of_github_is_kept_and_answered_200_while_gitlab_knows_no_ping() {
    let (front, store) = front();
    assert_eq!(send(&front, &[GOOD, ("x-github-event", "ping")], b"{}").await.status, 200);
    let headers = [GOOD, ("x-github-event", "ping"), ("x-test-id", "2")];
    assert_eq!(send_from(&front, "/hooks/acme-gitlab", &headers, b"{}", "192.0.2.1").await.status, 202);
    assert_eq!(store.state().accepted.len(), 2);
}

#[actix_web::test]
async fn s01_without_proof_nothing_is_stored_and_the_answer_is_the_same() {
    let (front, store) = front();
    let bad: [&[(&str, &str)]; 5] = [
        &[],
        &[("x-test-proof", "")],
        &[("x-test-proof", "wrong")],
        &[("x-test-proof", "good"), ("x-test-proof", "wrong")],
        &[GOOD, ("x-test-verdict", "stale")],
    ];
    for headers in bad {
        let sent = send(&front, headers, b"{}").await;
        assert_eq!((sent.status, sent.code().as_str()), (401, "proof-failed"), "{headers:?}");
    }
    assert_eq!(store.state().accepted.len(), 0);
    assert_eq!(front.refused.of(Some(&"acme-github".to_owned().try_into().unwrap())).len(), 5);
}

#[actix_web::test]
async fn s10_an_unknown_source_cannot_be_told_from_a_bad_signature() {
    let (front, _) = front();
    let known = send(&front, &[("x-test-proof", "wrong")], b"{\"a\":1}").await;
    for path in ["/hooks/nobody", "/hooks/Not%20A%20Slug"] {
        let unknown = send_from(&front, path, &[GOOD], b"{\"a\":1}", "192.0.2.1").await;
        assert_eq!((unknown.status, &unknown.body), (401, &known.body));
        let names = |sent: &Sent| {
            let mut names: Vec<_> = sent.headers.iter().map(|(n, v)| format!("{n}: {v:?}")).collect();
            names.sort();
            names
        };
        assert_eq!(names(&unknown), names(&known));
    }
    assert_eq!(front.refused.of(None).len(), 2);
}

/// A source that another process made a moment ago; counts how often somebody asks for it.
#[derive(Default)]
struct Elsewhere(std::sync::atomic::AtomicUsize);

#[async_trait::async_trait]
impl ReadDoor for Elsewhere {
    async fn door(&self, source: &SourceKey) -> Option<Doorway> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let door = Doorway { forge: Forge::Github, door: Arc::new(TestDoor), meter: Arc::default() };
        (source.as_str() == "made-elsewhere").then_some(door)
    }
}

#[actix_web::test]
async fn a_source_that_another_process_has_just_made_is_taken_and_a_flood_reads_once_a_second() {
    let (front, store) = front();
    let reader = Arc::new(Elsewhere::default());
    front.doors.read_by(Arc::clone(&reader) as Arc<dyn ReadDoor>);
    let knock = async |source: &str| {
        send_from(&front, &format!("/hooks/{source}"), &[GOOD], b"{}", "192.0.2.1").await.status
    };
    assert_eq!(knock("made-elsewhere").await, 202);
    assert_eq!((reader.0.load(Ordering::SeqCst), store.state().accepted.len()), (1, 1));
    for n in 0..50 {
        assert_eq!(knock(&format!("nobody-{n}")).await, 401);
    }
    assert_eq!(reader.0.load(Ordering::SeqCst), 1, "a second is not over");
    assert_eq!(knock("made-elsewhere").await, 200, "and what is known is asked for no more");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    let wrong = send(&front, &[("x-test-proof", "wrong")], b"{}").await;
    assert_eq!((wrong.status, reader.0.load(Ordering::SeqCst)), (401, 2), "a secret may be new as well");
}

#[actix_web::test]
async fn what_is_no_delivery_is_told_so_by_its_status() {
    let (front, _) = front();
    type Row<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);
    let table: [Row<'_>; 6] = [
        (&[GOOD, ("x-test-verdict", "malformed")], 400, "no-delivery"),
        (&[GOOD, ("x-test-verdict", "media")], 415, "media-type"),
        (&[GOOD, ("content-type", "text/xml")], 415, "media-type"),
        (&[GOOD, ("content-type", "application/json"), ("content-type", "text/xml")], 415, "media-type"),
        (&[GOOD, ("content-encoding", "gzip")], 415, "encoding-unsupported"),
        (&[GOOD, ("content-encoding", "identity"), ("content-encoding", "br")], 415, "encoding-unsupported"),
    ];
    for (headers, status, code) in table {
        let sent = send(&front, headers, b"{}").await;
        assert_eq!((sent.status, sent.code().as_str()), (status, code), "{headers:?}");
    }
    let form = [GOOD, ("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    assert_eq!(send(&front, &form, b"payload=%7B%7D").await.status, 202);
    let plain = [GOOD, ("content-encoding", "identity"), ("x-test-id", "2")];
    assert_eq!(send(&front, &plain, b"{}").await.status, 202);
}

#[actix_web::test]
async fn s04_a_body_over_the_cap_is_refused_while_one_at_the_cap_is_taken() {
    let (front, store) = front();
    assert_eq!(send(&front, &[GOOD], &vec![b' '; 100_001]).await.status, 413);
    assert_eq!(store.state().accepted.len(), 0);
    assert_eq!(send(&front, &[GOOD], &vec![b' '; 100_000]).await.status, 202);
    assert_eq!(front.budget.left(), 400_000, "all memory is given back");
}

#[actix_web::test]
async fn r08_past_the_budget_of_all_bodies_the_answer_is_503_and_nothing_leaks() {
    let (front, store) = front_limited(Limits { inflight_bytes_max: 150_000, ..roomy() });
    store.state().mood = Mood::Slow(Duration::from_millis(300));
    let body = vec![b' '; 90_000];
    let slow = send(&front, &[GOOD], &body);
    let second = async {
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
        send(&front, &[GOOD, ("x-test-id", "2")], &body).await
    };
    let (first, second) = futures_util::future::join(slow, second).await;
    assert_eq!((first.status, second.status), (202, 503));
    assert!(second.headers.contains_key(RETRY_AFTER));
    assert_eq!(front.budget.left(), 150_000);
}

#[actix_web::test]
async fn a_caller_who_goes_away_loses_nothing_that_was_begun() {
    let (front, store) = front();
    store.state().mood = Mood::Slow(Duration::from_millis(200));
    let gone = tokio::time::timeout(Duration::from_millis(100), send(&front, &[GOOD], &[b' '; 50_000]));
    assert!(gone.await.is_err());
    assert!(front.budget.left() <= 350_000, "still counted while it is under way");
    actix_web::rt::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(store.state().accepted.len(), 1);
    assert_eq!(front.budget.left(), 400_000);
}

#[actix_web::test]
async fn a_store_that_cannot_is_a_503_that_tells_nothing_of_the_machine() {
    let (front, store) = front();
    for (mood, code) in [(Mood::Full, "store-unavailable"), (Mood::Broken, "store-failed")] {
        store.state().mood = mood;
        let sent = send(&front, &[GOOD], b"{}").await;
        assert_eq!((sent.status, sent.code().as_str()), (503, code));
        assert!(sent.headers.contains_key(RETRY_AFTER));
        assert!(!sent.body.contains("secret-path"));
    }
    assert!(front.health.objections().contains(&"store-stopped"));
}

#[actix_web::test]
async fn a_store_that_takes_too_long_is_a_503() {
    let (front, store) = front_limited(Limits { request_deadline: Duration::from_millis(200), ..roomy() });
    store.state().mood = Mood::Slow(Duration::from_millis(500));
    assert_eq!(send(&front, &[GOOD], b"{}").await.code(), "store-slow");
}

#[actix_web::test]
async fn failed_proofs_are_slowed_per_peer_and_signed_traffic_never_is() {
    let (front, _) = front_limited(Limits { failures_burst: 3, ..roomy() });
    for _ in 0..3 {
        assert_eq!(send(&front, &[], b"{}").await.status, 401);
    }
    let slowed = send(&front, &[], b"{}").await;
    assert_eq!(slowed.status, 429);
    assert!(slowed.headers.contains_key(RETRY_AFTER));
    assert_eq!(send(&front, &[GOOD], b"{}").await.status, 202, "the same peer, proven");
    assert_eq!(send_from(&front, "/hooks/acme-github", &[], b"{}", "192.0.2.2").await.status, 401);
}

#[actix_web::test]
async fn s12_a_strangers_forwarded_header_neither_hides_nor_blames() {
    let (front, _) = front_limited(Limits { failures_burst: 1, ..roomy() });
    let spoof = |n: usize| format!("198.51.100.{n}");
    assert_eq!(send(&front, &[("x-forwarded-for", &spoof(1))], b"{}").await.status, 401);
    assert_eq!(send(&front, &[("x-forwarded-for", &spoof(2))], b"{}").await.status, 429);
    let behind = |n: usize| [("x-forwarded-for", spoof(n))];
    for n in [3, 4] {
        let headers = behind(n);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(send_from(&front, "/hooks/acme-github", &headers, b"{}", "10.0.0.1").await.status, 401);
    }
    let seen = front.refused.of(Some(&"acme-github".to_owned().try_into().unwrap()));
    assert_eq!(seen[0].peer.to_string(), "198.51.100.4");
    assert_eq!(seen[3].peer.to_string(), "192.0.2.1");
}

#[actix_web::test]
async fn one_peer_has_only_so_many_requests_open() {
    let (front, store) = front_limited(Limits { peer_requests_max: 1, ..roomy() });
    store.state().mood = Mood::Slow(Duration::from_millis(200));
    let second = async {
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
        send(&front, &[GOOD, ("x-test-id", "2")], b"{}").await
    };
    let (first, second) = futures_util::future::join(send(&front, &[GOOD], b"{}"), second).await;
    assert_eq!((first.status, second.status), (202, 503));
    assert_eq!(send(&front, &[GOOD, ("x-test-id", "3")], b"{}").await.status, 202);
}

#[actix_web::test]
async fn a_large_body_is_proven_like_a_small_one() {
    let (front, store) = front();
    let body = vec![b'x'; 90_000];
    assert_eq!(send(&front, &[GOOD], &body).await.status, 202);
    assert_eq!(send(&front, &[("x-test-proof", "wrong")], &body).await.status, 401);
    let kept = store.state().accepted[0].1.body().clone();
    assert_eq!(kept, body);
}

#[actix_web::test]
async fn a_door_that_was_swapped_away_is_closed() {
    let store = Arc::new(Fake::default());
    let front = Arc::new(super::front_with(store, roomy()));
    assert_eq!(send(&front, &[GOOD], b"{}").await.status, 202);
    front.doors.swap(std::collections::HashMap::new());
    assert_eq!(send(&front, &[GOOD], b"{}").await.status, 401);
}
