//! Tests of what GitLab's bodies mean.

mod fixtures;
mod mutations;
mod oddities;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::read;
use crate::domain::delivery::{Authenticate, Delivery, Encoding, Envelope, RawDelivery, Rejected};
use crate::domain::event::Event;
use crate::domain::{SourceKey, Timestamp};
use crate::provider::Unreadable;

/// Believes everybody: these tests are about what comes after the proof.
struct Believe(&'static str);

impl Authenticate for Believe {
    fn authenticate(&self, _raw: &RawDelivery, _now: Timestamp) -> Result<Envelope, Rejected> {
        Ok(Envelope {
            external_id: "x".into(),
            hook_id: String::new(),
            event: self.0.into(),
            encoding: Encoding::Json,
            secret_slot: 0,
            same_within_ms: None,
        })
    }
}

fn read_body(header: &'static str, body: impl Into<Bytes>) -> Result<Event, Unreadable> {
    let source = SourceKey::parse("x").unwrap();
    let raw = RawDelivery { source, headers: vec![], body: body.into() };
    read(&Delivery::authenticate(raw, &Believe(header), Timestamp::from_ms(0)).unwrap())
}

struct Fixture {
    name: String,
    header: &'static str,
    body: String,
}

/// Every recorded body with its header.
fn fixtures() -> Vec<Fixture> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/gitlab");
    let text = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    let headers: BTreeMap<String, String> = serde_json::from_str(&text("_headers.map")).unwrap();
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, headers.len() + 1, "each file has a header");
    let fixture = |(name, header): (String, String)| Fixture {
        body: text(&name),
        name,
        header: Box::leak(header.into_boxed_str()),
    };
    headers.into_iter().map(fixture).collect()
}
