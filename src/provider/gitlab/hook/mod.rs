//! Proof: who may say that a request comes from GitLab, and what its headers then tell.
//!
//! Two schemes: a signature over id, time and body (GitLab 19), and a plain token, which proves only that the sender
//! knows it. Once a signing token is set, the plain token proves nothing: nobody can go back to the weaker scheme.

mod signing;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::domain::delivery::{Authenticate, Encoding, Envelope, RawDelivery, Rejected};
use crate::domain::{SourceKey, Timestamp};
use crate::provider::decoy::hash_for_nothing;
use crate::provider::{LiveSecret, Secrets};

const TOKEN: &str = "x-gitlab-token";
const EVENT: &str = "x-gitlab-event";
const KEY: &str = "idempotency-key";
const ID: &str = "webhook-id";
const TIME: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// How far a signed time may lie from ours, either way.
const TOLERANCE_MS: u64 = 300_000;

/// Before 17.4 GitLab sends no id. The same event and body mean the same delivery only for this long.
const SAME_BODY_MS: i64 = 600_000;

/// Longest header value that is kept.
const MAX_EVENT: usize = 128;
const MAX_ID: usize = 256;

/// Proves a source's deliveries.
pub struct Verifier {
    plain: Vec<Plain>,
    signing: Vec<Signing>,
}

struct Plain {
    digest: Zeroizing<[u8; 32]>,
    not_after: Option<Timestamp>,
}

struct Signing {
    key: signing::Key,
    not_after: Option<Timestamp>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Verifier");
        out.field("plain", &self.plain.len()).field("signing", &self.signing.len()).finish_non_exhaustive()
    }
}

/// What a proof has shown.
struct Proof<'a> {
    slot: usize,
    /// The id, when the signature covers it.
    signed_id: Option<&'a str>,
}

impl Verifier {
    /// Builds it.
    ///
    /// # Errors
    /// When there is no secret at all, one is empty, or a signing token is no `whsec_` token.
    pub fn new(source: SourceKey, secrets: Secrets) -> Result<Self, String> {
        if secrets.webhook.is_empty() && secrets.signing.is_empty() {
            return Err(format!(
                "source \"{source}\" has no secret; without one anybody could send it deliveries, so it is not \
                 opened; set webhook_secrets or signing_tokens"
            ));
        }
        let plain = read_slots(&source, "webhook_secrets", &secrets.webhook, |secret| Some(digest(secret)))?;
        let signing = read_slots(&source, "signing_tokens", &secrets.signing, signing::Key::parse)?;
        Ok(Self {
            plain: plain.into_iter().map(|(digest, not_after)| Plain { digest, not_after }).collect(),
            signing: signing.into_iter().map(|(key, not_after)| Signing { key, not_after }).collect(),
        })
    }

    fn prove<'a>(&self, raw: &'a RawDelivery, now: Timestamp) -> Result<Proof<'a>, Rejected> {
        if !self.signing.is_empty() {
            return self.prove_signature(raw, now);
        }
        // A wrong token must not be told from an unknown source by the time it takes.
        self.prove_token(raw, now).inspect_err(|_| hash_for_nothing(&raw.body, self.passes()))
    }

    fn prove_signature<'a>(&self, raw: &'a RawDelivery, now: Timestamp) -> Result<Proof<'a>, Rejected> {
        let missing = [SIGNATURE, ID, TIME].into_iter().any(|name| !raw.has_header(name));
        let read = (raw.header(SIGNATURE), raw.header(ID), raw.header(TIME));
        let (Some(signature), Some(id), Some(time)) = read else {
            hash_for_nothing(&raw.body, self.passes());
            return Err(if missing { Rejected::ProofMissing } else { Rejected::ProofWrong });
        };
        let mut proven = None;
        // Every token is tried, the ended ones too: how many there are must not show in the time.
        for (slot, token) in self.signing.iter().enumerate() {
            let tag = token.key.tag(id, time, &raw.body).ok_or(Rejected::ProofWrong)?;
            let holds = bool::from(signing::holds(signature, &tag)) & is_live(token.not_after, now);
            proven = proven.or(holds.then_some(slot));
        }
        let slot = proven.ok_or(Rejected::ProofWrong)?;
        check_time(time, now)?;
        Ok(Proof { slot, signed_id: Some(id) })
    }

    fn prove_token<'a>(&self, raw: &'a RawDelivery, now: Timestamp) -> Result<Proof<'a>, Rejected> {
        if !raw.has_header(TOKEN) {
            return Err(Rejected::ProofMissing);
        }
        let claimed = digest(raw.header(TOKEN).ok_or(Rejected::ProofWrong)?);
        let mut proven = None;
        for (slot, token) in self.plain.iter().enumerate() {
            let holds = bool::from(token.digest.as_slice().ct_eq(claimed.as_slice()));
            proven = proven.or((holds && is_live(token.not_after, now)).then_some(slot));
        }
        proven.map(|slot| Proof { slot, signed_id: None }).ok_or(Rejected::ProofWrong)
    }
}

