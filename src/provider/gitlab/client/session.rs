//! One credential's calls.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::granted;
use crate::outbound::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use crate::outbound::{Answer, Client, Credential, Method, Request};
use crate::provider::ProviderError;
use crate::provider::pace::{Pace, Purpose};
use crate::provider::page::{List, Next, Page, Step, Walk, Whole, at};

/// Speaks with one credential.
#[derive(Debug, Clone)]
pub struct Session {
    client: Client,
    credential: Credential,
    pace: Arc<Pace>,
    purpose: Purpose,
}

impl Session {
    pub(super) const fn new(client: Client, credential: Credential, pace: Arc<Pace>) -> Self {
        Self { client, credential, pace, purpose: Purpose::Sync }
    }

    /// The same, for somebody who waits.
    #[must_use]
    pub fn for_person(&self) -> Self {
        Self { purpose: Purpose::Person, ..self.clone() }
    }

    /// Asks, and takes only what was granted.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, ProviderError> {
        let clock = self.client.clock();
        let writes = !matches!(method, Method::GET | Method::HEAD);
        let turn = self.pace.turn(self.purpose, writes, clock).await?;
        let url = at(self.client.endpoint(), path)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let credential = Some(self.credential.clone());
        let answer = self.client.send(Request { method, url, headers, body, credential }).await?;
        self.pace.learn(&answer, clock)?;
        drop(turn);
        granted(answer)
    }

    /// Reads one thing.
    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ProviderError> {
        Ok(self.ask(Method::GET, path, None).await?.json()?)
    }

    /// Reads one page.
    pub(super) async fn page<T>(&self, path: &str) -> Result<Page<T>, ProviderError>
    where
        Vec<T>: List<Item = T>,
    {
        let answer = self.ask(Method::GET, path, None).await?;
        let next = Next::of(&answer, self.client.endpoint())?;
        // Above ten thousand rows GitLab does not count.
        let total = answer.number("x-total");
        Ok(Page { items: answer.json::<Vec<T>>()?, next, total })
    }

    /// Reads a list to its end, which is where the server names no next page, whatever it says of pages in all.
    pub(super) async fn whole<T>(&self, path: &str) -> Result<Whole<T>, ProviderError>
    where
        Vec<T>: List<Item = T>,
    {
        let mut walk = Walk::new();
        let mut page = self.page(path).await?;
        loop {
            match walk.take(page)? {
                Step::Done(whole) => return Ok(whole),
                Step::Read(next) => page = self.page(next.path()).await?,
            }
        }
    }

    /// Changes something; the body is JSON.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, ProviderError> {
        let unwritable =
            |_| ProviderError::Refused { status: 0, why: Some("a request that cannot be written") };
        let body = body.map(serde_json::to_vec).transpose().map_err(unwritable)?;
        self.ask(method, path, body.map(Bytes::from)).await
    }
}
