//! Tickets of a browser's way through a connection: what a one-time link, a session's cookie or a `state` stands for.

use serde::{Deserialize, Serialize};

use super::{OrganizationSlug, Timestamp};

/// What a ticket is good for. One that was made for one thing opens nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TicketPurpose {
    /// A link that an admin was given: begins a session, once.
    Link,
    /// A browser's session, by its cookie.
    Session,
    /// `state` of a manifest that was sent to a forge.
    Manifest,
    /// `state` of an installation.
    Install,
    /// `state` of a sign-in that proves who may bind the installation.
    Proof,
}

impl TicketPurpose {
    /// All purposes.
    pub const ALL: [Self; 5] = [Self::Link, Self::Session, Self::Manifest, Self::Install, Self::Proof];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Session => "session",
            Self::Manifest => "manifest",
            Self::Install => "install",
            Self::Proof => "proof",
        }
    }
}

/// What is kept under the hash of a random text that only its holder knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// What it is good for.
    pub purpose: TicketPurpose,
    /// For whom.
    pub organization: OrganizationSlug,
    /// More about it, as JSON; nothing secret.
    pub about: String,
    /// From then on it is good for nothing.
    pub expires_at: Timestamp,
}
