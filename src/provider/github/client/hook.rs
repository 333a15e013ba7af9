//! Hooks of an App, an organization or a repository: settings, deliveries, and asking for one again.

use http::Method;
use octocrab::models::apps::UpdateWebhookConfig;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use super::Session;
use super::carrier::Ask;
use super::error::of_octocrab;
use super::scope::Level;
use super::session::Need;
use super::token::METADATA;
use super::wire::{Attempt, AttemptSent, Hook, HookConfig};
use crate::provider::ProviderError;
use crate::provider::page::{Next, PER_PAGE, Page, Whole, segment};

const ORGANIZATION: Need = Need {
    permission: "organization_hooks",
    level: Level::Write,
    scope: "admin:org_hook",
    name: "the permission organization_hooks: write (scope admin:org_hook)",
};
const REPOSITORY: Need = Need {
    permission: "repository_hooks",
    level: Level::Write,
    scope: "write:repo_hook",
    name: "the permission repository_hooks: write (scope admin:repo_hook)",
};

/// Whose hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookPlace {
    /// The App's; there is one.
    App,
    /// An organization's.
    Organization(String),
    /// A repository's, by owner and name.
    Repository(String, String),
}

impl HookPlace {
    fn path(&self) -> String {
        match self {
            Self::App => "app/hook".into(),
            Self::Organization(login) => format!("orgs/{}/hooks", segment(login)),
            Self::Repository(owner, name) => format!("repos/{}/{}/hooks", segment(owner), segment(name)),
        }
    }

    /// The path of one hook; the App's needs no number.
    fn hook(&self, hook: u64) -> String {
        match self {
            Self::App => self.path(),
            _ => format!("{}/{hook}", self.path()),
        }
    }

    const fn need(&self) -> Option<Need> {
        match self {
            Self::App => None,
            Self::Organization(_) => Some(ORGANIZATION),
            Self::Repository(..) => Some(REPOSITORY),
        }
    }
}

/// A hook to be made.
#[derive(Debug, Clone)]
pub struct NewHook {
    /// Where it sends to.
    pub url: Url,
    /// What signs it.
    pub secret: SecretString,
    /// What it sends.
    pub events: Vec<String>,
}

#[derive(Serialize)]
struct Wanted<'a> {
    name: &'a str,
    config: Config<'a>,
    events: &'a [String],
    active: bool,
}

#[derive(Serialize)]
struct Config<'a> {
    url: &'a str,
    /// Without it GitHub sends forms.
    content_type: &'a str,
    secret: &'a str,
    insecure_ssl: &'a str,
}

impl NewHook {
    fn wanted(&self) -> Wanted<'_> {
        let secret = self.secret.expose_secret();
        let config = Config { url: self.url.as_str(), content_type: "json", secret, insecure_ssl: "0" };
        Wanted { name: "web", config, events: &self.events, active: true }
    }
}

impl Session {
    /// The settings of the App's hook.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn app_hook(&self) -> Result<HookConfig, ProviderError> {
        self.read("app/hook/config".into()).await
    }

    /// Sets where the App's hook sends to, as JSON over verified TLS.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn set_app_hook(&self, url: &Url, secret: Option<&SecretString>) -> Result<(), ProviderError> {
        let wanted = UpdateWebhookConfig {
            url: Some(url.to_string()),
            content_type: Some("json".into()),
            secret: secret.map(|secret| secret.expose_secret().to_owned()),
            insecure_ssl: Some("0".into()),
        };
        // octocrab's answer repeats the settings in a shape that not every server fills; the status is enough.
        let set = self.octocrab()._patch("/app/hook/config", Some(&wanted)).await;
        let answered = match set {
            Ok(response) => octocrab::map_github_error(response).await,
            Err(error) => Err(error),
        };
        answered.map(drop).map_err(|error| of_octocrab(&error))
    }

    /// An organization's or a repository's hooks.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn hooks(&self, place: &HookPlace) -> Result<Whole<Hook>, ProviderError> {
        self.whole::<Vec<_>>(format!("{}?per_page={PER_PAGE}", place.path()), place.need()).await
    }

    /// Makes a hook. Two hooks may send to one place: look for ours first.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn create_hook(&self, place: &HookPlace, hook: &NewHook) -> Result<Hook, ProviderError> {
        let answer = self.write_as(Method::POST, place.path(), Some(&hook.wanted()), place.need()).await;
        Ok(answer?.json()?)
    }

    /// Brings a hook to what it should be.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn update_hook(
        &self,
        place: &HookPlace,
        id: u64,
        hook: &NewHook,
    ) -> Result<Hook, ProviderError> {
        #[derive(Serialize)]
        struct Change<'a> {
            config: Config<'a>,
            events: &'a [String],
            active: bool,
        }
        let Wanted { config, events, active, .. } = hook.wanted();
        let change = Change { config, events, active };
        let answer = self.write_as(Method::PATCH, place.hook(id), Some(&change), place.need()).await;
        Ok(answer?.json()?)
    }

    /// Removes a hook.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn delete_hook(&self, place: &HookPlace, id: u64) -> Result<(), ProviderError> {
        self.write_as(Method::DELETE, place.hook(id), None::<&()>, place.need()).await.map(drop)
    }

    /// Has an organization's hook send a ping now.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn ping_hook(&self, place: &HookPlace, id: u64) -> Result<(), ProviderError> {
        let path = format!("{}/pings", place.hook(id));
        self.write_as(Method::POST, path, None::<&()>, place.need()).await.map(drop)
    }

    /// Attempts to deliver, the newest first, from the beginning or from where an earlier page ended. Not filtered:
    /// attempts that got no answer at all are in none of the forge's classes.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn attempts(
        &self,
        place: &HookPlace,
        hook: u64,
        from: Option<&Next>,
    ) -> Result<Page<Attempt>, ProviderError> {
        let first = || format!("{}/deliveries?per_page={PER_PAGE}", place.hook(hook));
        let path = from.map_or_else(first, |next| next.path().to_owned());
        self.page::<Vec<_>>(path, place.need()).await
    }

    /// What one attempt sent.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn attempt(
        &self,
        place: &HookPlace,
        hook: u64,
        attempt: u64,
    ) -> Result<AttemptSent, ProviderError> {
        let path = format!("{}/deliveries/{attempt}", place.hook(hook));
        let grant = place.need().map_or(METADATA, Need::grant);
        let answer = self.ask(Ask { grant, ..Ask::get(path) }).await;
        Ok(answer.map_err(|error| place.missing(error))?.json()?)
    }

    /// Asks for a delivery once more. It arrives with the event's old id, after the answer.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn redeliver(&self, place: &HookPlace, hook: u64, attempt: u64) -> Result<(), ProviderError> {
        let path = format!("{}/deliveries/{attempt}/attempts", place.hook(hook));
        self.write_as(Method::POST, path, None::<&()>, place.need()).await.map(drop)
    }
}

impl HookPlace {
    fn missing(&self, error: ProviderError) -> ProviderError {
        match self.need() {
            Some(need) => error.needing(need.name),
            None => error,
        }
    }
}
