//! What can be wrong with keys and sealed values. Never a secret in a sentence.

use std::path::{Path, PathBuf};

/// Why something cannot be sealed or opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The keyring was made with another master key.
    #[error(
        "the master key does not fit the keyring {}; nothing was changed: use the key with which this store was made",
        path.display()
    )]
    WrongMasterKey {
        /// The keyring.
        path: PathBuf,
    },
    /// An exported file was written with another master key.
    #[error(
        "the master key is not the one of the store that wrote this file, or the file's first line was changed; nothing was changed: use that store's key (keys.file)"
    )]
    WrongArchiveKey,
    /// There is data, and no keyring that could open it.
    #[error(
        "the keyring {} is missing, but the store holds data sealed with it; nothing was changed: put the keyring back",
        path.display()
    )]
    MissingKeyring {
        /// The keyring.
        path: PathBuf,
    },
    /// Others may read the master key.
    #[error("the master key {} may be read by others (mode {mode:04o}): run chmod 600 on it", path.display())]
    OpenToOthers {
        /// The key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Written by a later version.
    #[error("{} was written by a later version of scm-connect; nothing was changed", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// Not what was written.
    #[error("{} is damaged: {what}; nothing was changed", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A sealed value that does not open here: changed, moved, or of another key.
    #[error("a sealed value does not open: it was changed, or it belongs to another place or key")]
    Refused,
    /// Another process has put a new master key in force, and this machine's file has not got it.
    #[error(
        "the store was given a new master key, and {} has not got it: copy the file from the machine on which `keys rotate` ran",
        path.display()
    )]
    NotYetHere {
        /// The key file.
        path: PathBuf,
    },
    /// A store that is shared has not been asked for this scope's key yet.
    #[error("there is no data key for this yet")]
    NoSuchKey,
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The file system says no.
    #[error("cannot {what} {}: {why}", path.display())]
    Io {
        /// The verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
}

impl SealError {
    pub(super) fn io(what: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), why: error.to_string() }
    }

    pub(super) fn damaged(path: &Path, what: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), what }
    }
}
