//! The master key: a file that only its owner reads, outside of the store.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::cipher::{Key, random};
use super::error::SealError;

const PREFIX: &str = "scmc_mk_";
/// No key file is longer.
const FILE_BYTES_MAX: u64 = 256;

/// Wraps data keys. Thirty-two random bytes.
pub struct MasterKey(pub(super) Key);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey([REDACTED])")
    }
}

fn checksum(key: &[u8; 32]) -> String {
    format!("{:08x}", crc32fast::hash(key))
}

impl MasterKey {
    /// Reads the key from its file.
    ///
    /// # Errors
    /// When the file is missing, open to others, or no key.
    pub fn load(path: &Path) -> Result<Self, SealError> {
        let file = File::open(path).map_err(|error| SealError::io("read", path, &error))?;
        let meta = file.metadata().map_err(|error| SealError::io("read", path, &error))?;
        let mode = meta.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SealError::OpenToOthers { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| SealError::io("read", path, &error))?;
        Self::parse(text.trim_end())
            .ok_or_else(|| SealError::damaged(path, "it is no master key, or was cut"))
    }

    fn parse(text: &str) -> Option<Self> {
        let (key, sum) = text.strip_prefix(PREFIX)?.split_at_checked(43)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(key).ok()?);
        let key: [u8; 32] = bytes.as_slice().try_into().ok()?;
        (checksum(&key) == sum).then(|| Self(Zeroizing::new(key)))
    }

    /// Makes a new key in a new file of mode 0600, on stable storage when it returns.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub fn create(path: &Path) -> Result<Self, SealError> {
        let failed = |error: std::io::Error| SealError::io("create", path, &error);
        let key = Zeroizing::new(random::<32>()?);
        let text =
            Zeroizing::new(format!("{PREFIX}{}{}\n", URL_SAFE_NO_PAD.encode(key.as_slice()), checksum(&key)));
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        sync_parent(path).map_err(failed)?;
        Ok(Self(key))
    }
}

/// Makes a file's name durable.
pub(super) fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(parent)?.sync_all()
}
