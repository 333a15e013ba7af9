//! The forges: what each one's deliveries look like and mean. A forge's field names never leave its folder.

mod clock;
pub mod decoy;
mod directory;
mod error;
mod events;
pub mod github;
pub mod gitlab;
mod pace;
mod page;
mod reads;
mod sent;

pub use directory::Directory;
pub use error::ProviderError;
pub use events::Events;
pub use pace::Purpose;
pub use page::{Next, Page, Whole};
pub use reads::Reads;
pub use sent::{Sent, SentLog, SentPage};

use crate::domain::SourceKey;
use crate::domain::Timestamp;
use crate::domain::delivery::{Authenticate, Delivery, Envelope, NO_SLOT, RawDelivery, Rejected};
use crate::domain::event::Event;
use crate::domain::organization::{Forge, Kind};

/// Where the API of a forge is whose base URL this is.
#[must_use]
pub fn api_url(kind: Kind, base: &url::Url) -> url::Url {
    forge_api_url(kind.forge(), base)
}

/// The same by the forge's language.
#[must_use]
pub fn forge_api_url(forge: Forge, base: &url::Url) -> url::Url {
    match forge {
        Forge::Github => github::api_url(base),
        Forge::Gitlab => gitlab::api_url(base),
    }
}

/// A body that cannot be read. Its bytes are kept, so that a fixed reader can be given them again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be read: {0}")]
pub struct Unreadable(pub String);

/// One secret with the time it ends.
#[derive(Debug, Clone)]
pub struct LiveSecret {
    /// The secret; for GitLab's signing the `whsec_…` text.
    pub secret: secrecy::SecretString,
    /// From then on it proves nothing.
    pub not_after: Option<Timestamp>,
}

/// The secrets by which a source proves its deliveries, in the order of their slots.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// GitHub: HMAC keys. GitLab: plain tokens.
    pub webhook: Vec<LiveSecret>,
    /// GitLab's signing tokens. With one set, a plain token proves nothing.
    pub signing: Vec<LiveSecret>,
}

/// The one who proves a source's deliveries.
#[derive(Debug)]
pub enum Door {
    /// GitHub's scheme.
    Github(github::hook::Verifier),
    /// GitLab's schemes.
    Gitlab(gitlab::hook::Verifier),
}

impl Door {
    /// Builds the door of one source.
    ///
    /// # Errors
    /// When a secret is empty or a signing token is no `whsec_` token; names the key, never the value.
    pub fn new(forge: Forge, source: SourceKey, secrets: Secrets) -> Result<Self, String> {
        match forge {
            Forge::Github => github::hook::Verifier::new(source, secrets).map(Self::Github),
            Forge::Gitlab => gitlab::hook::Verifier::new(source, secrets).map(Self::Gitlab),
        }
    }
}

impl Authenticate for Door {
    fn authenticate(&self, raw: &RawDelivery, now: Timestamp) -> Result<Envelope, Rejected> {
        match self {
            Self::Github(door) => door.authenticate(raw, now),
            Self::Gitlab(door) => door.authenticate(raw, now),
        }
    }

    fn passes(&self) -> usize {
        match self {
            Self::Github(door) => door.passes(),
            Self::Gitlab(door) => door.passes(),
        }
    }
}

/// What the headers of a delivery say that a forge's log holds; `None`: that it was none, or that its log holds too
/// little of it.
#[must_use]
pub fn logged(forge: Forge, raw: &RawDelivery) -> Option<Envelope> {
    match forge {
        Forge::Github => github::hook::envelope(raw, NO_SLOT).ok(),
        Forge::Gitlab => None,
    }
}

/// Reads what a proven delivery means. Pure.
///
/// # Errors
/// When the body is not what the forge documents, so far that nothing can be made of it.
pub fn read(forge: Forge, delivery: &Delivery) -> Result<Event, Unreadable> {
    match forge {
        Forge::Github => github::read::read(delivery),
        Forge::Gitlab => gitlab::read::read(delivery),
    }
}
