//! One append-only log in one folder: checksummed frames, and a seal that says up to where they are acknowledged.
//!
//! One writer, many readers. It knows nothing of what its frames hold. A commit is: write the frames, sync the log,
//! write the seal, sync the seal; only then is anything acknowledged.

mod error;
mod fields;
mod file;
mod frame;
mod mend;
mod open;
mod reader;
mod seal;
#[cfg(test)]
mod tests;
mod verify;
mod walk;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use error::{JournalError, is_passing};
pub(crate) use mend::{Mended, mend};
pub(crate) use reader::Reader;
pub(crate) use verify::Check;
#[cfg(test)]
pub(crate) use verify::verify;

use crate::fault::{self, Action};
use file::{HEAD_BYTES, Head};
use frame::HEADER_BYTES;
use open::{check_current, continuous, cut_foreign, cut_tail, follow, make, padded, sync_dir};
use reader::Shared;
use seal::{Seal, SealFile};

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The frame's number.
    pub(crate) seq: u64,
    /// Its file, by the first frame in it.
    pub(crate) file: u64,
    /// Where in the file it begins, in bytes.
    pub(crate) offset: u64,
    /// Bytes of its payload.
    pub(crate) len: u32,
}

/// How a log is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// A file that is larger gets no further batch.
    pub(crate) file_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { file_bytes_max: 64 << 20 }
    }
}

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Bytes behind the seal, left by a crash before they were acknowledged, and cut off.
    pub(crate) truncated_bytes: u64,
    /// Copies of the seal that cannot be read.
    pub(crate) bad_seal_copies: u8,
}

/// The writer.
#[derive(Debug)]
pub(crate) struct Journal {
    options: Options,
    seal_file: SealFile,
    current: File,
    /// The files by their first frame, with the bytes of each but the current one.
    files: BTreeMap<u64, u64>,
    /// What is acknowledged.
    seal: Seal,
    /// The batch under construction and the state after it.
    buffer: Vec<u8>,
    next: Seal,
    stopped: Option<JournalError>,
    shared: Arc<Shared>,
}

impl Journal {
    /// Whether the folder holds anything of a log: a seal, or frames without one.
    pub(crate) fn exists(dir: &Path) -> bool {
        SealFile::path_in(dir).exists() || file::list(dir).is_ok_and(|files| !files.is_empty())
    }

    /// Opens the log in a folder, or makes one in an empty or missing folder.
    ///
    /// # Errors
    /// When anything acknowledged is missing or changed, as far as that shows without reading the closed files.
    pub(crate) fn open(dir: &Path, options: Options) -> Result<(Self, Opened), JournalError> {
        make(dir)?;
        let seal_file = SealFile::open(dir)?;
        let found = seal_file.read()?;
        // A seal that cannot be read may have covered more than the one before it: what follows that one unbroken is kept.
        let seal = if found.slot_lost { follow(dir, found.seal)? } else { found.seal };
        let listed = file::list(dir)?;
        let files = continuous(dir, &listed, &seal)?;
        let mut truncated_bytes = cut_foreign(&listed, &seal)?;
        let path = file::log_path(dir, seal.file);
        let current = file::open_rw(&path)?;
        truncated_bytes = truncated_bytes.saturating_add(cut_tail(&current, &path, &seal)?);
        check_current(&current, &path, &seal)?;
        let shared = Arc::new(Shared::new(dir.to_owned(), seal, files.keys().copied().collect()));
        let opened = Opened { truncated_bytes, bad_seal_copies: found.bad_copies };
        let journal = Self {
            options,
            seal_file,
            current,
            files,
            seal,
            buffer: Vec::new(),
            next: seal,
            stopped: None,
            shared,
        };
        Ok((journal, opened))
    }

