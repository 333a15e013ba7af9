//! What a forge believes us by: what is shown of it, and the sealed form in which it is kept. Never the value.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConnectionKey, OrganizationSlug, SourceKey, Timestamp};

/// Whose credential it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialOwner {
    /// A connection's: how we ask about its account.
    Connection(ConnectionKey),
    /// A source's: an App's key, and what proves its deliveries.
    Source(SourceKey),
}

impl std::fmt::Display for CredentialOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection(key) => write!(f, "connection:{key}"),
            Self::Source(key) => write!(f, "source:{key}"),
        }
    }
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A personal, group or project token.
    AccessToken,
    /// A GitHub App's private key, PEM.
    AppKey,
    /// A GitHub App's secret for sign-in.
    ClientSecret,
    /// What signs deliveries, or GitLab's plain token.
    WebhookSecret,
    /// GitLab's signing token.
    SigningToken,
    /// The webhook secret that was replaced; it still proves deliveries until it expires.
    WebhookSecretBefore,
    /// The signing token that was replaced with it.
    SigningTokenBefore,
}

impl CredentialKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::AccessToken,
        Self::AppKey,
        Self::ClientSecret,
        Self::WebhookSecret,
        Self::SigningToken,
        Self::WebhookSecretBefore,
        Self::SigningTokenBefore,
    ];

    /// What proves deliveries, each with the kind under which it is kept for a while once it was replaced.
    pub const OF_HOOKS: [(Self, Self); 2] =
        [(Self::WebhookSecret, Self::WebhookSecretBefore), (Self::SigningToken, Self::SigningTokenBefore)];

    /// The word by which it is kept; never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::AppKey => "app_key",
            Self::ClientSecret => "client_secret",
            Self::WebhookSecret => "webhook_secret",
            Self::SigningToken => "signing_token",
            Self::WebhookSecretBefore => "webhook_secret_before",
            Self::SigningTokenBefore => "signing_token_before",
        }
    }
}

/// Everything about a credential but itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialAbout {
    /// Whose key seals it.
    pub organization: OrganizationSlug,
    /// Whose it is.
    pub owner: CredentialOwner,
    /// What it is.
    pub kind: CredentialKind,
    /// Its last four characters, where it is long enough to show them.
    pub last4: Option<String>,
    /// When it ends, where the forge says so; of one that was replaced, when it proves nothing any more, and `None` as long
    /// as the forge has not been told of its successor.
    pub expires_at: Option<Timestamp>,
    /// The only place it may be sent to, as a fingerprint in hex; `None` for what is never sent.
    pub binding: Option<String>,
    /// When it was given.
    pub created_at: Timestamp,
    /// Since when it is being replaced at the forge. Still set after a start: the answer was lost, and it is void.
    pub rotating_since: Option<Timestamp>,
}

impl CredentialAbout {
    /// The only place where its sealed form opens: whose data key, which row, which field.
    #[must_use]
    pub fn place(&self) -> (String, String, &'static str) {
        (format!("organization:{}", self.organization), self.owner.to_string(), self.kind.as_str())
    }
}

/// Characters of a secret below which not even its end is shown.
const SHOWN_FROM: usize = 16;

/// The last four characters of a secret, for people who have several.
#[must_use]
pub fn last4(secret: &str) -> Option<String> {
    let length = secret.chars().count();
    (length >= SHOWN_FROM).then(|| secret.chars().skip(length.saturating_sub(4)).collect())
}

/// A credential as it lies in a store: without the master key it opens nothing. It names its data key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedCredential {
    /// What is known of it.
    pub about: CredentialAbout,
    /// Its sealed form, in hex.
    pub sealed: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s38_of_a_short_secret_not_even_the_end_is_shown() {
        assert_eq!(last4("glpat-0123456789abcdef"), Some("cdef".into()));
        assert_eq!(last4("0123456789abcde"), None);
        assert_eq!(last4(""), None);
    }
}
