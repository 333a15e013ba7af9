//! The issuers' keys: fetched from the configured address alone, kept while they are good, asked for anew sparingly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jsonwebtoken::DecodingKey;
use serde_json::Value;

use super::Issuer;
use crate::domain::Timestamp;
use crate::telemetry::{Fault, report};

/// After so long they are looked at again, so that a withdrawn key ends.
const FRESH_MS: i64 = 10 * 60 * 1000;
/// So long they do when they cannot be read anew.
const STALE_MS: i64 = 24 * 60 * 60 * 1000;
/// Asked no more often: anybody can make up the name of a key.
const APART_MS: i64 = 60 * 1000;
/// After a failure sooner, as long as there is nothing to go by.
const AGAIN_MS: i64 = 10 * 1000;
const SET_BYTES_MAX: usize = 512 * 1024;
const KEYS_MAX: usize = 100;
/// Bytes of an RSA modulus.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Reads an issuer's key set.
#[async_trait]
pub trait FetchKeys: Send + Sync {
    /// The document at the issuer's address of keys.
    ///
    /// # Errors
    /// With what went wrong, in our own words.
    async fn fetch(&self, issuer: &Issuer) -> Result<Bytes, String>;
}

/// The keys of an issuer cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the keys of {issuer} cannot be read now: {why}")]
pub struct KeysUnavailable {
    /// Whose.
    pub issuer: String,
    /// What went wrong.
    pub why: String,
}

/// A key that checks signatures.
#[derive(Clone)]
pub(super) struct PublicKey(Arc<DecodingKey>);

impl PublicKey {
    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.0
    }
}

type KeySet = HashMap<String, PublicKey>;

#[derive(Default)]
struct Kept {
    keys: Arc<KeySet>,
    /// When they were read last.
    read_at: Option<Timestamp>,
    /// When somebody tried last, and how that ended.
    tried_at: Option<Timestamp>,
    failure: Option<String>,
}

#[derive(Default)]
struct Slot {
    kept: Mutex<Kept>,
    /// One fetch at a time; those who come meanwhile wait for it.
    fetching: tokio::sync::Mutex<()>,
}

/// What to do about a key that is asked for.
enum Found {
    Key(PublicKey),
    Nothing,
    Fetch,
    Unavailable(String),
}

impl Slot {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, name: &str, now: Timestamp) -> Found {
        let kept = self.kept();
        let age = kept.read_at.map(|at| now.since(at));
        let key = kept.keys.get(name).cloned();
        if let (Some(key), Some(age)) = (&key, age)
            && age < FRESH_MS
        {
            return Found::Key(key.clone());
        }
        let apart = if kept.failure.is_some() && kept.read_at.is_none() { AGAIN_MS } else { APART_MS };
        if kept.tried_at.is_none_or(|at| now.since(at) >= apart) {
            return Found::Fetch;
        }
        match (key, age, &kept.failure) {
            (Some(key), Some(age), _) if age < STALE_MS => Found::Key(key),
            (None, Some(age), _) if age < STALE_MS => Found::Nothing,
            (_, _, failure) => {
                Found::Unavailable(failure.clone().unwrap_or_else(|| "they are too old".into()))
            }
        }
    }

    fn note(&self, read: Result<KeySet, String>, now: Timestamp) {
        let mut kept = self.kept();
        kept.tried_at = Some(now);
        match read {
            Ok(keys) => {
                kept.keys = Arc::new(keys);
                kept.read_at = Some(now);
                kept.failure = None;
            }
            Err(why) => kept.failure = Some(why),
        }
    }
}

/// All issuers' keys.
pub(super) struct KeyRing {
    fetch: Arc<dyn FetchKeys>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

impl KeyRing {
    pub(super) fn new(fetch: Arc<dyn FetchKeys>) -> Self {
        Self { fetch, slots: Mutex::default() }
    }

    /// The issuer's key of this name; `None` when it has none.
    pub(super) async fn find(
        &self,
        issuer: &Issuer,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<PublicKey>, KeysUnavailable> {
        let slot = self.slot(issuer);
        if !matches!(slot.look(name, now), Found::Fetch) {
            return settle(slot.look(name, now), issuer);
        }
        let _turn = slot.fetching.lock().await;
        if matches!(slot.look(name, now), Found::Fetch) {
            let read = self.fetch.fetch(issuer).await.and_then(|document| parse(&document));
            if let Err(why) = &read {
                report!(
                    Fault::IdTokenKeys,
                    issuer = issuer.name,
                    why,
                    "the keys of an issuer of ID tokens cannot be read; those of before count for a day"
                );
            }
            slot.note(read, now);
        }
        settle(slot.look(name, now), issuer)
    }

    fn slot(&self, issuer: &Issuer) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // Keys belong to an address as much as to a name: another address in the config is asked anew.
        let place = format!("{} {}", issuer.name, issuer.jwks_url);
        Arc::clone(slots.entry(place).or_default())
    }
}

fn settle(found: Found, issuer: &Issuer) -> Result<Option<PublicKey>, KeysUnavailable> {
    let unavailable = |why| KeysUnavailable { issuer: issuer.name.clone(), why };
    match found {
        Found::Key(key) => Ok(Some(key)),
        Found::Nothing => Ok(None),
        Found::Unavailable(why) => Err(unavailable(why)),
        Found::Fetch => Err(unavailable("they were read a moment ago and are gone".into())),
    }
}

/// Reads a key set. What is no RSA key for signatures is passed over, so that a new kind of key beside the known ones
/// stops nobody.
fn parse(document: &[u8]) -> Result<KeySet, String> {
    if document.len() > SET_BYTES_MAX {
        return Err("the key set is too large".into());
    }
    let document: Value =
        serde_json::from_slice(document).map_err(|_| "the key set is no JSON".to_owned())?;
    let listed = document.get("keys").and_then(Value::as_array).ok_or("the document has no keys")?;
    let keys: KeySet = listed.iter().take(KEYS_MAX).filter_map(read_key).collect();
    if keys.is_empty() { Err("the key set has no RSA key for signatures".into()) } else { Ok(keys) }
}

fn read_key(key: &Value) -> Option<(String, PublicKey)> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let fits = text("kty") == Some("RSA")
        && text("use").is_none_or(|purpose| purpose == "sig")
        && text("alg").is_none_or(|algorithm| algorithm == "RS256");
    let (name, modulus, exponent) = (text("kid")?, text("n")?, text("e")?);
    let bytes = URL_SAFE_NO_PAD.decode(modulus.trim_end_matches('=')).ok()?;
    let length = bytes.iter().skip_while(|byte| **byte == 0).count();
    if !fits || !MODULUS.contains(&length) {
        return None;
    }
    let decoding = DecodingKey::from_rsa_components(modulus, exponent).ok()?;
    Some((name.to_owned(), PublicKey(Arc::new(decoding))))
}
