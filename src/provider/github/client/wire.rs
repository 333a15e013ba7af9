//! The few fields that are read of GitHub's answers. All else may be missing, new, or of another type.

use std::num::NonZeroU64;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

use super::scope::Permissions;
use crate::domain::Timestamp;
use crate::provider::page::List;

/// Characters of a text that is kept; longer ones are cut.
const TEXT_MAX: usize = 1024;

fn short<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    Ok(if text.len() <= TEXT_MAX { text } else { text.chars().take(TEXT_MAX).collect() })
}

/// A moment, which GitHub writes as RFC 3339 here and as seconds there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Seconds(i64),
            Text(String),
        }
        let at = match Written::deserialize(from)? {
            Written::Seconds(seconds) => Some(Timestamp::from_ms(seconds.saturating_mul(1000))),
            Written::Text(text) => Timestamp::parse_rfc3339(&text),
        };
        at.map(Self).ok_or_else(|| serde::de::Error::custom("no moment"))
    }
}

/// Who owns something: a person or an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its number, which never changes.
    pub id: NonZeroU64,
    /// Its name, which may.
    #[serde(deserialize_with = "short")]
    pub login: String,
    /// `User`, `Organization`, `Bot`, or something new.
    #[serde(rename = "type", default, deserialize_with = "short")]
    pub kind: String,
}

/// What an App is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppAbout {
    /// Its number.
    pub id: NonZeroU64,
    /// Its name in addresses.
    #[serde(default, deserialize_with = "short")]
    pub slug: String,
    /// Its name for sign-in; empty where the forge does not say it.
    #[serde(default, deserialize_with = "short")]
    pub client_id: String,
    /// Whose it is.
    pub owner: Option<Account>,
    /// What it asks for; what an installation granted may be less.
    #[serde(default)]
    pub permissions: Permissions,
    /// What it is told of.
    #[serde(default)]
    pub events: Vec<String>,
}

/// A new App, with what is shown only once.
#[derive(Debug, Deserialize)]
pub struct Conversion {
    /// Its number.
    pub id: NonZeroU64,
    /// Its name in addresses.
    #[serde(deserialize_with = "short")]
    pub slug: String,
    /// Its name for sign-in and for its own tokens.
    #[serde(deserialize_with = "short")]
    pub client_id: String,
    /// Whose it is.
    pub owner: Account,
    /// Where people see it.
    #[serde(default, deserialize_with = "short")]
    pub html_url: String,
    /// What it asks for.
    #[serde(default)]
    pub permissions: Permissions,
    /// Its private key, PEM.
    pub pem: SecretString,
    /// Its secret for sign-in.
    pub client_secret: SecretString,
    /// What signs its deliveries.
    pub webhook_secret: Option<SecretString>,
}

/// An App at an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Installation {
    /// Its number.
    pub id: NonZeroU64,
    /// Where it is installed; `None` for an enterprise.
    pub account: Option<Account>,
    /// The App's number.
    pub app_id: Option<NonZeroU64>,
    /// What was granted.
    #[serde(default)]
    pub permissions: Permissions,
    /// What it is told of.
    #[serde(default)]
    pub events: Vec<String>,
    /// `all` or `selected`.
    #[serde(default, deserialize_with = "short")]
    pub repository_selection: String,
    /// Since when it may do nothing.
    #[serde(default)]
    pub suspended_at: Option<Moment>,
}

/// An organization.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Organization {
    /// Its number.
    pub id: NonZeroU64,
    /// Its name.
    #[serde(deserialize_with = "short")]
    pub login: String,
}

/// Somebody's role in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleAt {
    /// An owner.
    Admin,
    /// A member.
    Member,
    /// Pays, and sees nothing.
    BillingManager,
    /// A role that is not known here: counted as none.
    #[serde(other)]
    Unknown,
}

/// Whether somebody has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateAt {
    /// Is in.
    Active,
    /// Was invited.
    Pending,
    /// A state that is not known here: counted as not in.
    #[serde(other)]
    Unknown,
}

/// A membership.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Membership {
    /// Whether it is accepted.
    pub state: StateAt,
    /// As what.
    pub role: RoleAt,
    /// Where.
    pub organization: Organization,
    /// Who.
    pub user: Option<Account>,
}

