//! The token that is used: whose it is, what it may do, until when; and its successor.

use chrono::NaiveDate;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Session;
use super::wire::{Person, TokenAbout, Version};
use crate::outbound::Method;
use crate::provider::ProviderError;

/// Whose a token is, by the bot that GitLab makes for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenOwner {
    /// A person's: it ends when they leave.
    Person,
    /// A group's.
    Group(u64),
    /// A project's.
    Project(u64),
    /// A service account's or another bot's.
    Bot,
}

impl TokenOwner {
    /// From the account that the token speaks for.
    #[must_use]
    pub fn of(person: &Person) -> Self {
        let number = |prefix: &str| {
            let (number, rest) = person.username.strip_prefix(prefix)?.split_once('_')?;
            rest.starts_with("bot").then(|| number.parse().ok()).flatten()
        };
        match (number("group_"), number("project_"), person.bot) {
            (Some(group), _, Some(true)) => Self::Group(group),
            (_, Some(project), Some(true)) => Self::Project(project),
            (_, _, Some(true)) => Self::Bot,
            _ => Self::Person,
        }
    }
}

/// A token's successor. The old one is void from now on, and using it once more would void this one, too.
#[derive(Debug, Deserialize)]
pub struct Rotated {
    /// The new token: keep it before anything else.
    pub token: SecretString,
    /// When it ends.
    pub expires_at: Option<NaiveDate>,
}

impl Session {
    /// Which GitLab it is.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn version(&self) -> Result<Version, ProviderError> {
        match self.read("metadata").await {
            // Before 15.2 there is only the older call.
            Err(ProviderError::Gone) => self.read("version").await,
            other => other,
        }
    }

    /// Whom the token speaks for.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn who(&self) -> Result<Person, ProviderError> {
        self.read("user").await
    }

    /// The token itself: scopes and end. Works for personal, group and project tokens.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn token(&self) -> Result<TokenAbout, ProviderError> {
        self.read("personal_access_tokens/self").await
    }

    /// Replaces the token. Asked once and never again by itself: a lost answer means a lost token, and the caller must
    /// have written down before that this was about to happen.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn rotate(&self, expires_at: Option<NaiveDate>) -> Result<Rotated, ProviderError> {
        #[derive(Serialize)]
        struct Wanted {
            #[serde(skip_serializing_if = "Option::is_none")]
            expires_at: Option<NaiveDate>,
        }
        let wanted = Wanted { expires_at };
        Ok(self.write(Method::POST, "personal_access_tokens/self/rotate", Some(&wanted)).await?.json()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_and_a_projects_token_are_told_from_a_persons() {
        let owner = |username: &str, bot: Option<bool>| {
            TokenOwner::of(&Person {
                id: std::num::NonZeroU64::MIN,
                username: username.into(),
                state: "active".into(),
                bot,
            })
        };
        assert_eq!(owner("group_72_bot_1f3a", Some(true)), TokenOwner::Group(72));
        assert_eq!(owner("project_20_bot2", Some(true)), TokenOwner::Project(20));
        assert_eq!(owner("service_account_group_7", Some(true)), TokenOwner::Bot);
        // Anybody may call themselves so.
        assert_eq!(owner("group_72_bot_1f3a", None), TokenOwner::Person);
        assert_eq!(owner("ada", Some(false)), TokenOwner::Person);
    }
}
