//! What is being read for its index, in a small file that is written and never synced: what it says outlives the
//! process, which a body may kill, and not a power cut, which no body can cause.
//!
//! A batch is noted as a range of the log. After a death each of its deliveries is suspect and is begun singly, with a
//! count of its own, so that the one to blame is told from those beside it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::key::short_hash;
use crate::store::StoreError;

const NAME: &str = "reading";
const MARKS_BYTES: usize = 32;

/// What the file says. Numbers are those of the log's frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Marks {
    first: u64,
    last: u64,
    single: u64,
    count: u64,
}

impl Marks {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (marks, check) = bytes.split_first_chunk::<MARKS_BYTES>()?;
        if short_hash(&[marks]).as_slice() != check {
            return None;
        }
        let mut numbers =
            marks.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_le_bytes));
        let mut next = || numbers.next();
        Some(Self { first: next()?, last: next()?, single: next()?, count: next()? })
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            [self.first, self.last, self.single, self.count].into_iter().flat_map(u64::to_le_bytes).collect();
        let check = short_hash(&[&bytes]);
        bytes.extend_from_slice(&check);
        bytes
    }

    /// Frames are numbered from 1, so that nothing is 0.
    fn deaths(self, frame: u64) -> u64 {
        if frame == self.single { self.count } else { u64::from((self.first..=self.last).contains(&frame)) }
    }
}

/// The file, and what the process before has left in it.
#[derive(Debug)]
pub(super) struct Reading {
    file: File,
    found: Marks,
}

impl Reading {
    /// Opens it; one that cannot be understood says nothing.
    pub(super) fn open(dir: &Path) -> std::io::Result<Self> {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(dir.join(NAME))?;
        let found =
            std::fs::read(dir.join(NAME)).ok().and_then(|bytes| Marks::of(&bytes)).unwrap_or_default();
        Ok(Self { file, found })
    }

    /// How many processes died while they read this frame.
    pub(super) fn deaths(&self, frame: u64) -> u32 {
        u32::try_from(self.found.deaths(frame)).unwrap_or(u32::MAX)
    }

    /// Notes that these frames are read now.
    pub(super) fn begin(&self, first: u64, last: u64) -> Result<(), StoreError> {
        let before = self.found.deaths(first);
        self.write(if first == last && before > 0 {
            Marks { single: first, count: before.saturating_add(1), ..self.found }
        } else {
            Marks { first, last, ..Marks::default() }
        })
    }

    /// Notes that nothing is read any more.
    pub(super) fn end(&self) -> Result<(), StoreError> {
        self.write(Marks::default())
    }

    /// Into the page cache; nothing waits for the disk.
    fn write(&self, marks: Marks) -> Result<(), StoreError> {
        let written = self.file.write_all_at(&marks.bytes(), 0);
        written.map_err(|error| StoreError::Unavailable(format!("cannot note what is read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r28_one_that_kills_is_told_from_those_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let reopened = || Reading::open(dir.path()).unwrap();
        let reading = reopened();
        reading.begin(5, 9).unwrap();
        assert_eq!(reading.deaths(5), 0, "this process is alive");
        let reading = reopened();
        assert_eq!([4, 5, 7, 9, 10].map(|frame| reading.deaths(frame)), [0, 1, 1, 1, 0]);
        reading.begin(5, 5).unwrap();
        reading.end().unwrap();
        reading.begin(6, 6).unwrap();
        let reading = reopened();
        assert_eq!([6, 7, 9].map(|frame| reading.deaths(frame)), [2, 1, 1]);
        reading.begin(6, 6).unwrap();
        assert_eq!(reopened().deaths(6), 3);
    }

    #[test]
    fn what_was_read_to_its_end_is_no_suspect_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let reading = Reading::open(dir.path()).unwrap();
        reading.begin(1, 3).unwrap();
        reading.end().unwrap();
        assert_eq!(Reading::open(dir.path()).unwrap().deaths(2), 0);
    }

    #[test]
    fn a_damaged_note_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        Reading::open(dir.path()).unwrap().begin(1, 3).unwrap();
        let path = dir.path().join(NAME);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            std::fs::write(&path, bad).unwrap();
            assert_eq!(Reading::open(dir.path()).unwrap().deaths(2), 0, "byte {at}");
        }
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(Reading::open(dir.path()).unwrap().deaths(2), 0, "{length} bytes");
        }
    }
}
