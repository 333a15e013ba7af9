//! Reading a whole log and comparing it with everything that is known of it, step by step, so that others come between.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::file::{self, HEAD_BYTES, Head};
use super::frame::{HEADER_BYTES, Hash};
use super::seal::{Seal, SealFile};
use super::walk::Walk;

/// A log under verification, from the floor to the seal as they were when it began: each frame's checksum, and the
/// running hash against every file's head and the seal. Works beside the writer.
#[derive(Debug)]
pub(crate) struct Check {
    dir: PathBuf,
    seal: Seal,
    all: u64,
    done: u64,
    /// The file under the eye and the walk through it.
    walk: Option<(u64, Walk)>,
    /// The first frame of the next file.
    next: u64,
    /// The running hash before it; `None` after damage, until the next head says it.
    hash: Option<Hash>,
    over: bool,
}

impl Check {
    /// Begins; reads the seal and the list of files only.
    ///
    /// # Errors
    /// When the seal cannot be read.
    pub(crate) fn begin(dir: &Path) -> Result<Self, JournalError> {
        let seal = SealFile::open_to_read(dir)?.read()?.seal;
        let files = file::list(dir)?;
        let all = files.range(seal.floor_seq..=seal.file).fold(0_u64, |sum, (_, path)| {
            sum.saturating_add(std::fs::metadata(path).map_or(0, |meta| meta.len()))
        });
        let (next, hash) = (seal.floor_seq, Some(seal.floor_hash));
        Ok(Self { dir: dir.to_owned(), seal, all, done: 0, walk: None, next, hash, over: false })
    }

    /// The last frame that belongs to it.
    pub(crate) const fn last_seq(&self) -> u64 {
        self.seal.last_seq
    }

    /// Bytes read, and bytes in all.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.done.min(self.all), self.all)
    }

    /// Reads on for about so many bytes. `true`: everything was read.
    ///
    /// # Errors
    /// The first damage of a file; the next step goes on in the file behind it.
    pub(crate) fn step(&mut self, bytes: u64) -> Result<bool, JournalError> {
        let until = self.done.saturating_add(bytes);
        while !self.over && self.done < until {
            let file = self.walk.as_ref().map_or(self.next, |(file, _)| *file);
            if let Err(error) = self.advance() {
                self.skip(file)?;
                return Err(error);
            }
        }
        Ok(self.over)
    }

    /// One frame, or the way from one file to the next.
    fn advance(&mut self) -> Result<(), JournalError> {
        let Some((_, walk)) = &mut self.walk else { return self.enter() };
        match walk.step()? {
            Some(step) => {
                self.hash = self.hash.map(|hash| step.chain(&hash));
                self.done = self.done.saturating_add(HEADER_BYTES as u64 + u64::from(step.position.len));
            }
            None => {
                self.next = walk.next_seq();
                self.walk = None;
            }
        }
        Ok(())
    }

    fn enter(&mut self) -> Result<(), JournalError> {
        if self.next > self.seal.last_seq {
            return self.end();
        }
        let path = file::log_path(&self.dir, self.next);
        let opened = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.follow_floor(path),
            other => other.map_err(|error| JournalError::io("open", &path, error))?,
        };
        let head = Head::read(&opened, &path, self.next)?;
        if self.hash.is_some_and(|hash| hash != head.hash) {
            let what = "the running hash in its head is not that of the file before".into();
            return Err(JournalError::Damaged { path, offset: 0, seq: self.next, what });
        }
        let bytes = opened.metadata().map_err(|error| JournalError::io("look at", &path, error))?.len();
        let end = if self.next == self.seal.file { self.seal.end } else { bytes };
        self.walk = Some((self.next, Walk::new(opened, &path, self.next, self.next, HEAD_BYTES, end)?));
        self.hash = Some(head.hash);
        self.done = self.done.saturating_add(HEAD_BYTES);
        Ok(())
    }

    /// A file that is not there was deleted meanwhile, or is missing.
    fn follow_floor(&mut self, path: PathBuf) -> Result<(), JournalError> {
        let now = SealFile::open_to_read(&self.dir)?.read()?.seal;
        if now.floor_seq <= self.next {
            return Err(JournalError::FileMissing { path, seq: self.next });
        }
        (self.next, self.hash) = (now.floor_seq, Some(now.floor_hash));
        // What was deleted cannot be read, and the end of it cannot be compared.
        self.over = now.floor_seq > self.seal.last_seq;
        Ok(())
    }

    fn end(&mut self) -> Result<(), JournalError> {
        self.over = true;
        let path = SealFile::path_in(&self.dir);
        if self.hash.is_some_and(|hash| hash != self.seal.hash) {
            return Err(JournalError::SealDamaged { path, what: "the running hash is another".into() });
        }
        Ok(())
    }

    /// Goes on behind a file that is damaged.
    fn skip(&mut self, file: u64) -> Result<(), JournalError> {
        let files: BTreeMap<u64, PathBuf> = file::list(&self.dir)?;
        let behind = files.keys().copied().find(|first| *first > file && *first <= self.seal.file);
        (self.walk, self.hash) = (None, None);
        self.over = self.over || behind.is_none();
        self.next = behind.unwrap_or(self.next);
        Ok(())
    }
}

/// Reads everything at once.
///
/// # Errors
/// The first thing that is wrong.
#[cfg(test)]
pub(crate) fn verify(dir: &Path) -> Result<(), JournalError> {
    let mut check = Check::begin(dir)?;
    while !check.step(u64::MAX)? {}
    Ok(())
}