    /// Adds a frame to the batch. Nothing is written before [`Self::commit`].
    ///
    /// # Errors
    /// When the payload is too large, or the log has stopped.
    pub(crate) fn append(&mut self, kind: u8, payload: &[u8]) -> Result<Position, JournalError> {
        self.check()?;
        let max = frame::PAYLOAD_MAX;
        let len = u32::try_from(payload.len()).ok().filter(|len| *len <= max);
        let len = len.ok_or(JournalError::TooLarge { bytes: payload.len(), max })?;
        if self.buffer.is_empty()
            && self.seal.end >= self.options.file_bytes_max
            && self.seal.last_seq >= self.seal.file
        {
            // The batch goes to a new file, made when it is committed.
            self.next.file = self.seal.last_seq.saturating_add(1);
            self.next.end = HEAD_BYTES;
        }
        let seq = self.next.last_seq.saturating_add(1);
        let at = Position { seq, file: self.next.file, offset: self.next.end, len };
        self.next.hash = frame::encode(&mut self.buffer, &self.next.hash, seq, kind, len, payload);
        self.next.last_seq = seq;
        self.next.end = self.next.end.saturating_add(HEADER_BYTES as u64).saturating_add(u64::from(len));
        Ok(at)
    }

    /// Brings the batch to stable storage; returns the last frame's number.
    ///
    /// # Errors
    /// [`JournalError::Full`]: the batch is dropped, the log is as before and can be used again. Anything else stops
    /// the log for good: a sync that failed once says nothing about what is on the disk.
    pub(crate) fn commit(&mut self) -> Result<u64, JournalError> {
        self.check()?;
        if self.buffer.is_empty() {
            return Ok(self.seal.last_seq);
        }
        let written = self.write_batch();
        let sealed = written.and_then(|()| self.write_seal());
        match sealed {
            Ok(()) => {
                self.buffer.clear();
                Ok(self.seal.last_seq)
            }
            Err(error) => Err(self.give_up(error)),
        }
    }

