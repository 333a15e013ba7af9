//! The few fields that are read of GitLab's answers. All else may be missing, new, or of another type.

use std::num::NonZeroU64;

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize};

/// Characters of a text that is kept; longer ones are cut.
const TEXT_MAX: usize = 1024;

fn short<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    Ok(if text.len() <= TEXT_MAX { text } else { text.chars().take(TEXT_MAX).collect() })
}

/// A text or a number, as text: GitLab writes some fields both ways.
fn loose<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(i64),
        Text(String),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Written::deserialize(from)? {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text.chars().take(TEXT_MAX).collect(),
        Written::Other(_) => String::new(),
    })
}

/// Which GitLab it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// `18.1.1-ee`.
    #[serde(deserialize_with = "short")]
    pub version: String,
    /// Whether it is the enterprise edition; not said before 15.6.
    pub enterprise: Option<bool>,
}

impl Version {
    /// Major and minor, whatever follows them.
    #[must_use]
    pub fn number(&self) -> Option<(u32, u32)> {
        let mut parts = self.version.split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

/// A person or bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their number.
    pub id: NonZeroU64,
    /// Their name.
    #[serde(deserialize_with = "short")]
    pub username: String,
    /// The account's state; only `active` may do anything.
    #[serde(default, deserialize_with = "short")]
    pub state: String,
    /// Whether it is a program; not said by every version.
    #[serde(default)]
    pub bot: Option<bool>,
}

/// A token, without itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenAbout {
    /// Its number.
    pub id: NonZeroU64,
    /// Its name.
    #[serde(default, deserialize_with = "short")]
    pub name: String,
    /// What it may do; empty for fine-grained tokens, whose grants can only be probed.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whom it speaks for.
    pub user_id: NonZeroU64,
    /// Whether it works.
    #[serde(default)]
    pub active: bool,
    /// Whether somebody took it back.
    #[serde(default)]
    pub revoked: bool,
    /// Its last day.
    pub expires_at: Option<NaiveDate>,
    /// Whether its grants are fine-grained.
    #[serde(default)]
    pub granular: Option<bool>,
}

impl TokenAbout {
    /// Whether it may do this; `None`: only trying shows.
    #[must_use]
    pub fn allows(&self, scope: &str) -> Option<bool> {
        let has = |name: &str| self.scopes.iter().any(|held| held == name);
        if has(scope) || (scope == "read_api" && has("api")) || (scope == "self_rotate" && has("api")) {
            return Some(true);
        }
        if self.granular == Some(true) || self.scopes.is_empty() { None } else { Some(false) }
    }
}

/// A level of access. New levels appear between old ones, so it is compared and never listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccessLevel(pub u16);

impl AccessLevel {
    /// May plan and report.
    pub const PLANNER: Self = Self(15);
    /// May look.
    pub const REPORTER: Self = Self(20);
    /// May change code.
    pub const DEVELOPER: Self = Self(30);
    /// May change settings.
    pub const MAINTAINER: Self = Self(40);
    /// May decide.
    pub const OWNER: Self = Self(50);
}

/// Somebody in a group or project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The person's number.
    pub id: NonZeroU64,
    /// Their name.
    #[serde(deserialize_with = "short")]
    pub username: String,
    /// The account's state: who is blocked stays in the list.
    #[serde(default, deserialize_with = "short")]
    pub state: String,
    /// Their level.
    pub access_level: AccessLevel,
    /// The last day of the membership.
    #[serde(default)]
    pub expires_at: Option<NaiveDate>,
    /// `active` or `awaiting`, where somebody has to approve; not said by every version.
    #[serde(default, deserialize_with = "short")]
    pub membership_state: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its number.
    pub id: NonZeroU64,
    /// Its path from the top.
    #[serde(deserialize_with = "short")]
    pub full_path: String,
    /// The group it is in.
    #[serde(default)]
    pub parent_id: Option<NonZeroU64>,
}

