//! The headers of a delivery: signatures that a stranger may guess at, and names that a proven sender may get wrong.

use bytes::Bytes;
use proptest::prelude::*;
use scm_connect::domain::delivery::{Authenticate, Envelope, RawDelivery, Rejected};
use scm_connect::domain::organization::Forge;
use scm_connect::domain::{SourceKey, Timestamp};
use scm_connect::provider::{Door, LiveSecret, Secrets, github, gitlab};

use super::bytes::damaged;
use super::fuzz;

const SECRET: &str = "It's a Secret to Everybody";
const TOKEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw7jT/5z+pJ+0=";
const OTHER: &str = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";
const BODY: &[u8] = b"Hello, World!";
const ID: &str = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f";
const TIME: i64 = 1_744_578_123;
const NOW: Timestamp = Timestamp::from_ms(TIME * 1000);

fn source() -> SourceKey {
    SourceKey::parse("acme").unwrap()
}

fn github_door() -> Door {
    let webhook = vec![LiveSecret { secret: SECRET.into(), not_after: None }];
    Door::new(Forge::Github, source(), Secrets { webhook, signing: Vec::new() }).unwrap()
}

fn gitlab_door(plain: bool) -> Door {
    let live = |text: &str| vec![LiveSecret { secret: text.into(), not_after: None }];
    let secrets = if plain {
        Secrets { webhook: live(SECRET), signing: Vec::new() }
    } else {
        Secrets { webhook: Vec::new(), signing: live(TOKEN) }
    };
    Door::new(Forge::Gitlab, source(), secrets).unwrap()
}

fn request(headers: &[(&str, &[u8])]) -> RawDelivery {
    let own = |(name, value): &(&str, &[u8])| ((*name).to_owned(), Bytes::copy_from_slice(value));
    RawDelivery {
        source: source(),
        headers: headers.iter().map(own).collect(),
        body: Bytes::from_static(BODY),
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A proven delivery's labels fit where they are kept and shown.
fn is_tame(envelope: &Envelope) -> bool {
    let tame = |text: &str, max: usize| {
        text.len() <= max && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
    };
    tame(&envelope.external_id, 256) && tame(&envelope.event, 128) && tame(&envelope.hook_id, 128)
}

#[test]
fn no_damaged_signature_header_of_github_proves_anything() {
    let right = github::hook::sign(&SECRET.into(), BODY);
    let wrong = github::hook::sign(&"another".into(), BODY);
    let seeds = texts(&[&right, &right, &right, &wrong, "sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", ""]);
    let door = github_door();
    let cases = fuzz("github signature", &damaged(3), |input| {
        let value = input.bytes(&seeds, &["sha256=", "sha1=", ",", " ", "A"]);
        let headers: [(&str, &[u8]); 4] = [
            ("content-type", b"application/json"),
            ("x-github-event", b"push"),
            ("x-github-delivery", ID.as_bytes()),
            ("x-hub-signature-256", &value),
        ];
        let proven = door.authenticate(&request(&headers), NOW);
        let expected = (value == right.as_bytes()).then_some(()).ok_or(Rejected::ProofWrong);
        prop_assert_eq!(proven.map(|_| ()), expected, "{:?}", String::from_utf8_lossy(&value));
        Ok(())
    });
    assert!(cases > 1000);
}

#[test]
fn no_damaged_signature_headers_of_gitlab_prove_anything() {
    let right = gitlab::hook::sign(TOKEN, ID, TIME, BODY).unwrap();
    let wrong = gitlab::hook::sign(OTHER, ID, TIME, BODY).unwrap();
    let (first, last) = (format!("{right} {wrong}"), format!("{wrong} {right}"));
    let signatures = texts(&[&right, &right, &first, &last, &wrong, "v1,", "v1a,AAAA", ""]);
    let ids = texts(&[ID, ID, ""]);
    let times = texts(&["1744578123", "1744578123", "-9223372036854775808", "1744578123.0", ""]);
    let door = gitlab_door(false);
    let inputs = (damaged(2), damaged(1), damaged(1));
    let cases = fuzz("gitlab signature", &inputs, |(signature, id, time)| {
        let signature = signature.bytes(&signatures, &["v1,", "v2,", " ", "=", "whsec_"]);
        let (id, time) = (id.bytes(&ids, &["."]), time.bytes(&times, &["+", "-", "."]));
        let headers: [(&str, &[u8]); 5] = [
            ("content-type", b"application/json"),
            ("x-gitlab-event", b"Push Hook"),
            ("webhook-signature", &signature),
            ("webhook-id", &id),
            ("webhook-timestamp", &time),
        ];
        let holds = signature.split(|byte| *byte == b' ').take(16).any(|entry| entry == right.as_bytes());
        let expected = holds && id == ID.as_bytes() && time == b"1744578123";
        let readable = std::str::from_utf8(&signature).is_ok();
        let proven = door.authenticate(&request(&headers), NOW);
        prop_assert_eq!(proven.is_ok(), expected && readable, "{:?}", proven);
        Ok(())
    });
    assert!(cases > 1000);
}

const NAMES: [&str; 10] = [
    "content-type",
    "x-github-event",
    "x-github-delivery",
    "x-github-hook-id",
    "x-gitlab-event",
    "idempotency-key",
    "webhook-id",
    "webhook-timestamp",
    "x-gitlab-event-uuid",
    "x-hub-signature",
];

#[test]
fn a_proven_delivery_with_damaged_headers_is_refused_or_tame() {
    let values = texts(&[
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "push",
        "Push Hook",
        ID,
        "292430182",
        "1744578123",
    ]);
    let doors = [(github_door(), "x-hub-signature-256"), (gitlab_door(true), "x-gitlab-token")];
    let proof = github::hook::sign(&SECRET.into(), BODY);
    let header = (0..NAMES.len(), damaged(2));
    let inputs = proptest::collection::vec(header, 2..8);
    let cases = fuzz("envelope", &inputs, |headers| {
        let headers: Vec<(&str, Vec<u8>)> = headers
            .iter()
            .map(|(name, value)| {
                (NAMES.get(*name).copied().unwrap_or_default(), value.bytes(&values, &[";", "=", "\""]))
            })
            .collect();
        for (door, name) in &doors {
            let proof = if *name == "x-gitlab-token" { SECRET } else { &proof };
            let mut all: Vec<(&str, &[u8])> =
                headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
            all.push((name, proof.as_bytes()));
            match door.authenticate(&request(&all), NOW) {
                Ok(envelope) => prop_assert!(is_tame(&envelope), "{:?}", envelope),
                Err(refused) => prop_assert!(
                    matches!(refused, Rejected::Malformed(_) | Rejected::MediaType),
                    "the proof was right: {:?}",
                    refused
                ),
            }
        }
        Ok(())
    });
    assert!(cases > 1000);
}
