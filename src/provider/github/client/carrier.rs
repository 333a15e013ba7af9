//! Carries one identity's requests: GitHub's headers, its rate rules, its clock, and tokens that are renewed in time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::error::{self, GITHUB};
use super::jwt::AppKey;
use super::token::{Grant, METADATA, Minted, Tokens};
use crate::outbound::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use crate::outbound::{Answer, Carried, Client, Credential, Request};
use crate::provider::clock::theirs_s;
use crate::provider::pace::{Pace, Purpose};
use crate::provider::{ProviderError, page};

const MEDIA: &str = "application/vnd.github+json";
/// Understood by github.com and by every server version that is supported.
const API_VERSION: &str = "2022-11-28";
/// Up to here a difference of clocks is made good; beyond it somebody must look.
const SKEW_MAX_S: i64 = 330;
/// A token this young may not have reached all of the forge's machines.
const FRESH: Duration = Duration::from_secs(5);

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    /// Nobody: what needs no proof.
    Nobody,
    /// The App itself.
    App(Arc<AppKey>),
    /// The App where it is installed.
    Installation(Arc<Tokens>),
    /// A personal token, or a user's.
    Token(Credential),
}

/// One request, as the callers put it.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// Relative to the API's base, query included.
    pub(super) path: String,
    pub(super) body: Option<Bytes>,
    /// The tag of what we have.
    pub(super) unless: Option<HeaderValue>,
    /// What an installation needs for it.
    pub(super) grant: Grant,
}

impl Ask {
    pub(super) const fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None, unless: None, grant: METADATA }
    }
}

/// Carries the requests of one identity for one purpose.
#[derive(Debug, Clone)]
pub(super) struct Carrier {
    pub(super) client: Client,
    pub(super) identity: Identity,
    pub(super) pace: Arc<Pace>,
    pub(super) purpose: Purpose,
    pub(super) skew: Arc<error::Skew>,
}

impl Carrier {
    /// Asks, and asks once more where GitHub's rules say that the first refusal may be nobody's fault.
    pub(super) async fn carry(&self, ask: Ask) -> Result<Answer, ProviderError> {
        let (credential, minted) = self.credential(ask.grant).await?;
        let answer = self.once(&ask, credential).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        match &self.identity {
            Identity::App(_) => {
                self.skew.learn(&answer, &self.client, SKEW_MAX_S)?;
                self.once(&ask, self.credential(ask.grant).await?.0).await
            }
            Identity::Installation(tokens) => {
                if let Some(minted) = &minted {
                    // A stranger to part of the forge yet, or void: a new one is tried, once.
                    if minted.age() < FRESH {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    tokens.forget(minted).await;
                }
                self.once(&ask, self.credential(ask.grant).await?.0).await
            }
            Identity::Nobody | Identity::Token(_) => Ok(answer),
        }
    }

    async fn credential(
        &self,
        grant: Grant,
    ) -> Result<(Option<Credential>, Option<Arc<Minted>>), ProviderError> {
        match &self.identity {
            Identity::Nobody => Ok((None, None)),
            Identity::Token(credential) => Ok((Some(credential.clone()), None)),
            Identity::App(key) => {
                let now_s = self.client.now().ms().div_euclid(1000);
                // Only a broken key fails here, and then the forge would refuse it just so.
                let signed =
                    key.sign(self.skew.theirs_s(now_s)).map_err(|_| ProviderError::CredentialRefused)?;
                Ok((Some(Credential::new(signed, Carried::Bearer, self.client.endpoint())), None))
            }
            Identity::Installation(tokens) => {
                let minted = tokens.current(self.purpose, grant).await?;
                Ok((Some(minted.credential.clone()), Some(minted)))
            }
        }
    }

    async fn once(&self, ask: &Ask, credential: Option<Credential>) -> Result<Answer, ProviderError> {
        let writes = !matches!(ask.method, Method::GET | Method::HEAD);
        let clock = self.client.clock();
        let turn = self.pace.turn(self.purpose, writes, clock).await?;
        let url = page::at(self.client.endpoint(), &ask.path)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(MEDIA));
        headers
            .insert(HeaderName::from_static("x-github-api-version"), HeaderValue::from_static(API_VERSION));
        if let Some(tag) = &ask.unless {
            headers.insert(IF_NONE_MATCH, tag.clone());
        }
        if ask.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request =
            Request { method: ask.method.clone(), url, headers, body: ask.body.clone(), credential };
        let answer = self.client.send(request).await;
        let answer = answer?;
        self.pace.learn(&answer, clock)?;
        drop(turn);
        Ok(answer)
    }

    /// A name for who reads, to keep apart what different credentials see.
    pub(super) fn reader(&self) -> String {
        match &self.identity {
            Identity::Nobody => "nobody".into(),
            Identity::App(key) => format!("app {}", key.issuer()),
            Identity::Installation(tokens) => tokens.reader(),
            Identity::Token(credential) => format!("token {}", credential.fingerprint()),
        }
    }
}

/// What GitHub's answers call things; shared by all of its credentials.
pub(super) fn pace() -> Arc<Pace> {
    Arc::new(Pace::new(&GITHUB))
}

/// Seconds since the epoch by the forge's clock, or ours where it does not say.
pub(super) fn now_s(answer: &Answer, client: &Client) -> i64 {
    theirs_s(answer).unwrap_or_else(|| client.now().ms().div_euclid(1000))
}
