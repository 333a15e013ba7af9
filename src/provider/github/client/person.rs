//! The person or the server behind a token.

use super::Session;
use super::carrier::Ask;
use super::scope::Scopes;
use super::wire::{
    Account, Email, Installation, Installations, Membership, Meta, Person, Repositories, Repository,
};
use crate::domain::Timestamp;
use crate::provider::ProviderError;
use crate::provider::page::{PER_PAGE, Whole, segment};

/// Whose a token is, and what it may do.
#[derive(Debug, Clone)]
pub struct Who {
    /// Whose.
    pub person: Person,
    /// What it was granted; `None` where the forge does not say: fine-grained tokens, users of Apps.
    pub scopes: Option<Scopes>,
    /// When it ends, where the forge says so.
    pub expires_at: Option<Timestamp>,
}

impl Session {
    /// Whose the token is. Read anew each time: the headers are what it is about.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn who(&self) -> Result<Who, ProviderError> {
        let answer = self.ask(Ask::get("user".into())).await?;
        let scopes = Scopes::of(&answer);
        let expires_at = answer.header("github-authentication-token-expiration").and_then(expiry);
        Ok(Who { person: answer.json()?, scopes, expires_at })
    }

    /// The person's addresses; only a verified one says anything.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn emails(&self) -> Result<Whole<Email>, ProviderError> {
        let whole = self.whole::<Vec<_>>(format!("user/emails?per_page={PER_PAGE}"), None).await;
        whole.map_err(|error| error.needing("the permission email_addresses: read (scope user:email)"))
    }

    /// Installations that the person can reach. Being listed is no proof of any right over them.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn reachable_installations(&self) -> Result<Whole<Installation>, ProviderError> {
        self.whole::<Installations>(format!("user/installations?per_page={PER_PAGE}"), None).await
    }

    /// Repositories of an installation that the person may see.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn reachable_repositories(
        &self,
        installation: u64,
    ) -> Result<Whole<Repository>, ProviderError> {
        let path = format!("user/installations/{installation}/repositories?per_page={PER_PAGE}");
        self.whole::<Repositories>(path, None).await
    }

    /// The person's own membership of an organization: the proof of being its admin.
    ///
    /// # Errors
    /// [`ProviderError::Gone`] or [`ProviderError::NotPermitted`] for who is not in it.
    pub async fn own_membership(&self, login: &str) -> Result<Membership, ProviderError> {
        self.read(format!("user/memberships/orgs/{}", segment(login))).await
    }

    /// The organizations that the person is in.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn own_memberships(&self) -> Result<Whole<Membership>, ProviderError> {
        let path = format!("user/memberships/orgs?state=active&per_page={PER_PAGE}");
        self.whole::<Vec<_>>(path, None).await
    }

    /// An account by its name: a person or an organization, spelled as the forge spells it. Needs no credential where
    /// the forge shows accounts to everybody.
    ///
    /// # Errors
    /// [`ProviderError::Gone`] when there is none of that name.
    pub async fn account(&self, login: &str) -> Result<Account, ProviderError> {
        self.read(format!("users/{}", segment(login))).await
    }

    /// Anybody, by number.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn person(&self, id: u64) -> Result<Person, ProviderError> {
        self.read(format!("user/{id}")).await
    }

    /// What the server says of itself: a GitHub Enterprise Server its version.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn meta(&self) -> Result<Meta, ProviderError> {
        self.read("meta".into()).await
    }
}

/// `2026-12-01 09:00:00 UTC`, or with an offset.
fn expiry(text: &str) -> Option<Timestamp> {
    let written = text.trim().replacen(' ', "T", 1).replace(" UTC", "Z").replace(' ', "");
    let offset = written.get(19..).and_then(|offset| Some((offset.get(..3)?, offset.get(3..)?)));
    let spelled = match offset {
        Some((hours, minutes)) if minutes.len() == 2 => {
            format!("{}{hours}:{minutes}", written.get(..19).unwrap_or_default())
        }
        _ => written,
    };
    Timestamp::parse_rfc3339(&spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_end_is_read_in_both_spellings() {
        let at = Timestamp::parse_rfc3339("2026-12-01T09:00:00Z");
        assert_eq!(expiry("2026-12-01 09:00:00 UTC"), at);
        assert_eq!(expiry("2026-12-01 10:00:00 +0100"), at);
        assert_eq!(expiry("never"), None);
    }
}
