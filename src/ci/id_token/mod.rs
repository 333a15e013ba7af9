//! The ID tokens of GitLab's and GitHub's CI jobs, checked in full (security S41).
//!
//! The token is read unverified for two things only: its issuer, which must be letter by letter one of the operator's or
//! of an organization's own forges, and the name of its key, which is looked up in that issuer's own key set. Nothing else
//! in it is believed before the signature is checked: no algorithm, no key, no address.

mod claims;
mod issuer;
mod keys;
mod own;
mod text;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::Algorithm;

pub use issuer::{InvalidIssuer, Issuer};
pub use keys::{FetchKeys, KeysUnavailable};
pub use own::{ListIssuers, Recorded};

use crate::domain::ci::{Facts, ProveJob, ProvenJob};
use crate::domain::{OrganizationSlug, Timestamp};
use crate::store::StoreError;
use keys::{KeyRing, PublicKey};
use own::OwnForges;
use text::Token;

/// The only algorithm that is taken: both forges sign with it.
const ALGORITHM: Algorithm = Algorithm::RS256;
/// How far another clock may be off.
const LEEWAY_S: i64 = 60;

/// Why a token proves nothing. For the operator's log; the caller is told little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is no token of this kind at all.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// It asks for another algorithm.
    #[error("its algorithm is not RS256")]
    Algorithm,
    /// It is signed by nobody we know.
    #[error("its issuer is not known")]
    Issuer,
    /// Its issuer has no such key.
    #[error("its issuer has no key of that name")]
    Key,
    /// The signature is wrong.
    #[error("its signature does not match")]
    Signature,
    /// It was made for somebody else.
    #[error("its audience is not this server's public_url, alone")]
    Audience,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
    /// Its time has not come.
    #[error("its time has not come")]
    NotYet,
    /// It lives longer than its forge's tokens do.
    #[error("it lives longer than this forge's tokens do")]
    Life,
    /// A claim is missing, or is not what the forge documents.
    #[error("its claim {0} is missing or is not what the forge documents")]
    Claim(&'static str),
}

/// Why a token could not be shown to prove something.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// It proves nothing.
    #[error("{0}")]
    Rejected(#[from] Rejected),
    /// Nobody can say: the issuer's keys cannot be read now.
    #[error("{0}")]
    Keys(#[from] KeysUnavailable),
    /// Nobody can say: the organizations' own forges cannot be read now.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Checks ID tokens.
pub struct Verifier {
    audience: String,
    issuers: RwLock<Arc<Vec<Issuer>>>,
    own: OwnForges,
    keys: KeyRing,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("audience", &self.audience).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Tokens must be made for `public_url`, without a slash at its end, by one of the operator's `issuers` or by a forge
    /// that an organization has connected itself.
    #[must_use]
    pub fn new(
        public_url: &url::Url,
        issuers: Vec<Issuer>,
        own: Arc<dyn ListIssuers>,
        fetch: Arc<dyn FetchKeys>,
    ) -> Self {
        let audience = public_url.as_str().trim_end_matches('/').to_owned();
        let (own, keys) = (OwnForges::new(own), KeyRing::new(fetch));
        Self { audience, issuers: RwLock::new(Arc::new(issuers)), own, keys }
    }

    /// What a job has to ask its token for.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Believes these issuers of the operator's from now on, and no others beside the organizations' own forges.
    pub fn set_issuers(&self, issuers: Vec<Issuer>) {
        *self.issuers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(issuers);
    }

    /// Checks a token; with a CI token, for the organization that it names.
    ///
    /// # Errors
    /// When it proves nothing, or nobody can say.
    pub async fn check(
        &self,
        token: &str,
        caller: Option<&OrganizationSlug>,
        now: Timestamp,
    ) -> Result<ProvenJob, Unproven> {
        let token = Token::read(token)?;
        let issuers = Arc::clone(&self.issuers.read().unwrap_or_else(PoisonError::into_inner));
        let own;
        let issuer = if let Some(known) = issuers.iter().find(|known| known.name == token.issuer()) {
            known
        } else {
            own = self.own.find(token.issuer(), caller).await?.ok_or(Rejected::Issuer)?;
            &own
        };
        let key = self.keys.find(issuer, token.key(), now).await?.ok_or(Rejected::Key)?;
        let bound = Bound { token: &token, issuer, key: &key, audience: &self.audience };
        Ok(ProvenJob::check(&bound, now)?)
    }
}

/// A token with everything that checks it.
struct Bound<'a> {
    token: &'a Token<'a>,
    issuer: &'a Issuer,
    key: &'a PublicKey,
    audience: &'a str,
}

impl ProveJob for Bound<'_> {
    type Rejected = Rejected;

    fn prove(&self, now: Timestamp) -> Result<Facts, Rejected> {
        let (message, signature) = self.token.signed();
        let genuine =
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), self.key.decoding(), ALGORITHM);
        if !genuine.unwrap_or(false) {
            return Err(Rejected::Signature);
        }
        claims::read(self.token.claims(), self.issuer, self.audience, now)
    }
}
