//! What is read from the headers of a proven delivery.

use super::*;
use crate::domain::delivery::Encoding;

/// A request proven by its token, with these headers in place of the usual ones.
fn plain(headers: &[(&str, &str)]) -> Result<Envelope, Rejected> {
    let mut raw = request(&[("x-gitlab-token", PLAIN.as_bytes())], BODY.as_bytes());
    raw.headers.retain(|(name, _)| !headers.iter().any(|(n, _)| n == name));
    for (name, value) in headers {
        raw.headers.push(((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    }
    ask(&verifier(&[PLAIN], &[]), &raw)
}

fn id_of(headers: &[(&str, &str)]) -> (String, Option<i64>) {
    plain(headers).map(|envelope| (envelope.external_id, envelope.same_within_ms)).unwrap()
}

#[test]
fn an_envelope_says_what_the_headers_say() {
    let envelope = plain(&[("idempotency-key", "k-1"), ("x-gitlab-event", "Job Hook")]).unwrap();
    let expected = Envelope {
        external_id: "k-1".into(),
        hook_id: String::new(),
        event: "Job Hook".into(),
        encoding: Encoding::Json,
        secret_slot: 0,
        same_within_ms: None,
    };
    assert_eq!(envelope, expected);
}

#[test]
fn s07_the_id_is_the_idempotency_key_else_the_webhook_id() {
    assert_eq!(id_of(&[("idempotency-key", "k"), ("webhook-id", "w")]), ("k".into(), None));
    assert_eq!(id_of(&[("webhook-id", "w")]), ("w".into(), None));
}

#[test]
fn s07_without_an_id_the_event_and_the_body_are_the_id_for_ten_minutes() {
    let (id, within) = id_of(&[]);
    assert_eq!((id.len(), within), (64, Some(600_000)));
    let chain = [("x-gitlab-event-uuid", "one"), ("x-gitlab-webhook-uuid", "two")];
    assert_eq!(id_of(&chain).0, id, "these name the cause or the request, not the delivery");
    assert_ne!(id_of(&[("x-gitlab-event", "Job Hook")]).0, id);
    let mut raw = request(&[("x-gitlab-token", PLAIN.as_bytes())], b"{}");
    assert_ne!(ask(&verifier(&[PLAIN], &[]), &raw).unwrap().external_id, id);
    raw.body = Bytes::from_static(BODY.as_bytes());
    assert_eq!(ask(&verifier(&[PLAIN], &[]), &raw).unwrap().external_id, id);
}

#[test]
fn s07_an_id_that_is_none_is_malformed() {
    let long = "x".repeat(257);
    for id in ["", long.as_str(), "tab\there", "ü"] {
        for name in ["idempotency-key", "webhook-id"] {
            assert!(matches!(plain(&[(name, id)]), Err(Rejected::Malformed(_))), "{name} {id:?}");
        }
    }
    let twice = plain(&[("idempotency-key", "a"), ("idempotency-key", "b")]);
    assert!(matches!(twice, Err(Rejected::Malformed(_))));
}

#[test]
fn s07_a_signed_delivery_goes_by_its_signed_id() {
    let door = verifier(&[], &[TOKEN_A]);
    let with_key = |key: &str| {
        let mut raw = t7(RIGHT);
        raw.headers.push(("idempotency-key".into(), Bytes::copy_from_slice(key.as_bytes())));
        ask(&door, &raw)
    };
    assert_eq!(with_key(ID).unwrap().external_id, ID);
    assert!(matches!(with_key("a fresh one for an old delivery"), Err(Rejected::Malformed(_))));
}

#[test]
fn only_json_is_a_delivery() {
    for good in ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"] {
        assert!(plain(&[("content-type", good)]).is_ok(), "{good}");
    }
    let bad =
        ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/json, a/b"];
    for bad in bad {
        assert_eq!(plain(&[("content-type", bad)]), Err(Rejected::MediaType), "{bad}");
    }
    assert_eq!(
        plain(&[("content-type", "application/json"), ("content-type", "text/plain")]),
        Err(Rejected::MediaType)
    );
}

#[test]
fn an_event_has_a_short_plain_name() {
    let long = "x".repeat(129);
    for bad in ["", long.as_str(), "Job\u{7f}Hook", "Jöb Hook"] {
        assert!(matches!(plain(&[("x-gitlab-event", bad)]), Err(Rejected::Malformed(_))), "{bad:?}");
    }
    assert!(plain(&[("x-gitlab-event", &long[1..])]).is_ok());
    let twice = plain(&[("x-gitlab-event", "Job Hook"), ("x-gitlab-event", "Push Hook")]);
    assert!(matches!(twice, Err(Rejected::Malformed(_))));
}

#[test]
fn s02_nothing_is_said_about_a_request_before_it_is_proven() {
    let mut raw = request(&[("x-gitlab-token", b"wrong"), ("idempotency-key", b"")], BODY.as_bytes());
    raw.headers.retain(|(name, _)| name != "content-type" && name != "x-gitlab-event");
    assert_eq!(refused(&verifier(&[PLAIN], &[]), &raw), Rejected::ProofWrong);
    assert_eq!(refused(&verifier(&[], &[TOKEN_A]), &raw), Rejected::ProofMissing);
}
