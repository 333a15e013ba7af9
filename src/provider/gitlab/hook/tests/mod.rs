//! Tests of the proof, and of what is read after it.

mod envelope;
mod flips;
mod matrix;
mod shapes;
mod vectors;

use bytes::Bytes;

use super::Verifier;
use crate::domain::delivery::{Authenticate, Envelope, RawDelivery, Rejected};
use crate::domain::{SourceKey, Timestamp};
use crate::provider::{LiveSecret, Secrets};

const TOKEN_A: &str = "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=";
const TOKEN_B: &str = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";
const PLAIN: &str = "a plain token of some length, 32+";
const ID: &str = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f";
const TIME: i64 = 1_744_578_123;
const BODY: &str = r#"{"object_kind":"pipeline","object_attributes":{"id":31,"status":"success"},"project":{"id":1,"path_with_namespace":"gitlab-org/gitlab-test"}}"#;
const RIGHT: &str = "v1,tOfDKeklqclDMnLGsMQ7VaXQUDbIcBQ9GzuCcB9LLtw=";

fn source() -> SourceKey {
    SourceKey::parse("acme-gitlab").unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_ms(TIME * 1000)
}

fn live(texts: &[&str]) -> Vec<LiveSecret> {
    texts.iter().map(|text| LiveSecret { secret: (*text).into(), not_after: None }).collect()
}

fn built(plain: &[&str], signing: &[&str]) -> Result<Verifier, String> {
    Verifier::new(source(), Secrets { webhook: live(plain), signing: live(signing) })
}

fn verifier(plain: &[&str], signing: &[&str]) -> Verifier {
    built(plain, signing).unwrap()
}

/// A request with the headers that every delivery has, and these.
fn request(headers: &[(&str, &[u8])], body: &[u8]) -> RawDelivery {
    let mut all = vec![
        ("content-type".to_owned(), Bytes::from_static(b"application/json")),
        ("x-gitlab-event".to_owned(), Bytes::from_static(b"Pipeline Hook")),
    ];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value))));
    RawDelivery { source: source(), headers: all, body: Bytes::copy_from_slice(body) }
}

fn signed(id: &str, time: &str, signature: &str, body: &str) -> RawDelivery {
    let headers = [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)];
    request(&headers.map(|(name, value)| (name, value.as_bytes())), body.as_bytes())
}

/// The delivery of vector T7 with another signature.
fn t7(signature: &str) -> RawDelivery {
    signed(ID, &TIME.to_string(), signature, BODY)
}

fn ask(verifier: &Verifier, raw: &RawDelivery) -> Result<Envelope, Rejected> {
    verifier.authenticate(raw, now())
}

fn refused(verifier: &Verifier, raw: &RawDelivery) -> Rejected {
    ask(verifier, raw).unwrap_err()
}
