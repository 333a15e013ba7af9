//! Secrets that must not come out, and the forms in which they might.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// One secret: where it went in, and itself.
#[derive(Debug, Clone)]
struct Canary {
    place: String,
    secret: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Canaries {
    all: Vec<Canary>,
    /// Made when something is searched; gone when there is a new one.
    search: OnceLock<Search>,
}

/// Finds every form of every secret in one reading.
#[derive(Debug)]
struct Search {
    forms: AhoCorasick,
    /// Whose each form is, by its number.
    of: Vec<usize>,
}

impl Search {
    fn of(all: &[Canary]) -> Self {
        let each = all
            .iter()
            .enumerate()
            .flat_map(|(at, it)| forms(&it.secret).into_iter().map(move |form| (at, form)));
        let (of, forms): (Vec<usize>, Vec<String>) = each.unzip();
        Self { forms: AhoCorasick::new(forms).unwrap(), of }
    }

    /// Whose secrets are in it.
    fn finds(&self, came_out: &[u8]) -> BTreeSet<usize> {
        self.forms.find_overlapping_iter(came_out).map(|hit| self.of[hit.pattern().as_usize()]).collect()
    }
}

/// A secret that nothing else says.
fn fresh() -> String {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).unwrap();
    format!("Canary{}", hex::encode(bytes))
}

/// What base64 makes of the secret wherever in a longer text it stands: the characters that depend on it alone.
fn base64_of(secret: &str, offset: usize) -> [String; 2] {
    let text = [vec![0; offset], secret.as_bytes().to_vec()].concat();
    let (begin, end) = ([0, 2, 3][offset], text.len() * 8 / 6);
    [STANDARD.encode(&text), URL_SAFE.encode(&text)].map(|all| all[begin..end].to_owned())
}

/// Every form of a secret that is looked for.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        json[1..json.len() - 1].to_owned(),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        hex::encode(secret),
        hex::encode_upper(secret),
    ];
    forms.extend((0..3).flat_map(|offset| base64_of(secret, offset)));
    forms.sort_unstable();
    forms.dedup();
    forms
}

impl Canaries {
    /// Makes one for a place.
    pub(super) fn plant(&mut self, place: &str) -> String {
        let secret = fresh();
        self.know(place, &secret);
        secret
    }

    /// Knows one that somebody else has made.
    pub(super) fn know(&mut self, place: &str, secret: &str) {
        assert!(secret.len() >= 16, "{place}: too short to be told from anything else");
        self.all.push(Canary { place: place.to_owned(), secret: secret.to_owned() });
        self.search = OnceLock::new();
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// The places whose secrets are in what came out. `own` is what its receiver was to get.
    pub(super) fn hits(&self, came_out: &[u8], own: &[&str]) -> Vec<String> {
        let search = self.search.get_or_init(|| Search::of(&self.all));
        let found = search.finds(came_out).into_iter().map(|at| &self.all[at]);
        let leaks = found.filter(|canary| !own.contains(&canary.secret.as_str()));
        leaks.map(|canary| canary.place.clone()).collect()
    }
}

#[test]
fn a_secret_is_found_in_every_form() {
    let mut canaries = Canaries::default();
    let secret = format!("{}/+\" end", canaries.plant("one"));
    canaries.know("two", &secret);
    for before in ["", "a", "ab", "abc"] {
        for text in [
            format!("{before}{secret}"),
            serde_json::json!({ before: secret }).to_string(),
            url::form_urlencoded::Serializer::new(String::new()).append_pair(before, &secret).finish(),
            hex::encode(format!("{before}{secret}")),
            hex::encode_upper(format!("{before}{secret}")),
            STANDARD.encode(format!("{before}{secret}{before}")),
            URL_SAFE.encode(format!("{before}{secret}{before}")),
        ] {
            assert_eq!(canaries.hits(text.as_bytes(), &[]), ["one", "two"], "{text}");
        }
    }
    assert_eq!(canaries.hits(b"Canary is a bird", &[]), [""; 0]);
    assert_eq!(canaries.hits(secret.as_bytes(), &[&secret]), ["one"]);
}
