//! The key of one exported file: fresh for each, wrapped by the master key, and good for nothing else.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cipher::{Cipher, Key, Nonces, random};
use super::error::SealError;
use super::keyring::{Keyring, wrapping};
use super::master::MasterKey;
use super::place::{Place, Purpose};

/// The only key of a file.
const KEY_ID: u32 = 1;

/// A file's key, wrapped. Without the master key it opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveLock {
    /// Names the file.
    pub id: uuid::Uuid,
    wrapped: String,
}

fn place(id: &uuid::Uuid) -> Place<'_> {
    Place { purpose: Purpose::DataKey, scope: "archive", row: id.as_bytes(), field: "wrapped" }
}

impl ArchiveLock {
    /// Makes the key of a new file.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(keyring: &Keyring) -> Result<(Self, Cipher), SealError> {
        let id = uuid::Builder::from_random_bytes(random()?).into_uuid();
        let key: Key = Zeroizing::new(random()?);
        let wrapped = STANDARD.encode(keyring.wrapping().seal(&place(&id), key.as_slice()));
        let cipher = Cipher::new(KEY_ID, key, Arc::new(Nonces::new()?));
        Ok((Self { id, wrapped }, cipher))
    }

    /// Opens the key.
    ///
    /// # Errors
    /// [`SealError::WrongArchiveKey`] with another master key than the one of the store that wrote the file.
    pub fn open(&self, master: &MasterKey) -> Result<Cipher, SealError> {
        let nonces = Arc::new(Nonces::new()?);
        let wrapped = STANDARD.decode(&self.wrapped).map_err(|_| SealError::WrongArchiveKey)?;
        let open = |master: &Key| wrapping(master, &nonces).open(&place(&self.id), &wrapped).ok();
        let plain = master.newest_first().find_map(open).ok_or(SealError::WrongArchiveKey)?;
        let key = plain.as_slice().try_into().map_err(|_| SealError::WrongArchiveKey)?;
        Ok(Cipher::new(KEY_ID, Zeroizing::new(key), nonces))
    }
}
