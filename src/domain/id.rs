//! Names and numbers by which things are told apart. Each is checked once, here.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} \"{value}\" is not valid: use 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"
)]
pub struct InvalidId {
    what: &'static str,
    value: String,
}

fn check_slug(what: &'static str, value: &str) -> Result<(), InvalidId> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inside = value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if value.len() <= 63 && inside && edge(value.chars().next()) && edge(value.chars().last()) {
        Ok(())
    } else {
        let value = value.chars().take(80).collect();
        Err(InvalidId { what, value })
    }
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the spelling.
            ///
            /// # Errors
            /// When it is empty, too long, or holds anything but `a-z`, `0-9` and inner `-`.
            pub fn parse(value: &str) -> Result<Self, InvalidId> {
                check_slug($what, value).map(|()| Self(value.to_owned()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::parse(&value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug!(
    /// Where deliveries come from; part of the hook URL. Never changes.
    SourceKey, "source"
);
slug!(
    /// One account at one forge, tied to one organization. Never changes.
    ConnectionKey, "connection"
);
slug!(
    /// A tenant of this product. Never changes.
    OrganizationSlug, "organization"
);

impl ConnectionKey {
    /// What stands in the place of a connection where the operator's file is the source.
    #[must_use]
    pub fn of_file() -> Self {
        Self("config".to_owned())
    }
}

/// A forge instance: its base URL without the scheme, sub-path kept, lower case, no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Host(String);

impl Host {
    /// From a base URL such as `https://gitlab.example.com/gitlab/`.
    ///
    /// # Errors
    /// When the URL has no host.
    pub fn of(url: &url::Url) -> Result<Self, InvalidId> {
        let invalid = || InvalidId { what: "forge URL", value: url.as_str().chars().take(80).collect() };
        let name = url.host_str().ok_or_else(invalid)?.trim_end_matches('.').to_ascii_lowercase();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self(format!("{name}{port}{}", url.path().trim_end_matches('/'))))
    }

    /// Where accounts are at home that no forge knows.
    #[must_use]
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// `github.com`, `gitlab.example.com/gitlab`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Our own id of one delivery: a UUID of version 7, so that ids sort by the time of receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(Uuid);

impl DeliveryId {
    /// Wraps a UUID; the caller makes it (see `app.rs`), so that time stays an argument.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// Reads the hyphenated form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The sixteen bytes, in sorting order.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From the sixteen bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_lower_case_and_short() {
        for good in ["a", "acme", "acme-github-2", &"x".repeat(63)] {
            assert!(SourceKey::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Acme", "a b", "a/b", "ä", &"x".repeat(64)] {
            assert!(SourceKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_keeps_port_and_sub_path_but_no_scheme() {
        let host = |url: &str| Host::of(&url::Url::parse(url).unwrap()).unwrap().as_str().to_owned();
        assert_eq!(host("https://GitHub.com/"), "github.com");
        assert_eq!(host("https://git.example.com:8443/gitlab/"), "git.example.com:8443/gitlab");
        assert_eq!(host("https://github.com./"), "github.com");
    }
}
