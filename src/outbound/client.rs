//! One endpoint's client: checks the address, asks, follows redirects at home, and reads no more than is taken.

use std::sync::Arc;

use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use secrecy::ExposeSecret as _;
use url::Url;

use super::answer::Answer;
use super::breaker::{Breaker, Held};
use super::endpoint::{Carried, Credential, Endpoint, check_url};
use super::error::{self, Odd, OutboundError, Unreachable};
use super::{Limits, Rules};
use crate::telemetry::metric::{Metric, Value, count};

pub use reqwest::Method;

/// Redirects that are followed, all to the same scheme, host and port.
const HOPS: usize = 3;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// How.
    pub method: Method,
    /// The address, whole; it must be at the client's endpoint.
    pub url: Url,
    /// Headers besides the credential's.
    pub headers: HeaderMap,
    /// What is sent along.
    pub body: Option<Bytes>,
    /// Who asks.
    pub credential: Option<Credential>,
}

impl Request {
    /// Reads an address.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: None, credential: None }
    }
}

/// Calls one endpoint.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) http: reqwest::Client,
    pub(super) endpoint: Endpoint,
    pub(super) provider: &'static str,
    pub(super) breaker: Arc<Breaker>,
    pub(super) rules: Arc<Rules>,
}

impl Client {
    /// Whom it calls.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> crate::domain::Timestamp {
        (self.rules.clock)()
    }

    /// Tells the time.
    #[must_use]
    pub fn clock(&self) -> &crate::domain::time::Clock {
        &self.rules.clock
    }

    fn host(&self) -> String {
        self.endpoint.base().host_str().unwrap_or_default().to_owned()
    }

    /// Asks once. A status is an answer, whatever it says; there is no second try here.
    ///
    /// # Errors
    /// When there is no answer, or it must not be used.
    pub async fn send(&self, request: Request) -> Result<Answer, OutboundError> {
        if request.credential.as_ref().is_some_and(|it| !it.is_for(&self.endpoint)) {
            return Err(OutboundError::Elsewhere);
        }
        let limits = self.rules.limits;
        let admitted = self.breaker.admit(limits.header).await.map_err(|held| self.held(&held))?;
        let asked = tokio::time::timeout(limits.whole, self.follow(request)).await;
        let slow = || OutboundError::Unreachable { host: self.host(), why: Unreachable::Slow };
        let answered = asked.unwrap_or_else(|_| Err(slow()));
        self.count(&answered);
        admitted.end(!is_failure(&answered));
        answered
    }

    fn held(&self, held: &Held) -> OutboundError {
        let host = self.host();
        match held {
            Held::Busy => OutboundError::Unreachable { host, why: Unreachable::Busy },
            Held::Rests(rest) => {
                let ms = i64::try_from(rest.as_millis()).unwrap_or(i64::MAX);
                OutboundError::Resting { host, until: self.now().plus_ms(ms) }
            }
        }
    }

    fn count(&self, answered: &Result<Answer, OutboundError>) {
        let code = match answered.as_ref().map(|answer| answer.status) {
            Ok(429) => "429",
            Ok(200..=299) => "2xx",
            Ok(300..=399) => "3xx",
            Ok(400..=499) => "4xx",
            Ok(_) => "5xx",
            Err(OutboundError::Forbidden { .. }) => "forbidden",
            Err(_) => "error",
        };
        count(Metric::ProviderApiRequests, &[Value::Word(self.provider), Value::Word(code)], 1);
    }

    async fn follow(&self, mut request: Request) -> Result<Answer, OutboundError> {
        for _ in 0..=HOPS {
            let answer = self.ask(&request).await?;
            let Some(target) = redirect(&request, &answer)? else { return Ok(answer) };
            request.url = target;
        }
        Err(OutboundError::Odd { host: self.host(), why: Odd::RedirectEndless })
    }

    /// Checks the address, asks, and reads the answer.
    async fn ask(&self, request: &Request) -> Result<Answer, OutboundError> {
        let Limits { header, body_bytes_max, .. } = self.rules.limits;
        if request.url.origin() != self.endpoint.base().origin() {
            return Err(OutboundError::Odd { host: self.host(), why: Odd::LinkElsewhere });
        }
        check_url(&request.url, self.endpoint.allowed(), self.rules.plain_http)
            .map_err(|why| OutboundError::Forbidden { host: self.host(), why })?;
        let asked = tokio::time::timeout(header, self.built(request).send()).await;
        let slow = OutboundError::Unreachable { host: self.host(), why: Unreachable::Slow };
        let response = asked.map_err(|_| slow)?.map_err(|error| error::read(&error, &self.host()))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = self.body(response, body_bytes_max).await?;
        Ok(Answer { status, headers, body, url: request.url.clone() })
    }

    fn built(&self, request: &Request) -> reqwest::RequestBuilder {
        let mut headers = request.headers.clone();
        if let Some((name, value)) = request.credential.as_ref().and_then(carried) {
            headers.insert(name, value);
        }
        let built = self.http.request(request.method.clone(), request.url.clone()).headers(headers);
        match &request.body {
            Some(body) => built.body(body.clone()),
            None => built,
        }
    }

    /// Counts while reading, so that an endless answer costs no more than a long one.
    async fn body(&self, mut response: reqwest::Response, most: u64) -> Result<Bytes, OutboundError> {
        let odd = |why| OutboundError::Odd { host: self.host(), why };
        let encoded = response.headers().get(CONTENT_ENCODING);
        if encoded.is_some_and(|encoding| encoding.as_bytes() != b"identity") {
            return Err(odd(Odd::Encoded));
        }
        if response.content_length().is_some_and(|bytes| bytes > most) {
            return Err(odd(Odd::TooLarge));
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| error::read(&error, &self.host()))? {
            if body.len().saturating_add(chunk.len()) > most {
                return Err(odd(Odd::TooLarge));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// What the breaker counts: silence, and a forge or a proxy that says itself that it is down.
fn is_failure(answered: &Result<Answer, OutboundError>) -> bool {
    match answered {
        Ok(answer) => matches!(answer.status, 502..=504),
        Err(error) => matches!(error, OutboundError::Unreachable { .. }),
    }
}

/// The header that carries a credential, marked so that it is never logged.
fn carried(credential: &Credential) -> Option<(reqwest::header::HeaderName, HeaderValue)> {
    let secret = credential.secret.expose_secret();
    let (name, text) = match credential.carried {
        Carried::Bearer => (AUTHORIZATION, format!("Bearer {secret}")),
        Carried::PrivateToken => {
            (reqwest::header::HeaderName::from_static("private-token"), secret.to_owned())
        }
        Carried::Basic => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(secret);
            (AUTHORIZATION, format!("Basic {encoded}"))
        }
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// Where an answer sends us, if it does: to the same scheme, host and port, with the method kept.
fn redirect(request: &Request, answer: &Answer) -> Result<Option<Url>, OutboundError> {
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    match answer.status {
        301..=303 if reads => {}
        307 | 308 => {}
        // To send a write again somewhere else, or as a read, is nothing that a redirect may decide.
        301..=303 => return Err(answer.odd(Odd::RedirectElsewhere)),
        _ => return Ok(None),
    }
    let location = answer.header(LOCATION.as_str()).ok_or_else(|| answer.odd(Odd::RedirectEndless))?;
    let target = request.url.join(location).map_err(|_| answer.odd(Odd::RedirectEndless))?;
    let home = target.origin() == request.url.origin();
    if !home || !target.username().is_empty() || target.password().is_some() {
        return Err(answer.odd(Odd::RedirectElsewhere));
    }
    Ok(Some(target))
}
