//! Reading a whole log and comparing it with everything that is known of it.

use std::fs::File;
use std::path::Path;

use super::error::JournalError;
use super::file::{self, HEAD_BYTES, Head};
use super::seal::SealFile;
use super::walk::Walk;

/// What a verification has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// Frames.
    pub(crate) frames: u64,
    /// Bytes.
    pub(crate) bytes: u64,
    /// Copies of the seal that cannot be read; nothing is lost by one.
    pub(crate) bad_seal_copies: u8,
}

/// Reads everything from the floor to the seal: each frame's checksum, and the running hash against every file's head
/// and the seal. `progress` gets the bytes read and the bytes in all.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn verify(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, JournalError> {
    let found = SealFile::open_to_read(dir)?.read()?;
    let seal = found.seal;
    let files = file::list(dir)?;
    let within = || files.range(seal.floor_seq..=seal.file);
    let all = within().fold(0_u64, |sum, (_, path)| {
        sum.saturating_add(std::fs::metadata(path).map_or(0, |meta| meta.len()))
    });
    let mut report = Report { bad_seal_copies: found.bad_copies, ..Report::default() };
    let (mut hash, mut next) = (seal.floor_hash, seal.floor_seq);
    for (first, path) in within() {
        let read = |error| JournalError::io("open", path, error);
        if *first != next {
            return Err(JournalError::FileMissing { path: file::log_path(dir, next), seq: next });
        }
        let opened = File::open(path).map_err(read)?;
        let head = Head::read(&opened, path, *first)?;
        let damaged = |offset, seq, what: &str| JournalError::Damaged {
            path: path.clone(),
            offset,
            seq,
            what: what.into(),
        };
        if head.hash != hash {
            return Err(damaged(0, next, "the running hash in its head is not that of the file before"));
        }
        let bytes = opened.metadata().map_err(read)?.len();
        let end = if *first == seal.file { seal.end } else { bytes };
        let mut walk = Walk::new(opened, path, *first, *first, HEAD_BYTES, end)?;
        while let Some(step) = walk.step()? {
            hash = step.chain(&hash);
            report.frames = report.frames.saturating_add(1);
            if report.frames.is_multiple_of(1024) {
                progress(report.bytes.saturating_add(walk.offset()), all);
            }
        }
        next = walk.next_seq();
        report.bytes = report.bytes.saturating_add(end);
        progress(report.bytes, all);
    }
    if next != seal.last_seq.saturating_add(1) {
        return Err(JournalError::FileMissing { path: file::log_path(dir, next), seq: next });
    }
    if hash != seal.hash {
        return Err(JournalError::SealDamaged {
            path: SealFile::path_in(dir),
            what: "the running hash is another".into(),
        });
    }
    Ok(report)
}
