//! Proof that a delivery is GitHub's: an HMAC over the raw body, checked before anything else is looked at.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::domain::delivery::{Authenticate, Encoding, Envelope, RawDelivery, Rejected};
use crate::domain::{SourceKey, Timestamp};
use crate::provider::{LiveSecret, Secrets};

const SIGNATURE: &str = "x-hub-signature-256";
const LONGEST_NAME: usize = 128;

/// Proves a source's deliveries.
#[derive(Debug)]
pub struct Verifier {
    secrets: Vec<LiveSecret>,
}

impl Verifier {
    /// Takes the secrets that a source's deliveries may be signed with.
    ///
    /// # Errors
    /// When there is none, when one is blank, or when there are more than 256; names source and slot, never a value.
    pub fn new(source: SourceKey, secrets: Secrets) -> Result<Self, String> {
        if !secrets.signing.is_empty() {
            return Err(format!(
                "source {source} has a signing token, but GitHub signs with the webhook secret only: remove it"
            ));
        }
        let secrets = secrets.webhook;
        if secrets.is_empty() {
            return Err(format!(
                "source {source} has no webhook secret, so nothing could prove its deliveries: set one"
            ));
        }
        if secrets.len() > 256 {
            return Err(format!("source {source} has more than 256 webhook secrets: remove the old ones"));
        }
        match secrets.iter().position(|live| live.secret.expose_secret().trim().is_empty()) {
            Some(slot) => {
                Err(format!("webhook secret {slot} of source {source} is empty: set it or remove it"))
            }
            None => Ok(Self { secrets }),
        }
    }

    /// The slot of the first live secret that made the tag. Every secret is tried, whichever matches.
    fn slot_of(&self, body: &[u8], tag: &[u8; 32], now: Timestamp) -> Option<u8> {
        let mut found = None;
        for (slot, live) in (0u8..=u8::MAX).zip(&self.secrets) {
            let is_live = live.not_after.is_none_or(|end| now < end);
            let is_made = is_tag_of(live.secret.expose_secret().as_bytes(), body, tag);
            found = found.or((is_live & is_made).then_some(slot));
        }
        found
    }
}

impl Authenticate for Verifier {
    fn authenticate(&self, raw: &RawDelivery, now: Timestamp) -> Result<Envelope, Rejected> {
        let tag = presented(raw);
        // The body is hashed even when no tag is readable: otherwise the time would tell which sources exist.
        let slot = self.slot_of(&raw.body, &tag.unwrap_or_default(), now);
        match (tag, slot) {
            (Some(_), Some(secret_slot)) => envelope(raw, secret_slot),
            _ => Err(refusal(raw)),
        }
    }

    fn passes(&self) -> usize {
        self.secrets.len()
    }
}

/// The `x-hub-signature-256` header with which GitHub would send this body.
#[must_use]
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let tag = keyed(secret.expose_secret().as_bytes()).chain_update(body).finalize().into_bytes();
    format!("sha256={}", hex::encode(tag))
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length: longer ones are hashed")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length")
}

/// Constant in time for bodies of one length.
fn is_tag_of(key: &[u8], body: &[u8], tag: &[u8; 32]) -> bool {
    keyed(key).chain_update(body).verify_slice(tag).is_ok()
}

/// The tag in the signature header; `None` unless it has exactly the shape that GitHub sends.
fn presented(raw: &RawDelivery) -> Option<[u8; 32]> {
    let digits = raw.header(SIGNATURE)?.strip_prefix("sha256=")?;
    if !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut tag = [0; 32];
    hex::decode_to_slice(digits, &mut tag).ok()?;
    Some(tag)
}

fn refusal(raw: &RawDelivery) -> Rejected {
    if raw.has_header(SIGNATURE) { Rejected::ProofWrong } else { Rejected::ProofMissing }
}

/// What the headers say. Only the body is signed, so nothing here is more than a label.
pub(in crate::provider) fn envelope(raw: &RawDelivery, secret_slot: u8) -> Result<Envelope, Rejected> {
    let encoding = raw.header("content-type").and_then(encoding).ok_or(Rejected::MediaType)?;
    let event = label(raw, "x-github-event")?.ok_or(Rejected::Malformed("x-github-event is missing"))?;
    let external_id =
        label(raw, "x-github-delivery")?.ok_or(Rejected::Malformed("x-github-delivery is missing"))?;
    let hook_id = label(raw, "x-github-hook-id")?.unwrap_or_default();
    Ok(Envelope {
        external_id: external_id.to_owned(),
        hook_id: hook_id.to_owned(),
        event: event.to_owned(),
        encoding,
        secret_slot,
        same_within_ms: None,
    })
}

/// A header that names something: `None` when absent or blank, refused when it cannot be a name.
fn label<'a>(raw: &'a RawDelivery, name: &'static str) -> Result<Option<&'a str>, Rejected> {
    if !raw.has_header(name) {
        return Ok(None);
    }
    let malformed = Rejected::Malformed("a header of GitHub's is doubled, too long or not printable");
    let value = raw.header(name).ok_or(malformed)?.trim_matches(' ');
    let is_printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if value.len() > LONGEST_NAME || !is_printable {
        return Err(malformed);
    }
    Ok((!value.is_empty()).then_some(value))
}

/// JSON or a form, in UTF-8; `None` for what GitHub never sends.
fn encoding(content_type: &str) -> Option<Encoding> {
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next()?;
    if !parts.all(is_utf8) {
        return None;
    }
    if media.eq_ignore_ascii_case("application/json") {
        Some(Encoding::Json)
    } else if media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Some(Encoding::Form)
    } else {
        None
    }
}

fn is_utf8(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return parameter.is_empty() };
    name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
}

#[cfg(test)]
mod tests;
