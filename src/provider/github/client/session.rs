//! One identity's calls: reads that cost little when nothing changed, lists that are whole or nothing, writes.

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::carrier::{Ask, Carrier, Identity};
use super::error::granted;
use super::octo;
use super::scope::{Level, Scopes};
use super::token::{Grant, METADATA};
use crate::outbound::Answer;
use crate::outbound::header::ETAG;
use crate::provider::page::{List, Next, Page, Step, Walk, Whole, at};
use crate::provider::reads::{Kept, Key};
use crate::provider::{ProviderError, Purpose, Reads};

/// What a call needs; named when it is missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    pub(super) permission: &'static str,
    pub(super) level: Level,
    pub(super) scope: &'static str,
    /// Both, for people.
    pub(super) name: &'static str,
}

impl Need {
    pub(super) const fn grant(self) -> Grant {
        Grant { permission: self.permission, level: self.level }
    }
}

/// A refusal says what was needed, where that is known.
fn needing(error: ProviderError, need: Option<Need>) -> ProviderError {
    match need {
        Some(need) => error.needing(need.name),
        None => error,
    }
}

/// Speaks for one identity.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) carrier: Carrier,
    pub(super) reads: Reads,
}

impl Session {
    /// The same, for somebody who waits: the share of the budget that synchronisation leaves is theirs.
    #[must_use]
    pub fn for_person(&self) -> Self {
        let carrier = Carrier { purpose: Purpose::Person, ..self.carrier.clone() };
        Self { carrier, reads: self.reads.clone() }
    }

    /// octocrab over the same carrier: limits, tokens, guard and pace are those of this session.
    #[must_use]
    pub fn octocrab(&self) -> octocrab::Octocrab {
        octo::over(self.carrier.clone())
    }

    /// Asks, and takes only what was granted.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Answer, ProviderError> {
        granted(self.carrier.carry(ask).await?)
    }

    /// Reads one thing.
    pub(super) async fn read<T>(&self, path: String) -> Result<T, ProviderError>
    where
        T: Serialize + DeserializeOwned,
    {
        Ok(self.conditional(path, METADATA, None).await?.0)
    }

    /// Reads one thing that an installation needs this for; of a token's scopes, the forge's answer tells.
    pub(super) async fn read_as<T>(&self, path: String, need: Need) -> Result<T, ProviderError>
    where
        T: Serialize + DeserializeOwned,
    {
        let read = self.conditional(path, need.grant(), None).await;
        Ok(read.map_err(|error| error.needing(need.name))?.0)
    }

    /// Reads one page.
    pub(super) async fn page<L: List>(
        &self,
        path: String,
        need: Option<Need>,
    ) -> Result<Page<L::Item>, ProviderError> {
        let grant = need.map_or(METADATA, Need::grant);
        let (list, next) = self.conditional::<L>(path, grant, need).await?;
        Ok(Page { total: list.total(), items: list.into_items(), next })
    }

    /// Reads a list to its end.
    pub(super) async fn whole<L: List>(
        &self,
        path: String,
        need: Option<Need>,
    ) -> Result<Whole<L::Item>, ProviderError> {
        let mut walk = Walk::new();
        let mut page = self.page::<L>(path, need).await?;
        loop {
            match walk.take(page)? {
                Step::Done(whole) => return Ok(whole),
                Step::Read(next) => page = self.page::<L>(next.path().to_owned(), need).await?,
            }
        }
    }

    /// Reads, and says the tag of what we have, so that the forge need not say it again.
    async fn conditional<T>(
        &self,
        path: String,
        grant: Grant,
        need: Option<Need>,
    ) -> Result<(T, Option<Next>), ProviderError>
    where
        T: Serialize + DeserializeOwned,
    {
        self.check(need).await?;
        let key = Key::new(&self.carrier.reader(), &at(self.carrier.client.endpoint(), &path)?);
        let kept = self.reads.get(&key);
        let unless = kept.as_ref().map(|kept| kept.tag.clone());
        let asked = self.ask(Ask { unless, grant, ..Ask::get(path) }).await;
        let answer = asked.map_err(|error| needing(error, need))?;
        still_allowed(&answer, need)?;
        if let (304, Some(kept)) = (answer.status, &kept) {
            let read = kept.read().ok_or_else(|| odd(&answer))?;
            return Ok((read, kept.next.clone()));
        }
        let read: T = answer.json()?;
        let next = Next::of(&answer, self.carrier.client.endpoint())?;
        let tag = answer.headers.get(ETAG).cloned();
        if let Some(kept) = tag.and_then(|tag| Kept::new(tag, &read, next.clone())) {
            self.reads.keep(key, kept);
        }
        Ok((read, next))
    }

    /// An installation that was not granted what a list needs would be shown a part of it as if it were all.
    async fn check(&self, need: Option<Need>) -> Result<(), ProviderError> {
        let (Some(need), Identity::Installation(tokens)) = (need, &self.carrier.identity) else {
            return Ok(());
        };
        let minted = tokens.current(self.carrier.purpose, need.grant()).await;
        if minted.map_err(|error| error.needing(need.name))?.permissions.allow(need.permission, need.level) {
            return Ok(());
        }
        Err(ProviderError::NotPermitted { needs: Some(need.name) })
    }

    /// Changes something; the body is JSON.
    pub(super) async fn write(
        &self,
        method: Method,
        path: String,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, ProviderError> {
        self.write_as(method, path, body, None).await
    }

    /// The same, where an installation needs this for it.
    pub(super) async fn write_as(
        &self,
        method: Method,
        path: String,
        body: Option<&impl Serialize>,
        need: Option<Need>,
    ) -> Result<Answer, ProviderError> {
        let unwritable =
            |_| ProviderError::Refused { status: 0, why: Some("a request that cannot be written") };
        let body = body.map(serde_json::to_vec).transpose().map_err(unwritable)?;
        let (body, grant) = (body.map(Bytes::from), need.map_or(METADATA, Need::grant));
        let answer = self.ask(Ask { method, body, grant, ..Ask::get(path) }).await;
        answer.map_err(|error| needing(error, need))
    }
}

/// A personal token can lose a scope between two pages; what it then is shown is only the public part.
fn still_allowed(answer: &Answer, need: Option<Need>) -> Result<(), ProviderError> {
    match (need, Scopes::of(answer)) {
        (Some(need), Some(scopes)) if !scopes.allow(need.scope) => {
            Err(ProviderError::NotPermitted { needs: Some(need.name) })
        }
        _ => Ok(()),
    }
}

fn odd(answer: &Answer) -> ProviderError {
    ProviderError::Odd(answer.odd(crate::outbound::Odd::Shape))
}