/// An invitation that is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invitation {
    /// Its number.
    pub id: NonZeroU64,
    /// Whom; `None` when invited by e-mail.
    pub login: Option<String>,
    /// As what.
    #[serde(default, deserialize_with = "short")]
    pub role: String,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its number.
    pub id: NonZeroU64,
    /// `owner/name`.
    #[serde(deserialize_with = "short")]
    pub full_name: String,
    /// Whose it is.
    pub owner: Account,
    /// Whether only some may see it.
    #[serde(default)]
    pub private: bool,
    /// `public`, `private`, `internal`; old servers leave it out.
    pub visibility: Option<String>,
    /// Whether it is read-only.
    #[serde(default)]
    pub archived: bool,
    /// Whether the forge has switched it off.
    #[serde(default)]
    pub disabled: bool,
    /// Whether it is a copy of another.
    #[serde(default)]
    pub fork: bool,
    /// Where work is merged.
    #[serde(default, deserialize_with = "short")]
    pub default_branch: String,
}

/// Repositories in a wrapper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Repositories {
    total_count: Option<u64>,
    repositories: Vec<Repository>,
}

impl List for Repositories {
    type Item = Repository;

    fn total(&self) -> Option<u64> {
        self.total_count
    }

    fn into_items(self) -> Vec<Repository> {
        self.repositories
    }
}

/// Installations in a wrapper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Installations {
    total_count: Option<u64>,
    installations: Vec<Installation>,
}

impl List for Installations {
    type Item = Installation;

    fn total(&self) -> Option<u64> {
        self.total_count
    }

    fn into_items(self) -> Vec<Installation> {
        self.installations
    }
}

/// A hook's settings. Its secret is never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookConfig {
    /// Where it sends to.
    #[serde(default, deserialize_with = "short")]
    pub url: String,
    /// `json` or `form`.
    #[serde(default, deserialize_with = "short")]
    pub content_type: String,
}

/// A hook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hook {
    /// Its number.
    pub id: NonZeroU64,
    /// Whether it sends.
    #[serde(default)]
    pub active: bool,
    /// What it sends.
    #[serde(default)]
    pub events: Vec<String>,
    /// How.
    pub config: HookConfig,
}

/// One attempt to deliver an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number; larger than 32 bits hold.
    pub id: NonZeroU64,
    /// The event's; the same for all attempts of it.
    #[serde(deserialize_with = "short")]
    pub guid: String,
    /// When.
    pub delivered_at: Moment,
    /// Whether somebody asked for it again.
    #[serde(default)]
    pub redelivery: bool,
    /// `OK`, or what went wrong.
    #[serde(default, deserialize_with = "short")]
    pub status: String,
    /// What was answered; 0 when nothing was.
    #[serde(default)]
    pub status_code: u16,
    /// The event's name.
    #[serde(default, deserialize_with = "short")]
    pub event: String,
    /// What happened.
    pub action: Option<String>,
    /// For which installation.
    pub installation_id: Option<NonZeroU64>,
    /// In which repository.
    pub repository_id: Option<NonZeroU64>,
}

/// What one attempt sent.
#[derive(Debug, Clone, Deserialize)]
pub struct AttemptSent {
    /// The request.
    pub request: AttemptRequest,
}

/// A request as the log holds it.
#[derive(Debug, Clone, Deserialize)]
pub struct AttemptRequest {
    /// Its headers.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// The document.
    pub payload: serde_json::Value,
}

impl Attempt {
    /// Whether it arrived.
    #[must_use]
    pub fn arrived(&self) -> bool {
        self.status == "OK" || matches!(self.status_code, 200..=299)
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Meta {
    /// GitHub Enterprise Server's version.
    pub installed_version: Option<String>,
    /// Networks that deliveries come from; github.com only.
    #[serde(default)]
    pub hooks: Vec<String>,
}

/// A person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// Their number.
    pub id: NonZeroU64,
    /// Their name.
    #[serde(deserialize_with = "short")]
    pub login: String,
    /// `User`, `Bot`, …
    #[serde(rename = "type", default, deserialize_with = "short")]
    pub kind: String,
}

/// An e-mail address of the signed-in person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Email {
    /// The address.
    #[serde(deserialize_with = "short")]
    pub email: String,
    /// Whether GitHub has seen that it is theirs.
    #[serde(default)]
    pub verified: bool,
    /// Whether it is the first one.
    #[serde(default)]
    pub primary: bool,
}
