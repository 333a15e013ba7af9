//! The master key: in a file that only its owner reads, outside of the store.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::cipher::{Key, random};
use super::error::SealError;

const PREFIX: &str = "scmc_mk_";
/// No key file is longer.
const FILE_BYTES_MAX: u64 = 4096;

/// Wraps data keys: thirty-two random bytes.
///
/// Its file holds one key a line, the newest last. There is more than one while keys are rotated, or while backups are
/// to be opened that were made with an older one; which of them a store uses, its keyring knows.
#[derive(Clone)]
pub struct MasterKey {
    path: PathBuf,
    newest: Key,
    /// The newest of them first.
    older: Vec<Key>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey([REDACTED])")
    }
}

fn checksum(key: &[u8; 32]) -> String {
    format!("{:08x}", crc32fast::hash(key))
}

fn line(key: &Key) -> Zeroizing<String> {
    Zeroizing::new(format!("{PREFIX}{}{}\n", URL_SAFE_NO_PAD.encode(key.as_slice()), checksum(key)))
}

fn parse(text: &str) -> Option<Key> {
    let (key, sum) = text.strip_prefix(PREFIX)?.split_at_checked(43)?;
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(key).ok()?);
    let key: Key = Zeroizing::new(bytes.as_slice().try_into().ok()?);
    (checksum(&key) == sum).then_some(key)
}

impl MasterKey {
    /// Reads the keys from their file.
    ///
    /// # Errors
    /// When the file is missing, open to others, or holds something that is no key.
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
        let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let keys: Option<Vec<Key>> = lines.map(parse).collect();
        let mut newest_first = keys.unwrap_or_default().into_iter().rev();
        let newest = newest_first.next();
        let newest = newest.ok_or_else(|| SealError::damaged(path, "it is no master key, or was cut"))?;
        Ok(Self { path: path.to_owned(), newest, older: newest_first.collect() })
    }

    /// Makes a new key in a new file of mode 0600, on stable storage when it returns.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub fn create(path: &Path) -> Result<Self, SealError> {
        let failed = |error: std::io::Error| SealError::io("create", path, &error);
        let newest: Key = Zeroizing::new(random()?);
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(line(&newest).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        sync_parent(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), newest, older: Vec::new() })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn newest(&self) -> &Key {
        &self.newest
    }

    /// All of them.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    pub(super) fn has_older(&self) -> bool {
        !self.older.is_empty()
    }

    /// Adds a new key to the file, behind the others.
    ///
    /// # Errors
    /// When the file cannot be written; it is as before then.
    pub(super) fn add(&self) -> Result<Self, SealError> {
        let older = self.newest_first().cloned().collect();
        let more = Self { path: self.path.clone(), newest: Zeroizing::new(random()?), older };
        more.replace_file()?;
        Ok(more)
    }

    /// Leaves the newest key alone in the file.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(super) fn forget_older(&self) -> Result<Self, SealError> {
        let alone = Self { path: self.path.clone(), newest: self.newest.clone(), older: Vec::new() };
        alone.replace_file()?;
        Ok(alone)
    }

    /// Replaces the file as a whole; on stable storage when it returns.
    fn replace_file(&self) -> Result<(), SealError> {
        let failed = |error: std::io::Error| SealError::io("write", &self.path, &error);
        let place = std::fs::canonicalize(&self.path).map_err(failed)?;
        let draft = place.with_extension("draft");
        let mut options = File::options();
        let mut file =
            options.create(true).truncate(true).write(true).mode(0o600).open(&draft).map_err(failed)?;
        for key in self.older.iter().rev().chain(std::iter::once(&self.newest)) {
            file.write_all(line(key).as_bytes()).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        std::fs::rename(&draft, &place).and_then(|()| sync_parent(&place)).map_err(failed)
    }
}

/// Makes a file's name durable.
pub(super) fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(parent)?.sync_all()
}
