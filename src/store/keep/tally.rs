//! Counts items and sums up a hash of each, so that two stores can be compared whatever their order of rows is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::{Fact, Item};
use crate::domain::change::AuditEntry;

/// How many items of each kind, and the sum of their hashes. Where order counts, an item's place is part of its hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Items by kind.
    pub counts: BTreeMap<&'static str, u64>,
    sum: u128,
}

impl Tally {
    /// Adds an item.
    pub fn add(&mut self, item: &Item) {
        let count = self.counts.entry(item.fact.kind()).or_default();
        *count = count.saturating_add(1);
        let place = match item.fact {
            Fact::Audit(_) | Fact::Unindexed(_) => *count,
            _ => 0,
        };
        self.sum = self.sum.wrapping_add(hash(item, place));
    }

    /// All items.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The sum of the hashes, as text.
    #[must_use]
    pub fn sum(&self) -> String {
        format!("{:032x}", self.sum)
    }

    /// `3 projects, 12 deliveries`, for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let named = Fact::KINDS.iter().filter_map(|kind| Some((kind, self.counts.get(kind)?)));
        let words: Vec<String> = named.map(|(kind, count)| format!("{count} {kind}")).collect();
        if words.is_empty() { "nothing".into() } else { words.join(", ") }
    }
}

/// A line of the audit log without its link: one from before there were any gets it from the store that takes it in.
fn unlinked(fact: &Fact) -> Cow<'_, Fact> {
    match fact {
        Fact::Audit(line) if line.link.is_some() => {
            Cow::Owned(Fact::Audit(AuditEntry { link: None, ..line.clone() }))
        }
        other => Cow::Borrowed(other),
    }
}

fn hash(item: &Item, place: u64) -> u128 {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(&place.to_be_bytes());
    // Plain data of our own: writing it as JSON cannot fail.
    part(&serde_json::to_vec(&*unlinked(&item.fact)).unwrap_or_default());
    if let Some(secret) = &item.secret {
        part(secret.expose_secret().as_bytes());
    }
    if let Some(delivery) = &item.content {
        part(delivery.source().as_str().as_bytes());
        part(&serde_json::to_vec(delivery.envelope()).unwrap_or_default());
        for (name, value) in delivery.headers() {
            part(name.as_bytes());
            part(value);
        }
        part(delivery.body());
    }
    let digest = hash.finalize();
    digest.first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}
