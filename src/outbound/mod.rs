//! Calls to the outside: the one builder of HTTP clients.
//!
//! Nothing else in the program opens a connection to a forge or an issuer of tokens. What holds for all of them is held
//! here: the guard against addresses that are not called, certificates, proxies, redirects, time and size limits, and
//! the breaker of each host. What a status means is the caller's knowledge.

mod answer;
mod breaker;
mod client;
mod endpoint;
mod error;
mod range;
mod resolver;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use url::Url;

pub use answer::Answer;
pub use client::{Client, Method, Request};
pub use endpoint::{Authority, Binding, Carried, Credential, Endpoint, check_url};
pub use error::{Forbidden, Odd, OutboundError, Tls, Unreachable};
pub use range::{Allowed, check_network};
pub use reqwest::header;

use crate::domain::time::Clock;
use breaker::Breaker;

/// How we introduce ourselves; GitHub refuses who does not.
const USER_AGENT: &str = concat!("scm-connect/", env!("CARGO_PKG_VERSION"));
/// Connections that are kept open to a host between calls, and for how long.
const IDLE_AT_MOST: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(60);

/// How long and how large an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands, its name and its certificate included.
    pub connect: Duration,
    /// Until the answer's headers are there.
    pub header: Duration,
    /// Until all is read, redirects included.
    pub whole: Duration,
    /// Bytes of a body.
    pub body_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            header: Duration::from_secs(10),
            whole: Duration::from_secs(30),
            body_bytes_max: 10 << 20,
        }
    }
}

/// What holds for every call.
pub struct Rules {
    /// Whether plain http is spoken at all.
    pub plain_http: bool,
    /// Private networks that any declared forge may be in.
    pub private: Vec<IpNet>,
    /// Time and size.
    pub limits: Limits,
    /// Tells the time.
    pub clock: Clock,
}

impl Rules {
    /// Whether the same is allowed by both.
    fn are(&self, other: &Self) -> bool {
        (self.plain_http, &self.private, self.limits) == (other.plain_http, &other.private, other.limits)
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("plain_http", &self.plain_http).field("private", &self.private).finish()
    }
}

/// What makes two clients different: who is believed, which way is taken, what may be dialled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Profile {
    authority: Option<Authority>,
    proxy: Option<Url>,
    allowed: Allowed,
}

/// Makes clients, one connection pool per profile and one breaker per host.
#[derive(Debug, Clone)]
pub struct Outbound {
    rules: Arc<Rules>,
    pools: Arc<Mutex<HashMap<Profile, reqwest::Client>>>,
    breakers: Arc<Mutex<HashMap<String, Arc<Breaker>>>>,
}

impl Outbound {
    /// With these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules: Arc::new(rules), pools: Arc::default(), breakers: Arc::default() }
    }

    /// Goes on with what was learnt by an earlier one: which hosts do not answer; and, `true`, under the same rules, so
    /// that its clients may be used as they are.
    #[must_use]
    pub fn following(self, earlier: &Self) -> (Self, bool) {
        if self.rules.are(&earlier.rules) {
            return (earlier.clone(), true);
        }
        (Self { breakers: Arc::clone(&earlier.breakers), ..self }, false)
    }

    /// A client of this endpoint. `provider` is `github` or `gitlab`, for the metrics.
    ///
    /// # Errors
    /// When the endpoint's address or its proxy's is one that is never called, or no client can be built.
    pub fn open(&self, endpoint: Endpoint, provider: &'static str) -> Result<Client, OutboundError> {
        let host = endpoint.base().host_str().unwrap_or_default().to_owned();
        let forbidden = |why| OutboundError::Forbidden { host: host.clone(), why };
        check_url(endpoint.base(), endpoint.allowed(), self.rules.plain_http).map_err(forbidden)?;
        if let Some(proxy) = endpoint.proxy() {
            // Plain http to the proxy is how proxies work; what goes through it is still TLS.
            check_url(proxy, endpoint.allowed(), true).map_err(forbidden)?;
        }
        let http = self.pool(&endpoint).map_err(|error| error::read(&error, &host))?;
        let origin = endpoint.base().origin().ascii_serialization();
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = Arc::clone(breakers.entry(origin).or_insert_with(|| Arc::new(Breaker::new())));
        Ok(Client { http, endpoint, provider, breaker, rules: Arc::clone(&self.rules) })
    }

    /// An endpoint of the operator's file: its own private networks, and those of all forges.
    #[must_use]
    pub fn declared(
        &self,
        base: Url,
        authority: Option<Authority>,
        proxy: Option<Url>,
        private: &[IpNet],
    ) -> Endpoint {
        let private = private.iter().chain(&self.rules.private).copied();
        Endpoint::declared(base, authority, proxy, private)
    }

    fn pool(&self, endpoint: &Endpoint) -> reqwest::Result<reqwest::Client> {
        let profile = Profile {
            authority: endpoint.authority().cloned(),
            proxy: endpoint.proxy().cloned(),
            allowed: endpoint.allowed().clone(),
        };
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&profile) {
            return Ok(pool.clone());
        }
        let pool = build(&profile, self.rules.limits)?;
        pools.insert(profile, pool.clone());
        Ok(pool)
    }
}

fn build(profile: &Profile, limits: Limits) -> reqwest::Result<reqwest::Client> {
    let mut headers = HeaderMap::new();
    // Nothing compressed is asked for and nothing compressed is taken, so that a small answer cannot become a huge one.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(limits.connect)
        .pool_max_idle_per_host(IDLE_AT_MOST)
        .pool_idle_timeout(IDLE_FOR)
        .dns_resolver(resolver::Guard(profile.allowed.clone()));
    if let Some(authority) = &profile.authority {
        builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(authority.pem())?);
    }
    if let Some(proxy) = &profile.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.clone())?);
    }
    builder.build()
}
