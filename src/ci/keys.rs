//! The keys of those whose tokens are believed: fetched from themselves, kept for a while, and not at a sender's whim.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::id_token::Issuer;
use crate::domain::organization::Forge;
use crate::outbound::{Client, Endpoint, Outbound, OutboundError, Request, Unreachable};

/// Between two fetches of one issuer's keys, whatever senders name.
const PAUSE: Duration = Duration::from_secs(60);
/// After that they are fetched again when next needed.
const FRESH: Duration = Duration::from_secs(3600);
/// After that they are not used any more, also when the issuer is away.
const STALE: Duration = Duration::from_secs(86_400);
/// Keys of one issuer; the real ones have two or three.
const KEYS_MAX: usize = 100;

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The issuer has none of that name, as of the last fetch.
    #[error("the issuer has no key of that name")]
    Unknown,
    /// The issuer's keys cannot be had.
    #[error("the issuer's keys cannot be fetched: {0}")]
    Away(OutboundError),
    /// The issuer's own description names another issuer, or keys at another place.
    #[error("the issuer's description is not about itself")]
    Foreign,
}

/// One issuer's keys, as they were when fetched.
#[derive(Default)]
struct Kept {
    keys: HashMap<String, DecodingKey>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

/// The keys of one issuer.
pub struct Keys {
    issuer: Issuer,
    client: Client,
    /// Where they are, when the config says so; otherwise the issuer's description does.
    declared: Option<Url>,
    kept: Mutex<Kept>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys of {}", self.issuer.name)
    }
}

#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: Url,
}

#[derive(Deserialize)]
struct Set {
    /// One by one, because one key of a new kind must not hide all others.
    keys: Vec<serde_json::Value>,
}

impl Keys {
    /// The keys of an issuer that is on our list. `endpoint` is the way to it, or to where the config says its keys are.
    ///
    /// # Errors
    /// When the address is one that is never called.
    pub fn of(
        outbound: &Outbound,
        issuer: Issuer,
        endpoint: Endpoint,
        declared: Option<Url>,
    ) -> Result<Self, OutboundError> {
        let provider = match issuer.forge {
            Forge::Github => "github",
            Forge::Gitlab => "gitlab",
        };
        let client = outbound.open(endpoint, provider)?;
        Ok(Self { issuer, client, declared, kept: Mutex::default() })
    }

    /// Whose keys they are.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The key of this name. Whoever comes while keys are fetched waits for that fetch.
    ///
    /// # Errors
    /// When there is none, or none can be had.
    pub async fn key(&self, name: &str) -> Result<DecodingKey, NoKey> {
        let mut kept = self.kept.lock().await;
        let now = Instant::now();
        let age = kept.fetched.map(|at| now.duration_since(at));
        let known = kept.keys.contains_key(name);
        let rested = kept.tried.is_none_or(|at| now.duration_since(at) >= PAUSE);
        let mut failed = None;
        if rested && (!known || age.is_none_or(|age| age >= FRESH)) {
            kept.tried = Some(now);
            match self.fetch().await {
                Ok(keys) => {
                    kept.keys = keys;
                    kept.fetched = Some(now);
                }
                Err(error) => failed = Some(error),
            }
        }
        if kept.fetched.is_none_or(|at| now.duration_since(at) >= STALE) {
            kept.keys.clear();
        }
        match (kept.keys.get(name), failed) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some(error)) => Err(error),
            (None, None) => Err(NoKey::Unknown),
        }
    }

    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>, NoKey> {
        let set = self.get(self.place().await?).await?;
        let set: Set = set.json().map_err(NoKey::Away)?;
        Ok(set.keys.into_iter().take(KEYS_MAX).filter_map(usable).collect())
    }

    /// Where the keys are: at the issuer's own place, or where the operator says.
    async fn place(&self) -> Result<Url, NoKey> {
        if let Some(declared) = &self.declared {
            return Ok(declared.clone());
        }
        let base = self.client.endpoint().base();
        let place = base.join(".well-known/openid-configuration").map_err(|_| NoKey::Foreign)?;
        let described: Description = self.get(place).await?.json().map_err(NoKey::Away)?;
        if described.issuer != self.issuer.name || described.jwks_uri.origin() != base.origin() {
            return Err(NoKey::Foreign);
        }
        Ok(described.jwks_uri)
    }

    async fn get(&self, url: Url) -> Result<crate::outbound::Answer, NoKey> {
        let answer = self.client.send(Request::get(url)).await.map_err(NoKey::Away)?;
        if answer.is_success() {
            return Ok(answer);
        }
        let host = answer.url.host_str().unwrap_or_default().to_owned();
        Err(NoKey::Away(OutboundError::Unreachable { host, why: Unreachable::Down(answer.status) }))
    }
}

/// A named key that signs and is of a kind that is accepted.
fn usable(value: serde_json::Value) -> Option<(String, DecodingKey)> {
    let key: Jwk = serde_json::from_value(value).ok()?;
    let name = key.common.key_id.clone().filter(|name| !name.is_empty() && name.len() <= 256)?;
    let signs = key.common.public_key_use.as_ref().is_none_or(|use_| *use_ == PublicKeyUse::Signature);
    let accepted =
        matches!(key.algorithm, AlgorithmParameters::RSA(_) | AlgorithmParameters::EllipticCurve(_));
    if !signs || !accepted {
        return None;
    }
    DecodingKey::from_jwk(&key).ok().map(|read| (name, read))
}

/// All whose tokens are believed. A name that is not on the list is never called.
#[derive(Debug, Clone, Default)]
pub struct Issuers(HashMap<String, Arc<Keys>>);

impl Issuers {
    /// These, by their names.
    #[must_use]
    pub fn new(all: impl IntoIterator<Item = Keys>) -> Self {
        Self(all.into_iter().map(|keys| (keys.issuer.name.clone(), Arc::new(keys))).collect())
    }

    /// The one of exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Keys>> {
        self.0.get(name)
    }
}
