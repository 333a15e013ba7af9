//! Log files: their names, their heads, and the few ways in which the journal touches a folder.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::fields::Fields;
use super::frame::Hash;
use crate::fault::Action;

/// Bytes of a file head, before the first frame.
pub(super) const HEAD_BYTES: u64 = 64;
/// The version of the format that is written, in heads and in the seal.
pub(super) const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"scm-log\0";

/// The first bytes of a log file: `magic | version u32 | crc32 u32 | first seq u64 | bytes of the file before u64 | hash`.
///
/// The checksum covers all but itself; every later version keeps magic, version and checksum where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The first frame in the file.
    pub(super) first_seq: u64,
    /// How long the file before this one was when it was closed; without this, a shorter one would show only in `verify`.
    pub(super) bytes_before: u64,
    /// The running hash before the first frame.
    pub(super) hash: Hash,
}

impl Head {
    /// As it is written.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(48);
        rest.extend_from_slice(&self.first_seq.to_le_bytes());
        rest.extend_from_slice(&self.bytes_before.to_le_bytes());
        rest.extend_from_slice(&self.hash);
        checked(MAGIC, &rest)
    }

    /// Reads and checks the head of the file that should begin with `first_seq`.
    pub(super) fn read(file: &File, path: &Path, first_seq: u64) -> Result<Self, JournalError> {
        let mut raw = [0; HEAD_BYTES as usize];
        let damaged =
            |what: String| JournalError::Damaged { path: path.to_owned(), offset: 0, seq: first_seq, what };
        match file.read_exact_at(&mut raw, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("the file ends within its head".into()));
            }
            Err(error) => return Err(JournalError::io("read the head of", path, error)),
        }
        let rest = match unchecked(MAGIC, &raw) {
            Checked::Whole(rest) => rest,
            Checked::Newer(found) => {
                return Err(JournalError::Newer { path: path.to_owned(), found, known: FORMAT });
            }
            Checked::Bad(what) => return Err(damaged(format!("the head is bad: {what}"))),
        };
        let head = Self::parse(rest).ok_or_else(|| damaged("the head is too short".into()))?;
        if head.first_seq != first_seq {
            return Err(damaged(format!("the head is that of the file of frame {}", head.first_seq)));
        }
        Ok(head)
    }

    fn parse(rest: &[u8]) -> Option<Self> {
        let mut fields = Fields(rest);
        Some(Self { first_seq: fields.u64()?, bytes_before: fields.u64()?, hash: fields.array()? })
    }
}

/// Puts `magic | version | crc32` before a record; the checksum covers all but itself.
pub(super) fn checked(magic: &[u8; 8], rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + rest.len());
    out.extend_from_slice(magic);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&record_checksum(magic, FORMAT, rest).to_le_bytes());
    out.extend_from_slice(rest);
    out
}

/// What [`unchecked`] found.
#[derive(Debug)]
pub(super) enum Checked<'a> {
    /// The record after the checksum.
    Whole(&'a [u8]),
    /// Whole, but of a format that this program does not know.
    Newer(u32),
    /// Neither.
    Bad(&'static str),
}

/// Takes apart what [`checked`] made.
pub(super) fn unchecked<'a>(magic: &[u8; 8], raw: &'a [u8]) -> Checked<'a> {
    let mut fields = Fields(raw);
    let (Some(found), Some(version), Some(crc)) = (fields.array::<8>(), fields.u32(), fields.u32()) else {
        return Checked::Bad("it is too short");
    };
    if found != *magic {
        return Checked::Bad("it does not begin as it should");
    }
    if record_checksum(magic, version, fields.0) != crc {
        return Checked::Bad("the checksum does not match");
    }
    if version > FORMAT { Checked::Newer(version) } else { Checked::Whole(fields.0) }
}

fn record_checksum(magic: &[u8; 8], version: u32, rest: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(magic);
    crc.update(&version.to_le_bytes());
    crc.update(rest);
    crc.finalize()
}

/// Where the file of this first frame is.
pub(super) fn log_path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}.log"))
}

/// All log files of a folder by their first frame. Other files are none of our business.
pub(super) fn list(dir: &Path) -> Result<BTreeMap<u64, PathBuf>, JournalError> {
    let read = |error| JournalError::io("list", dir, error);
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(read)? {
        let entry = entry.map_err(read)?;
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".log")).unwrap_or_default();
        if digits.len() == 20
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && let Ok(first_seq) = digits.parse::<u64>()
        {
            found.insert(first_seq, entry.path());
        }
    }
    Ok(found)
}

/// Makes a folder that only we can enter; one that is there already stays as it is.
pub(super) fn create_dir(dir: &Path) -> Result<(), JournalError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(JournalError::io("create", dir, error))
        }
        _ => Ok(()),
    }
}

/// Creates a file that only we can read, and that was not there.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Opens a file to read and write.
pub(super) fn open_rw(path: &Path) -> Result<File, JournalError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| JournalError::io("open", path, error))
}

/// Does a step, unless a planted fault wants otherwise.
pub(super) fn step(action: Action, run: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match action {
        Action::Go => run(),
        Action::Skip => Ok(()),
        Action::Error => Err(io::Error::other("planted fault")),
    }
}

/// The error of a disk without room.
pub(super) fn no_room() -> io::Error {
    io::ErrorKind::StorageFull.into()
}
