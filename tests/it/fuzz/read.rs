//! The readers: bodies that a proven sender got wrong.

use bytes::Bytes;
use proptest::prelude::*;
use scm_connect::domain::delivery::{Authenticate, Delivery, Encoding, Envelope, RawDelivery, Rejected};
use scm_connect::domain::event::Event;
use scm_connect::domain::organization::Forge;
use scm_connect::domain::{SourceKey, Timestamp};
use scm_connect::provider::{self, Unreadable};

use super::bytes::{damaged, recorded};
use super::fuzz;

/// Pieces of JSON that readers have stumbled over elsewhere.
const WORDS: &[&str] = &[
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "18446744073709551616",
    "[]",
    "{}",
    "[[[[[[[[[[[[[[[[",
    "\"\"",
    "\"\\ud83d\"",
    "\"\\u0000\"",
    "\u{feff}",
    "\"id\":",
    "\"id\":7,",
    "\"action\":\"created\",",
    "\"action\":\"deleted\",",
    "\"repository\":",
    "\"installation\":{\"id\":1},",
    "\"2021-04-28T22:32:21-99:99\"",
    ",",
    "}",
    "]",
];

/// Takes whatever it is told for proven.
struct Trusting<'a>(&'a str, Encoding);

impl Authenticate for Trusting<'_> {
    fn authenticate(&self, _: &RawDelivery, _: Timestamp) -> Result<Envelope, Rejected> {
        Ok(Envelope {
            external_id: "1".into(),
            hook_id: String::new(),
            event: self.0.to_owned(),
            encoding: self.1,
            secret_slot: 0,
            same_within_ms: None,
        })
    }
}

fn understand(forge: Forge, event: &str, encoding: Encoding, body: Vec<u8>) -> Result<Event, Unreadable> {
    let raw = RawDelivery {
        source: SourceKey::parse("acme").unwrap(),
        headers: Vec::new(),
        body: Bytes::from(body),
    };
    let delivery = Delivery::authenticate(raw, &Trusting(event, encoding), Timestamp::from_ms(0)).unwrap();
    provider::read(forge, &delivery)
}

/// Reads damaged bodies of one forge, each under an event's name that may be another's.
fn read_damaged(name: &'static str, forge: Forge, seeds: Vec<(String, Vec<u8>)>, encoding: Encoding) {
    let (events, bodies): (Vec<_>, Vec<_>) = seeds.into_iter().unzip();
    let read = std::cell::Cell::new(0u64);
    let inputs = (damaged(6), proptest::option::weighted(0.1, any::<prop::sample::Index>()));
    let cases = fuzz(name, &inputs, |(input, other)| {
        let event = other.unwrap_or(input.seed).get(&events);
        match understand(forge, event, encoding, input.bytes(&bodies, WORDS)) {
            Ok(_) => read.set(read.get().saturating_add(1)),
            Err(Unreadable(why)) => prop_assert!(!why.is_empty() && why.len() <= 1024, "{}", why),
        }
        Ok(())
    });
    // Otherwise nothing gets past the syntax, and the readers are not tried at all.
    assert!(cases > 500 && read.get() * 20 > cases, "{} of {cases} were read", read.get());
}

#[test]
fn a_damaged_body_of_github_is_read_or_refused_by_name() {
    read_damaged("github body", Forge::Github, recorded("github", "_events.map"), Encoding::Json);
}

#[test]
fn a_damaged_body_of_gitlab_is_read_or_refused_by_name() {
    read_damaged("gitlab body", Forge::Gitlab, recorded("gitlab", "_headers.map"), Encoding::Json);
}

#[test]
fn a_damaged_form_is_read_or_refused_by_name() {
    let form = |(event, body): (String, Vec<u8>)| {
        let text = String::from_utf8(body).unwrap();
        let form =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &text).finish();
        (event, form.into_bytes())
    };
    let mut forms: Vec<_> = recorded("github", "_events.map").into_iter().map(form).collect();
    for odd in ["payload=%", "payload=%F0%9F%A6&payload={}", "&&==&payload", "payload=%7B%7D&payload=%7B%7D"]
    {
        forms.push(("push".into(), odd.into()));
    }
    read_damaged("form", Forge::Github, forms, Encoding::Form);
}
