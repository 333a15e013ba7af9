//! The data keys of a store that several processes share: a database keeps them, this opens them.

use std::path::Path;

use super::cipher::key_id;
use super::error::SealError;
use super::keyring::{Check, Keyring, WrappedKey};
use super::master::MasterKey;

/// What an error calls the place of the keys.
const PLACE: &str = "(database)";

impl Keyring {
    /// Opens the keys that a database holds.
    ///
    /// # Errors
    /// When the master key does not fit, or a key is damaged.
    pub fn of_database(check: &Check, keys: &[WrappedKey], master: &MasterKey) -> Result<Self, SealError> {
        Self::unlock(Path::new(PLACE), check, keys, master, None)
    }

    /// Whether something can be sealed for a scope.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.find(scope).is_some()
    }

    /// Whether the key is here that a sealed value names.
    #[must_use]
    pub fn knows(&self, sealed: &[u8]) -> bool {
        key_id(sealed).is_some_and(|id| self.has_id(id))
    }

    /// A new key for a scope, wrapped, to be kept by the database and adopted then; whichever process keeps its own
    /// first decides.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn draft(&self, scope: &str) -> Result<String, SealError> {
        self.wrap_new(scope)
    }
}
