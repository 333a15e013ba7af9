//! ID tokens of CI jobs: a forge's signed word about which job of which project is talking.
//!
//! Pure: the keys, the time and our own address are arguments. A token is checked in full or refused; ids decide, names
//! and subjects are shown and never compared.

mod claims;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

pub use claims::Job;

use crate::domain::Timestamp;
use crate::domain::organization::Forge;

/// Bytes of a token. Real ones stay under four thousand.
const BYTES_MAX: usize = 16 << 10;
/// Seconds by which clocks may differ.
const LEEWAY_S: i64 = 60;

/// Whose tokens are believed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The `iss` claim, letter by letter.
    pub name: String,
    /// Whose claims they are.
    pub forge: Forge,
    /// Whether it signs with ES256 as well.
    pub es256: bool,
}

impl Issuer {
    /// Seconds between a token's issue and its end: GitHub's live five minutes, GitLab's as long as a job may run.
    const fn life_max_s(&self) -> i64 {
        match self.forge {
            Forge::Github => 3600,
            Forge::Gitlab => 86_400,
        }
    }
}

/// A token that was checked in full. Made here only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    issuer: String,
    id: String,
    ends_at: Timestamp,
    job: Job,
}

impl Proof {
    /// Who said it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The token's own id, to know it again.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// From then on it is worth nothing.
    #[must_use]
    pub const fn ends_at(&self) -> Timestamp {
        self.ends_at
    }

    /// What it says.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }
}

/// Why a token proves nothing. For the operator's log; a caller is told less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No token at all.
    #[error("it is no token")]
    Shape,
    /// An algorithm that is not on the list: whoever chooses it must not be the sender.
    #[error("it is signed with an algorithm that is not accepted")]
    Algorithm,
    /// Another kind of token.
    #[error("it is no ID token of a job")]
    Kind,
    /// The issuer has no such key, as far as is known.
    #[error("its issuer has no key of that name")]
    Key,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// It comes from somebody else than it was taken for.
    #[error("it comes from another issuer")]
    Issuer,
    /// It was made for somebody else.
    #[error("its audience is not this service alone")]
    Audience,
    /// Its times are missing, are no whole numbers, or are too far apart.
    #[error("its times are missing or make no sense")]
    Times,
    /// It is over.
    #[error("it has expired")]
    Expired,
    /// It has not begun, or was issued in the future.
    #[error("it is not valid yet; check the clocks")]
    NotYet,
    /// The numbers that decide are missing.
    #[error("it names no project by number")]
    Ids,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: Option<String>,
    /// Whatever a sender calls critical is not understood here.
    crit: Option<serde::de::IgnoredAny>,
}

/// The two names in a token by which the keys are found. Nothing is proven yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproven {
    /// Who it says it is from: only to be looked up in a list.
    pub issuer: String,
    /// The key's name.
    pub key: String,
}

/// Reads who a token says it is from.
///
/// # Errors
/// When it is no token, or one that no key could prove.
pub fn peek(token: &str) -> Result<Unproven, Refused> {
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    let parts = Parts::of(token)?;
    let header = parts.header()?;
    let named: Named = read(parts.payload)?;
    Ok(Unproven { issuer: named.iss, key: header.kid })
}

/// Checks a token in full.
///
/// # Errors
/// With the first rule that it breaks.
pub fn verify(
    token: &str,
    issuer: &Issuer,
    key: &DecodingKey,
    audience: &str,
    now: Timestamp,
) -> Result<Proof, Refused> {
    let parts = Parts::of(token)?;
    let algorithm = accepted(&parts.header()?, issuer)?;
    let signed = jsonwebtoken::crypto::verify(parts.signature, parts.message.as_bytes(), key, algorithm);
    if !signed.unwrap_or(false) {
        return Err(Refused::Signature);
    }
    let payload = decode(parts.payload)?;
    let common: claims::Common = serde_json::from_slice(&payload).map_err(|_| Refused::Times)?;
    if common.iss != issuer.name {
        return Err(Refused::Issuer);
    }
    if !common.aud.is_only(audience) {
        return Err(Refused::Audience);
    }
    let ends_at = times(&common, issuer, now)?;
    if common.jti.is_empty() || common.jti.len() > 256 {
        return Err(Refused::Shape);
    }
    let job = match issuer.forge {
        Forge::Github => claims::github(&payload)?,
        Forge::Gitlab => claims::gitlab(&payload)?,
    };
    Ok(Proof { issuer: common.iss, id: common.jti, ends_at, job })
}

/// The issuer's list decides, never the sender.
fn accepted(header: &Header, issuer: &Issuer) -> Result<Algorithm, Refused> {
    let algorithm = match header.alg.as_str() {
        "RS256" => Algorithm::RS256,
        "ES256" if issuer.es256 => Algorithm::ES256,
        _ => return Err(Refused::Algorithm),
    };
    let jwt = header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT"));
    if !jwt || header.crit.is_some() { Err(Refused::Kind) } else { Ok(algorithm) }
}

/// All three times, against each other and against now.
fn times(common: &claims::Common, issuer: &Issuer, now: Timestamp) -> Result<Timestamp, Refused> {
    let now_s = now.ms().div_euclid(1000);
    let (exp, nbf, iat) = (common.exp, common.nbf, common.iat);
    if exp <= iat || exp <= nbf || exp.saturating_sub(iat) > issuer.life_max_s() {
        return Err(Refused::Times);
    }
    if now_s >= exp.saturating_add(LEEWAY_S) {
        return Err(Refused::Expired);
    }
    if now_s < nbf.max(iat).saturating_sub(LEEWAY_S) {
        return Err(Refused::NotYet);
    }
    Ok(Timestamp::from_ms(exp.saturating_mul(1000)))
}

/// A token's three parts.
struct Parts<'a> {
    message: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, Refused> {
        if token.len() > BYTES_MAX {
            return Err(Refused::Shape);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refused::Shape)?;
        let (header, payload) = message.split_once('.').ok_or(Refused::Shape)?;
        let whole = [header, payload, signature].iter().all(|part| !part.is_empty() && !part.contains('.'));
        if !whole {
            return Err(Refused::Shape);
        }
        Ok(Self { message, header, payload, signature })
    }

    fn header(&self) -> Result<Header, Refused> {
        read(self.header)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Shape)
}

/// A name that stands twice is refused by the reader: two parsers must never see two tokens in one.
fn read<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, Refused> {
    serde_json::from_slice(&decode(part)?).map_err(|_| Refused::Shape)
}
