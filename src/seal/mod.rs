//! Envelope encryption at rest, and the tokens by which callers are known.
//!
//! The master key is a file outside of the store. It wraps data keys, one for each scope (a source, an organization,
//! the instance), which lie wrapped in the store's `keyring`, a file or a table. A value is sealed with a key derived from its scope's
//! data key for its purpose, and bound to its [`Place`]: moved to another row, field or tenant, it does not open.

mod archive;
mod cipher;
mod error;
mod keyring;
mod master;
mod place;
mod rotate;
mod shared;
#[cfg(test)]
mod tests;
pub mod token;

pub use archive::ArchiveLock;
pub use cipher::Cipher;
pub use error::SealError;
pub use keyring::{Check, Keyring, WrappedKey};
pub use master::MasterKey;
pub use place::{Place, Purpose};
pub use rotate::{Next, Renewal, Waiting, key_number};
