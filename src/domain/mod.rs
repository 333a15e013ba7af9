//! What the product is about: plain data and the rules that hold for it alone.
//!
//! Nothing here is async, reads a clock, or knows a forge's field names, a database or a web framework.

pub mod access;
pub mod audit;
pub mod capability;
pub mod change;
pub mod ci;
pub mod connection;
pub mod credential;
pub mod declared;
pub mod delivery;
pub mod event;
pub mod health;
pub mod id;
pub mod known;
pub mod lamp;
pub mod missed;
pub mod organization;
pub mod pipeline;
pub mod project;
pub mod replay;
pub mod roster;
pub mod scan;
pub mod task;
pub mod ticket;
pub mod time;

pub use id::{ConnectionKey, DeliveryId, Host, InvalidId, OrganizationSlug, SourceKey};
pub use time::{Clock, Timestamp};

/// A short id that is the same wherever it is computed: the first 12 bytes, in hex, of SHA-256 over the parts, each
/// led by its length so that no two lists of parts look alike.
#[must_use]
pub fn id_of(parts: &[&str]) -> String {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    hex::encode(digest.get(..12).unwrap_or(&digest))
}
