//! GitLab's signing tokens: Standard Webhooks 1.0.0, the symmetric kind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// A stranger may send a header of thousands of entries; a forge sends one, or two while it rotates.
const MAX_ENTRIES: usize = 16;

/// The bytes behind a `whsec_` token: the key is what the base64 stands for, not its text.
pub(super) struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// Reads `whsec_` and standard, padded base64 of 24 to 64 bytes.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let key = Zeroizing::new(STANDARD.decode(token.strip_prefix("whsec_")?).ok()?);
        (24..=64).contains(&key.len()).then_some(Self(key))
    }

    /// The HMAC over `id.timestamp.body`.
    pub(super) fn tag(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<[u8; 32]> {
        tag(&self.0, id, timestamp, body)
    }
}

/// HMAC-SHA256 takes keys of any length, so `None` never comes; it stands for a refusal if it did.
pub(super) fn tag(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().into())
}

/// Whether any `v1` entry of the header holds this tag. Looks at every entry, whatever the first ones say.
pub(super) fn holds(header: &str, tag: &[u8; 32]) -> Choice {
    let entries = header.split(' ').take(MAX_ENTRIES).filter_map(|entry| entry.strip_prefix("v1,"));
    let claimed = entries.filter_map(|text| STANDARD.decode(text).ok());
    claimed.fold(Choice::from(0), |found, claimed| found | claimed.ct_eq(tag.as_slice()))
}

/// Writes a tag as an entry of `webhook-signature`.
pub(super) fn entry(tag: &[u8; 32]) -> String {
    format!("v1,{}", STANDARD.encode(tag))
}
