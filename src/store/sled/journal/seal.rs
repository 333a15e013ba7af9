//! The seal: a small second file that says where the acknowledged part of the log ends.
//!
//! Four pages of 4 KiB; page pair `generation % 2` is a slot, and each slot holds the same record twice. A batch
//! overwrites the slot that holds the older generation, so a torn write leaves the batch before, and one bad page never
//! loses the newest. Each page is `magic | version u32 | crc32 u32 | record`, zero to its end; the checksum covers the page.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::fields::Fields;
use super::file::{self, Checked, FORMAT, HEAD_BYTES};
use super::frame::Hash;

const MAGIC: &[u8; 8] = b"scm-seal";
const PAGE_BYTES: usize = 4096;
const SLOT_BYTES: usize = 2 * PAGE_BYTES;
const FILE_BYTES: usize = 2 * SLOT_BYTES;

/// What is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    /// Grows by one with each write; the highest one wins.
    pub(super) generation: u64,
    /// The last acknowledged frame; 0 when there is none.
    pub(super) last_seq: u64,
    /// The first frame of the current file.
    pub(super) file: u64,
    /// Where the acknowledged part of the current file ends.
    pub(super) end: u64,
    /// The running hash after the last frame.
    pub(super) hash: Hash,
    /// The oldest frame that is kept; always the first of a file.
    pub(super) floor_seq: u64,
    /// The running hash before it.
    pub(super) floor_hash: Hash,
}

impl Seal {
    /// The seal of a journal without frames.
    pub(super) const fn new() -> Self {
        Self {
            generation: 1,
            last_seq: 0,
            file: 1,
            end: HEAD_BYTES,
            hash: [0; 32],
            floor_seq: 1,
            floor_hash: [0; 32],
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(PAGE_BYTES);
        for number in [self.generation, self.last_seq, self.file, self.end, self.floor_seq] {
            rest.extend_from_slice(&number.to_le_bytes());
        }
        rest.extend_from_slice(&self.hash);
        rest.extend_from_slice(&self.floor_hash);
        rest.resize(PAGE_BYTES - 16, 0);
        let mut slot = file::checked(MAGIC, &rest);
        slot.extend_from_within(..);
        slot
    }

    fn parse(rest: &[u8]) -> Option<Self> {
        let mut fields = Fields(rest);
        Some(Self {
            generation: fields.u64()?,
            last_seq: fields.u64()?,
            file: fields.u64()?,
            end: fields.u64()?,
            floor_seq: fields.u64()?,
            hash: fields.array()?,
            floor_hash: fields.array()?,
        })
    }
}

/// What the four pages say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The newest whole record.
    pub(super) seal: Seal,
    /// Copies that cannot be read.
    pub(super) bad_copies: u8,
    /// Both copies of one slot cannot be read: the newest record may have been there.
    pub(super) slot_lost: bool,
}

/// The open seal file.
#[derive(Debug)]
pub(super) struct SealFile {
    file: File,
    path: PathBuf,
}

impl SealFile {
    /// Where the seal of a folder is.
    pub(super) fn path_in(dir: &Path) -> PathBuf {
        dir.join("seal")
    }

    /// Writes the first seal under another name and moves it into place whole. The caller syncs the folder.
    pub(super) fn create(dir: &Path) -> Result<(), JournalError> {
        let (path, draft) = (Self::path_in(dir), dir.join("seal.new"));
        let failed = |error| JournalError::io("create", &draft, error);
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = file::create(&draft).map_err(failed)?;
        let mut pages = Seal::new().encode();
        pages.extend_from_within(..);
        file.write_all_at(&pages, 0).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        std::fs::rename(&draft, &path).map_err(|error| JournalError::io("create", &path, error))
    }

    /// Opens the seal to write it. The lock keeps a second writer out until this is dropped.
    pub(super) fn open(dir: &Path) -> Result<Self, JournalError> {
        let path = Self::path_in(dir);
        let file = file::open_rw(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path }),
            Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::InUse { path }),
            Err(std::fs::TryLockError::Error(error)) => Err(JournalError::io("lock", &path, error)),
        }
    }

    /// Opens the seal to read it, beside a writer or without one.
    pub(super) fn open_to_read(dir: &Path) -> Result<Self, JournalError> {
        let path = Self::path_in(dir);
        match File::open(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(JournalError::SealMissing { path }),
            Err(error) => Err(JournalError::io("open", &path, error)),
        }
    }

    /// The seal's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The newest record, and how well the copies are.
    pub(super) fn read(&self) -> Result<Found, JournalError> {
        let damaged = |what: String| JournalError::SealDamaged { path: self.path.clone(), what };
        let read = |error| JournalError::io("read", &self.path, error);
        let bytes = self.file.metadata().map_err(read)?.len();
        // It is made whole and never changes its size: another size is no torn write.
        if bytes != FILE_BYTES as u64 {
            return Err(damaged(format!("it has {bytes} bytes instead of {FILE_BYTES}")));
        }
        let mut raw = vec![0; FILE_BYTES];
        self.file.read_exact_at(&mut raw, 0).map_err(read)?;
        let (mut newest, mut bad_copies, mut slot_lost): (Option<Seal>, u8, bool) = (None, 0, false);
        for slot in raw.chunks(SLOT_BYTES) {
            let mut readable = false;
            for page in slot.chunks(PAGE_BYTES) {
                match self.copy(page)? {
                    Some(seal) => {
                        readable = true;
                        newest = newest.filter(|other| other.generation >= seal.generation).or(Some(seal));
                    }
                    None => bad_copies += 1,
                }
            }
            slot_lost |= !readable;
        }
        let seal = newest.ok_or_else(|| damaged("none of its four copies is whole".into()))?;
        Ok(Found { seal, bad_copies, slot_lost })
    }

    fn copy(&self, page: &[u8]) -> Result<Option<Seal>, JournalError> {
        match file::unchecked(MAGIC, page) {
            Checked::Whole(rest) => Ok(Seal::parse(rest)),
            Checked::Newer(found) => {
                Err(JournalError::Newer { path: self.path.clone(), found, known: FORMAT })
            }
            Checked::Bad(_) => Ok(None),
        }
    }

    /// Writes both copies of the slot of this generation with one call, and syncs them.
    pub(super) fn write(&self, seal: &Seal) -> io::Result<()> {
        let offset = (seal.generation % 2) * SLOT_BYTES as u64;
        self.file.write_all_at(&seal.encode(), offset)?;
        self.file.sync_data()
    }
}