impl Authenticate for Verifier {
    fn authenticate(&self, raw: &RawDelivery, now: Timestamp) -> Result<Envelope, Rejected> {
        let proof = self.prove(raw, now)?;
        if !raw.header("content-type").is_some_and(is_json) {
            return Err(Rejected::MediaType);
        }
        let event = bounded(raw, EVENT, MAX_EVENT)
            .ok_or(Rejected::Malformed("x-gitlab-event is missing, repeated or not plain text"))?;
        let (external_id, same_within_ms) = identify(raw, event, proof.signed_id)?;
        Ok(Envelope {
            external_id,
            hook_id: String::new(),
            event: event.to_owned(),
            encoding: Encoding::Json,
            secret_slot: u8::try_from(proof.slot).unwrap_or(u8::MAX),
            same_within_ms,
        })
    }

    fn passes(&self) -> usize {
        self.signing.len().max(1)
    }
}

/// Signs a delivery as GitLab 19 does: the value of `webhook-signature`.
///
/// # Errors
/// When the token is not `whsec_` and standard base64 of 24 to 64 bytes.
pub fn sign(token: &str, id: &str, timestamp: i64, body: &[u8]) -> Result<String, String> {
    let tag = signing::Key::parse(token).and_then(|key| key.tag(id, &timestamp.to_string(), body));
    let tag = tag.ok_or_else(|| format!("cannot sign: the token {TOKEN_SHAPE}; nothing was sent"))?;
    Ok(signing::entry(&tag))
}

const TOKEN_SHAPE: &str = "is not \"whsec_\" followed by standard base64 of 24 to 64 bytes";

/// Reads every slot of a list, or names the first that is no secret.
fn read_slots<T>(
    source: &SourceKey,
    list: &str,
    secrets: &[LiveSecret],
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<(T, Option<Timestamp>)>, String> {
    let mut out = Vec::with_capacity(secrets.len());
    for (slot, live) in secrets.iter().enumerate() {
        let text = live.secret.expose_secret();
        let wrong = |why: &str| {
            format!(
                "source \"{source}\": {list}[{slot}] {why}; the source is not opened; set it to what GitLab has"
            )
        };
        if text.is_empty() {
            return Err(wrong("is empty"));
        }
        out.push((read(text).ok_or_else(|| wrong(TOKEN_SHAPE))?, live.not_after));
    }
    Ok(out)
}

/// Equal lengths whatever the token, so that the comparison tells nothing of its length either.
fn digest(token: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Sha256::digest(token.as_bytes()).into())
}

fn is_live(not_after: Option<Timestamp>, now: Timestamp) -> bool {
    not_after.is_none_or(|end| now < end)
}

fn check_time(text: &str, now: Timestamp) -> Result<(), Rejected> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse::<i64>().ok().filter(|_| digits).ok_or(Rejected::Stale)?;
    let signed = Timestamp::from_ms(seconds.saturating_mul(1000));
    if now.since(signed).unsigned_abs() <= TOLERANCE_MS { Ok(()) } else { Err(Rejected::Stale) }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// A header's only value, if it is short and printable ASCII.
fn bounded<'a>(raw: &'a RawDelivery, name: &str, max: usize) -> Option<&'a str> {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    raw.header(name).filter(|value| (1..=max).contains(&value.len()) && value.bytes().all(printable))
}

/// The delivery's id, and for how long it tells one delivery from another.
fn identify(raw: &RawDelivery, event: &str, signed: Option<&str>) -> Result<(String, Option<i64>), Rejected> {
    let read = |name: &str| match bounded(raw, name, MAX_ID) {
        None if raw.has_header(name) => {
            Err(Rejected::Malformed("the delivery's id is repeated, too long or not plain text"))
        }
        id => Ok(id),
    };
    let (key, id) = (read(KEY)?, read(ID)?);
    // Only webhook-id is covered by the signature: another idempotency-key was put there on the way.
    if signed.is_some() && key.is_some_and(|key| id != Some(key)) {
        return Err(Rejected::Malformed("idempotency-key differs from the signed webhook-id"));
    }
    if let Some(id) = key.or(id) {
        return Ok((id.to_owned(), None));
    }
    let mut hash = Sha256::new();
    for part in [event.as_bytes(), b"\n", &raw.body] {
        hash.update(part);
    }
    Ok((hex::encode(hash.finalize()), Some(SAME_BODY_MS)))
}

#[cfg(test)]
mod tests;
