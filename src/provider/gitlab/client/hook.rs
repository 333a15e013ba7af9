//! Hooks of a group or a project: made and mended, tried out, their events and a second delivery of one.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use super::Session;
use super::wire::{Hook, HookEvent};
use crate::outbound::Method;
use crate::provider::ProviderError;
use crate::provider::page::{Next, PER_PAGE, Page, Whole};

/// Rows of a page of events; GitLab refuses more here, though it gives a hundred elsewhere.
const EVENTS_PER_PAGE: u32 = 20;

/// Whose hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPlace {
    /// A group's: paid plans only, and its owner's token.
    Group(u64),
    /// A project's: a maintainer's token.
    Project(u64),
}

impl HookPlace {
    fn path(self) -> String {
        match self {
            Self::Group(id) => format!("groups/{id}/hooks"),
            Self::Project(id) => format!("projects/{id}/hooks"),
        }
    }

    const fn need(self) -> &'static str {
        match self {
            Self::Group(_) => "the scope api, the role Owner, and a plan with group hooks",
            Self::Project(_) => "the scope api and the role Maintainer",
        }
    }
}

/// What a hook is told of. Each is said, also the unwanted: GitLab's own default for pushes is yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Events {
    /// Pushes.
    pub push_events: bool,
    /// Tags.
    pub tag_push_events: bool,
    /// Merge requests.
    pub merge_requests_events: bool,
    /// Comments.
    pub note_events: bool,
    /// Pipelines.
    pub pipeline_events: bool,
    /// Jobs.
    pub job_events: bool,
    /// People; groups only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub member_events: bool,
    /// Subgroups; groups only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub subgroup_events: bool,
    /// Projects; groups only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub project_events: bool,
}

/// A hook as it should be.
#[derive(Debug, Clone)]
pub struct NewHook {
    /// Where it sends to.
    pub url: Url,
    /// The plain proof, for servers that know no better one.
    pub token: SecretString,
    /// The better proof, `whsec_…`. An older server ignores it without a word.
    pub signing_token: SecretString,
    /// What it sends.
    pub events: Events,
}

#[derive(Serialize)]
struct Wanted<'a> {
    url: &'a str,
    /// Said each time: a change of the address clears it.
    token: &'a str,
    signing_token: &'a str,
    enable_ssl_verification: bool,
    #[serde(flatten)]
    events: Events,
}

/// How a hook's deliveries can be proven, by what the server says it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookProof {
    /// By signatures; a plain token proves nothing any more.
    Signed,
    /// By the plain token: the server has no signatures.
    Token,
}

impl HookProof {
    /// Of a hook that was made or changed with both.
    #[must_use]
    pub fn of(hook: &Hook) -> Self {
        if hook.signing_token_present == Some(true) { Self::Signed } else { Self::Token }
    }
}

/// What a hook is tried out with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A push.
    Push,
    /// A pipeline.
    Pipeline,
    /// A merge request.
    MergeRequest,
}

impl Trigger {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push_events",
            Self::Pipeline => "pipeline_events",
            Self::MergeRequest => "merge_requests_events",
        }
    }
}

impl Session {
    /// A group's or a project's hooks.
    ///
    /// # Errors
    /// As [`ProviderError`] says; for a group, [`ProviderError::Gone`] also means a plan without them.
    pub async fn hooks(&self, place: HookPlace) -> Result<Whole<Hook>, ProviderError> {
        let whole = self.whole(&format!("{}?per_page={PER_PAGE}", place.path())).await;
        whole.map_err(|error| error.needing(place.need()))
    }

    /// Makes a hook. Two hooks may send to one place: look for ours first.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn create_hook(&self, place: HookPlace, hook: &NewHook) -> Result<Hook, ProviderError> {
        self.put_hook(Method::POST, place, place.path(), hook).await
    }

    /// Brings a hook to what it should be, its secrets included.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn update_hook(
        &self,
        place: HookPlace,
        id: u64,
        hook: &NewHook,
    ) -> Result<Hook, ProviderError> {
        self.put_hook(Method::PUT, place, format!("{}/{id}", place.path()), hook).await
    }

    async fn put_hook(
        &self,
        method: Method,
        place: HookPlace,
        path: String,
        hook: &NewHook,
    ) -> Result<Hook, ProviderError> {
        let wanted = Wanted {
            url: hook.url.as_str(),
            token: hook.token.expose_secret(),
            signing_token: hook.signing_token.expose_secret(),
            enable_ssl_verification: true,
            events: hook.events,
        };
        let answer = self.write(method, &path, Some(&wanted)).await;
        Ok(answer.map_err(|error| error.needing(place.need()))?.json()?)
    }

    /// Removes a hook.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn delete_hook(&self, place: HookPlace, id: u64) -> Result<(), ProviderError> {
        let path = format!("{}/{id}", place.path());
        let answer = self.write(Method::DELETE, &path, None::<&()>).await;
        answer.map(drop).map_err(|error| error.needing(place.need()))
    }

    /// Has a hook send something now; when that is answered well, a hook that was switched off is on again.
    ///
    /// # Errors
    /// As [`ProviderError`] says; status 422: the project has nothing to send yet.
    pub async fn test_hook(&self, place: HookPlace, id: u64, trigger: Trigger) -> Result<(), ProviderError> {
        let path = format!("{}/{id}/test/{}", place.path(), trigger.as_str());
        let answer = self.write(Method::POST, &path, None::<&()>).await;
        answer.map(drop).map_err(|error| error.needing(place.need()))
    }

    /// What a hook sent in the last seven days, the newest first, from the beginning or from where an earlier page
    /// ended. Not filtered: what got no answer at all is in none of the classes.
    ///
    /// # Errors
    /// As [`ProviderError`] says; [`ProviderError::Gone`] before 17.3.
    pub async fn hook_events(
        &self,
        place: HookPlace,
        id: u64,
        from: Option<&Next>,
    ) -> Result<Page<HookEvent>, ProviderError> {
        match from {
            Some(next) => self.page(next.path()).await,
            None => self.page(&format!("{}/{id}/events?per_page={EVENTS_PER_PAGE}", place.path())).await,
        }
    }

    /// Has an event sent once more, under its old key. Five a minute are allowed.
    ///
    /// # Errors
    /// As [`ProviderError`] says; [`ProviderError::Gone`] before 17.4.
    pub async fn resend(&self, place: HookPlace, id: u64, event: u64) -> Result<(), ProviderError> {
        let path = format!("{}/{id}/events/{event}/resend", place.path());
        let answer = self.write(Method::POST, &path, None::<&()>).await;
        answer.map(drop).map_err(|error| error.needing(place.need()))
    }
}
