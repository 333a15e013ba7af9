//! The one file format of export and backup, the same for every store.
//!
//! JSON, a line for each item, so that records can be read, compared and searched with everyday tools. Each line is
//! `{"mac":"<32 hex digits>",REST`: the mac is keyed, and covers the mac of the line before and `REST`, so a line that
//! was edited, moved or left out is named. `REST` begins with
//!
//! - `"head":{…}` in the first line: format, the store, the file's key (wrapped by the master key);
//! - `"item":{…}` in each line but the first and the last; what came of a delivery's bytes and headers is not readable:
//!   it is compressed, sealed with the file's key and bound to its line, in `"sealed"`; a credential likewise;
//! - `"end":{…}` in the last line: how many items there are of each kind, and SHA-256 of everything before it.
//!
//! Without the master key nothing secret in it can be read, and nothing of it can be imported.

mod read;
mod witness;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use read::{Archive, Checked, check};
pub use witness::Witness;
pub use write::Writer;

use crate::domain::delivery::Envelope;
use crate::domain::{SourceKey, Timestamp};
use crate::seal::{ArchiveLock, Cipher, Place, Purpose, SealError};

/// The version that is written.
pub const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The version of the format.
    pub scm_connect_export: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// When the export began: everything acknowledged before is in it.
    pub at: Timestamp,
    /// About how many items follow.
    pub items_about: u64,
    /// The file's key.
    pub lock: ArchiveLock,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    items: u64,
    counts: BTreeMap<String, u64>,
    sha256: String,
}

/// What is sealed of a delivery, before its body.
#[derive(Debug, Serialize, Deserialize)]
struct Cover {
    source: SourceKey,
    envelope: Envelope,
    headers: Vec<(String, Vec<u8>)>,
}

/// Where a sealed delivery belongs: into this line of this file (whose key no other file has).
fn place(line: &[u8; 8]) -> Place<'_> {
    Place { purpose: Purpose::Backup, scope: "archive", row: line, field: "delivery" }
}

/// Where a sealed credential belongs, likewise.
fn vault(line: &[u8; 8]) -> Place<'_> {
    Place { field: "credential", ..place(line) }
}

/// The mac of each line, made from the one before.
#[derive(Debug)]
struct Chain {
    cipher: Cipher,
    before: [u8; 16],
}

impl Chain {
    const fn new(cipher: Cipher) -> Self {
        Self { cipher, before: [0; 16] }
    }

    fn next(&mut self, rest: &[u8]) -> [u8; 16] {
        let mut text = self.before.to_vec();
        text.extend_from_slice(rest);
        self.before = self.cipher.fingerprint("archive line", &text);
        self.before
    }
}

/// Why a file is not taken. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read.
    #[error("{} cannot be read: {why}; nothing was changed", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// Something else altogether.
    #[error("{} is no export of scm-connect: its first line is something else; nothing was changed", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error("{} has export format {found}, and this version knows up to {FORMAT}; nothing was changed: use the version of scm-connect that wrote it, or a later one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The master key does not open it.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SealError,
    },
    /// A line is not the one that was written there.
    #[error("line {line} of {} is not what was written there: the file was edited or damaged; nothing was changed", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// Counting from 1.
        line: u64,
    },
    /// The last line is missing.
    #[error("{} was cut short: it ends in line {line}, before its last line; nothing was changed", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// Counting from 1.
        line: u64,
    },
    /// Something follows the last line.
    #[error("{} goes on after its last line, {line}; nothing was changed", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Counting from 1.
        line: u64,
    },
}

#[cfg(test)]
mod tests;