/// Where a project is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its number.
    pub id: NonZeroU64,
    /// `group` or `user`.
    #[serde(default, deserialize_with = "short")]
    pub kind: String,
    /// Its path from the top.
    #[serde(default, deserialize_with = "short")]
    pub full_path: String,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its number.
    pub id: NonZeroU64,
    /// Its path from the top.
    #[serde(deserialize_with = "short")]
    pub path_with_namespace: String,
    /// Where work is merged; none while it is empty.
    #[serde(default)]
    pub default_branch: Option<String>,
    /// `public`, `internal`, `private`.
    #[serde(default, deserialize_with = "short")]
    pub visibility: String,
    /// Whether it is read-only.
    #[serde(default)]
    pub archived: bool,
    /// Where it is.
    #[serde(default)]
    pub namespace: Option<Namespace>,
    /// When something happened in it; noted once an hour.
    #[serde(default)]
    pub last_activity_at: Option<String>,
    /// The day from which it will be gone; until then it is still listed.
    #[serde(default, alias = "marked_for_deletion_at")]
    pub marked_for_deletion_on: Option<NaiveDate>,
}

/// Something that happened in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    #[serde(default, deserialize_with = "short")]
    pub created_at: String,
}

/// A hook, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Its number.
    pub id: NonZeroU64,
    /// Where it sends to.
    #[serde(default, deserialize_with = "short")]
    pub url: String,
    /// `executable`, `temporarily_disabled`, `disabled`; not said by every version.
    #[serde(default, deserialize_with = "short")]
    pub alert_status: String,
    /// Until when it is off.
    #[serde(default)]
    pub disabled_until: Option<String>,
    /// Whether it is told of pushes.
    #[serde(default)]
    pub push_events: bool,
    /// Of pipelines.
    #[serde(default)]
    pub pipeline_events: bool,
    /// Of people; groups only.
    #[serde(default)]
    pub member_events: Option<bool>,
    /// Whether a plain token is kept.
    #[serde(default)]
    pub token_present: Option<bool>,
    /// Whether a signing token is kept; a server that knows none does not say.
    #[serde(default)]
    pub signing_token_present: Option<bool>,
    /// A body of somebody's own making, which cannot be read.
    #[serde(default)]
    pub custom_webhook_template: Option<String>,
}

/// Something that a hook sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookEvent {
    /// Its number.
    pub id: NonZeroU64,
    /// What it was about.
    #[serde(default, deserialize_with = "short")]
    pub trigger: String,
    /// What was answered: a status, or words when there was no answer.
    #[serde(default, deserialize_with = "loose")]
    pub response_status: String,
    /// What was sent along, among it the key that stays the same when it is sent again.
    #[serde(default)]
    pub request_headers: std::collections::BTreeMap<String, String>,
}

impl HookEvent {
    /// Whether it arrived.
    #[must_use]
    pub fn arrived(&self) -> bool {
        self.response_status.len() == 3 && self.response_status.starts_with('2')
    }

    /// The key that stays the same.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        let mut headers = self.request_headers.iter();
        headers
            .find(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"))
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_any_suffix() {
        let number = |text: &str| Version { version: text.into(), enterprise: None }.number();
        assert_eq!(number("18.1.1-ee"), Some((18, 1)));
        assert_eq!(number("17.0.0-pre"), Some((17, 0)));
        assert_eq!(number("16.11-ce.0"), Some((16, 11)));
        assert_eq!(number("unknown"), None);
    }

    #[test]
    fn a_scope_is_compared_by_name_and_a_fine_grained_token_is_probed() {
        let about = |scopes: &[&str], granular| TokenAbout {
            id: NonZeroU64::MIN,
            name: String::new(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            user_id: NonZeroU64::MIN,
            active: true,
            revoked: false,
            expires_at: None,
            granular,
        };
        assert_eq!(about(&["api"], None).allows("read_api"), Some(true));
        assert_eq!(about(&["read_api"], None).allows("api"), Some(false));
        assert_eq!(about(&["granular"], Some(true)).allows("api"), None);
        assert_eq!(about(&[], None).allows("api"), None);
    }

    #[test]
    fn an_events_status_is_read_as_text_or_number() {
        let read = |status: &str| -> HookEvent {
            let text = format!(
                "{{\"id\": 1, \"response_status\": {status}, \"request_headers\": {{\"Idempotency-Key\": \"k\"}}}}"
            );
            serde_json::from_str(&text).unwrap()
        };
        assert!(read("\"200\"").arrived() && read("204").arrived());
        assert!(
            !read("\"internal error\"").arrived() && !read("\"500\"").arrived() && !read("null").arrived()
        );
        assert_eq!(read("200").idempotency_key(), Some("k"));
    }
}
