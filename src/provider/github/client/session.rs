//! One identity's calls: reads that cost little when nothing changed, lists that are whole or nothing, writes.

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::carrier::{Ask, Carrier, Identity};
use super::error::granted;
use super::octo;
use super::scope::{Level, Permissions, Scopes};
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

    /// What an installation was granted; `None` for every other identity.
    ///
    /// # Errors
    /// When no token can be had.
    pub async fn permissions(&self) -> Result<Option<Permissions>, ProviderError> {
        match &self.carrier.identity {
            Identity::Installation(tokens) => {
                let minted = tokens.current(self.carrier.purpose).await?;
                Ok(Some(minted.permissions.clone()))
            }
            _ => Ok(None),
        }
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
        Ok(self.conditional(path, None).await?.0)
    }

    /// Reads one page.
    pub(super) async fn page<L: List>(
        &self,
        path: String,
        need: Option<Need>,
    ) -> Result<Page<L::Item>, ProviderError> {
        let (list, next) = self.conditional::<L>(path, need).await?;
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
        need: Option<Need>,
    ) -> Result<(T, Option<Next>), ProviderError>
    where
        T: Serialize + DeserializeOwned,
    {
        self.check(need).await?;
        let key = Key::new(&self.carrier.reader(), &at(self.carrier.client.endpoint(), &path)?);
        let kept = self.reads.get(&key);
        let unless = kept.as_ref().map(|kept| kept.tag.clone());
        let asked = self.ask(Ask { unless, ..Ask::get(path) }).await;
        let answer = asked.map_err(|error| match need {
            Some(need) => error.needing(need.name),
            None => error,
        })?;
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
        let (Some(need), Some(granted)) = (need, self.permissions().await?) else { return Ok(()) };
        if granted.allow(need.permission, need.level) {
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
        let unwritable =
            |_| ProviderError::Refused { status: 0, why: Some("a request that cannot be written") };
        let body = body.map(serde_json::to_vec).transpose().map_err(unwritable)?;
        self.ask(Ask { method, path, body: body.map(Bytes::from), unless: None }).await
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