    /// Goes on in a new file, unless the current one has no frame yet.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub(crate) fn roll_now(&mut self) -> Result<(), JournalError> {
        self.commit()?;
        if self.seal.last_seq < self.seal.file {
            return Ok(());
        }
        self.next.file = self.seal.last_seq.saturating_add(1);
        self.next.end = HEAD_BYTES;
        let rolled = self.write_batch().and_then(|()| self.write_seal());
        rolled.map_err(|error| self.give_up(error))
    }

    /// Drops the batch under construction.
    pub(crate) fn discard(&mut self) {
        self.buffer.clear();
        self.next = self.seal;
    }

    /// A reader of what is acknowledged.
    pub(crate) fn reader(&self) -> Reader {
        Reader { shared: Arc::clone(&self.shared) }
    }

    /// The last acknowledged frame; 0 when there is none.
    pub(crate) const fn last_seq(&self) -> u64 {
        self.seal.last_seq
    }

    /// The oldest frame that is kept.
    pub(crate) const fn floor(&self) -> u64 {
        self.seal.floor_seq
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().fold(self.seal.end, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// Unlinks the files that only hold frames before `seq`, never the current one. Returns the bytes given back.
    ///
    /// # Errors
    /// As [`Self::commit`]; the floor is raised before a file goes, so a crash in between loses nothing.
    pub(crate) fn drop_before(&mut self, seq: u64) -> Result<u64, JournalError> {
        self.check()?;
        self.discard();
        let floor = self.files.keys().copied().filter(|first| *first <= seq).max().unwrap_or(0);
        if floor <= self.seal.floor_seq {
            return Ok(0);
        }
        let dir = self.shared.dir.clone();
        let head = if floor == self.seal.file {
            Head::read(&self.current, &file::log_path(&dir, floor), floor)?
        } else {
            let path = file::log_path(&dir, floor);
            Head::read(&file::open_rw(&path)?, &path, floor)?
        };
        let raised = Seal { floor_seq: floor, floor_hash: head.hash, ..self.seal };
        self.next = raised;
        let action = fault::point("journal.before-drop");
        if let Err(error) = self.seal_as(raised, action) {
            return Err(self.give_up(error));
        }
        let _ = fault::point("journal.after-floor");
        let gone: Vec<(u64, u64)> =
            self.files.range(..floor).map(|(first, bytes)| (*first, *bytes)).collect();
        let mut freed: u64 = 0;
        for (first, bytes) in gone {
            let path = file::log_path(&dir, first);
            self.shared.forget(first);
            if let Err(error) = std::fs::remove_file(&path) {
                return Err(self.give_up(JournalError::stopped("remove", &path, error)));
            }
            self.files.remove(&first);
            freed = freed.saturating_add(bytes);
        }
        sync_dir(&dir).map_err(|error| self.give_up(JournalError::stopped("sync", &dir, error)))?;
        Ok(freed)
    }

    fn check(&self) -> Result<(), JournalError> {
        self.stopped.clone().map_or(Ok(()), Err)
    }

    /// Writes and syncs the frames.
    fn write_batch(&mut self) -> Result<(), JournalError> {
        if self.next.file != self.seal.file {
            self.roll()?;
        }
        let path = file::log_path(&self.shared.dir, self.next.file);
        let start = self.next.end.saturating_sub(self.buffer.len() as u64);
        let write = |error| JournalError::write("write", &path, error);
        match fault::point("journal.before-write") {
            Action::Go => self.current.write_all_at(&self.buffer, start).map_err(write)?,
            Action::Skip => {}
            Action::Error => {
                let half = self.buffer.get(..self.buffer.len() / 2).unwrap_or_default();
                self.current.write_all_at(half, start).map_err(write)?;
                return Err(write(file::no_room()));
            }
        }
        let _ = fault::point("journal.after-write");
        let synced = file::step(fault::point("journal.before-sync"), || self.current.sync_data());
        synced.map_err(|error| JournalError::stopped("sync", &path, error))?;
        let _ = fault::point("journal.after-sync");
        Ok(())
    }

    fn write_seal(&mut self) -> Result<(), JournalError> {
        let action = fault::point("journal.before-seal");
        self.seal_as(self.next, action)?;
        let _ = fault::point("journal.after-seal");
        Ok(())
    }

    fn seal_as(&mut self, seal: Seal, action: Action) -> Result<(), JournalError> {
        let seal = Seal { generation: self.seal.generation.saturating_add(1), ..seal };
        let path = self.seal_file.path().to_owned();
        let written = file::step(action, || self.seal_file.write(&seal));
        written.map_err(|error| JournalError::stopped("seal", &path, error))?;
        self.seal = seal;
        self.next = seal;
        self.shared.advance(seal);
        Ok(())
    }

    /// Makes the file that the batch goes to; its name is durable before anything is sealed in it.
    fn roll(&mut self) -> Result<(), JournalError> {
        let first = self.next.file;
        let dir = self.shared.dir.clone();
        let path = file::log_path(&dir, first);
        let write = |error| JournalError::write("create", &path, error);
        if fault::point("journal.before-roll") == Action::Error {
            return Err(write(file::no_room()));
        }
        // One that a full disk left behind holds nothing acknowledged.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(write(error)),
            _ => {}
        }
        let head = Head { first_seq: first, bytes_before: self.seal.end, hash: self.seal.hash };
        let created =
            file::create(&path).and_then(|file| file.write_all_at(&padded(&head), 0).map(|()| file));
        let created = created.and_then(|file| sync_dir(&dir).map(|()| file)).map_err(write)?;
        self.files.insert(self.seal.file, self.seal.end);
        self.files.insert(first, 0);
        self.shared.add(first);
        self.current = created;
        let _ = fault::point("journal.after-roll");
        Ok(())
    }

    /// After a failure: a full disk leaves the log as it was; everything else stops it.
    fn give_up(&mut self, error: JournalError) -> JournalError {
        let error = match error {
            JournalError::Full { .. } => match self.restore() {
                Ok(()) => return error,
                Err(worse) => worse,
            },
            other => other,
        };
        self.discard();
        self.stopped = Some(error.clone());
        error
    }

    /// Cuts off what a failed write has left, and goes back to the file of the seal.
    fn restore(&mut self) -> Result<(), JournalError> {
        let rolled = self.next.file != self.seal.file;
        let (next, path) = (self.next.file, file::log_path(&self.shared.dir, self.seal.file));
        self.discard();
        if rolled {
            self.files.remove(&next);
            self.shared.forget(next);
            let unwanted = file::log_path(&self.shared.dir, next);
            match std::fs::remove_file(&unwanted) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(JournalError::stopped("remove", &unwanted, error));
                }
                _ => {}
            }
            self.current = file::open_rw(&path)?;
        }
        self.files.insert(self.seal.file, 0);
        let cut = self.current.set_len(self.seal.end).and_then(|()| self.current.sync_data());
        cut.map_err(|error| JournalError::stopped("shorten", &path, error))
    }
}
