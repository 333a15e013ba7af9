//! What opening a log has to make, check and cut off.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::file::{self, HEAD_BYTES, Head};
use super::seal::{Seal, SealFile};
use super::walk::Walk;

pub(super) fn padded(head: &Head) -> Vec<u8> {
    let mut bytes = head.encode();
    bytes.resize(HEAD_BYTES as usize, 0);
    bytes
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the folder, the first file and the seal, in this order, when there is nothing yet.
pub(super) fn make(dir: &Path) -> Result<(), JournalError> {
    let parent = dir.parent().unwrap_or_else(|| Path::new("."));
    file::create_dir(parent)?;
    file::create_dir(dir)?;
    if SealFile::path_in(dir).exists() {
        return Ok(());
    }
    let listed = file::list(dir)?;
    let first = file::log_path(dir, 1);
    // A crash while the log was made leaves a first file without a frame in it, and no seal.
    let only_a_head =
        listed.len() == 1 && std::fs::metadata(&first).is_ok_and(|meta| meta.len() <= HEAD_BYTES);
    if !listed.is_empty() && !only_a_head {
        return Err(JournalError::SealMissing { path: SealFile::path_in(dir) });
    }
    let failed = |error| JournalError::io("create", &first, error);
    if only_a_head {
        std::fs::remove_file(&first).map_err(failed)?;
    }
    let head = Head { first_seq: 1, bytes_before: 0, hash: [0; 32] };
    let file = file::create(&first).map_err(failed)?;
    file.write_all_at(&padded(&head), 0).and_then(|()| file.sync_all()).map_err(failed)?;
    SealFile::create(dir)?;
    sync_dir(dir).and_then(|()| sync_dir(parent)).map_err(|error| JournalError::io("sync", dir, error))
}

/// Checks that the files follow one another from the floor to the current one; gives back their sizes.
pub(super) fn continuous(
    dir: &Path,
    listed: &BTreeMap<u64, PathBuf>,
    seal: &Seal,
) -> Result<BTreeMap<u64, u64>, JournalError> {
    let mut sizes = BTreeMap::new();
    let missing = |seq| JournalError::FileMissing { path: file::log_path(dir, seq), seq };
    if !listed.contains_key(&seal.floor_seq) {
        return Err(missing(seal.floor_seq));
    }
    if !listed.contains_key(&seal.file) {
        return Err(missing(seal.file));
    }
    let mut before: Option<(u64, u64)> = None;
    for (first, path) in listed.range(seal.floor_seq..=seal.file) {
        let opened = File::open(path).map_err(|error| JournalError::io("open", path, error))?;
        let head = Head::read(&opened, path, *first)?;
        if let Some((earlier, bytes)) = before
            && head.bytes_before != bytes
        {
            // Either a file between them is gone, or the one before is not as long as it was.
            let what = format!("the file has {bytes} bytes, and the one after it says {}", head.bytes_before);
            let path = file::log_path(dir, earlier);
            return Err(JournalError::Damaged { path, offset: bytes, seq: *first, what });
        }
        let bytes = opened.metadata().map_err(|error| JournalError::io("look at", path, error))?.len();
        before = Some((*first, bytes));
        sizes.insert(*first, if *first == seal.file { 0 } else { bytes });
    }
    Ok(sizes)
}

/// Removes files that a crash has left outside of the log: dropped ones below the floor, unacknowledged ones behind it.
pub(super) fn cut_foreign(listed: &BTreeMap<u64, PathBuf>, seal: &Seal) -> Result<u64, JournalError> {
    let mut bytes: u64 = 0;
    for (first, path) in listed {
        if (seal.floor_seq..=seal.file).contains(first) {
            continue;
        }
        if *first > seal.last_seq.saturating_add(1) {
            return Err(JournalError::Foreign { path: path.clone(), last: seal.last_seq });
        }
        let gone = std::fs::metadata(path).map_or(0, |meta| meta.len());
        std::fs::remove_file(path).map_err(|error| JournalError::io("remove", path, error))?;
        if *first > seal.file {
            bytes = bytes.saturating_add(gone);
        }
    }
    Ok(bytes)
}

/// Cuts off what lies behind the seal.
pub(super) fn cut_tail(current: &File, path: &Path, seal: &Seal) -> Result<u64, JournalError> {
    let read = |error| JournalError::io("look at", path, error);
    let bytes = current.metadata().map_err(read)?.len();
    if bytes < seal.end {
        let what = format!("the file has {bytes} bytes, {} of it were acknowledged", seal.end);
        return Err(JournalError::Damaged { path: path.to_owned(), offset: bytes, seq: seal.last_seq, what });
    }
    if bytes > seal.end {
        let cut = current.set_len(seal.end).and_then(|()| current.sync_data());
        cut.map_err(|error| JournalError::io("shorten", path, error))?;
    }
    Ok(bytes.saturating_sub(seal.end))
}

/// Reads every frame of the current file up to the seal, and compares the running hash.
pub(super) fn check_current(current: &File, path: &Path, seal: &Seal) -> Result<(), JournalError> {
    let head = Head::read(current, path, seal.file)?;
    let file = File::open(path).map_err(|error| JournalError::io("open", path, error))?;
    let mut walk = Walk::new(file, path, seal.file, seal.file, HEAD_BYTES, seal.end)?;
    let mut hash = head.hash;
    while let Some(step) = walk.step()? {
        hash = step.chain(&hash);
    }
    let damaged = |what: &str| JournalError::Damaged {
        path: path.to_owned(),
        offset: walk.offset(),
        seq: walk.next_seq(),
        what: what.to_owned(),
    };
    if walk.next_seq() != seal.last_seq.saturating_add(1) {
        return Err(damaged("the file ends at another frame than the seal says"));
    }
    if hash != seal.hash { Err(damaged("the running hash is not that of the seal")) } else { Ok(()) }
}

/// Looks whether the log in a folder would open, and changes nothing.
///
/// # Errors
/// As opening it.
pub(crate) fn examine(dir: &Path) -> Result<(), JournalError> {
    let found = SealFile::open_to_read(dir)?.read()?;
    let seal = if found.slot_lost { follow(dir, found.seal)? } else { found.seal };
    continuous(dir, &file::list(dir)?, &seal)?;
    let path = file::log_path(dir, seal.file);
    let current = File::open(&path).map_err(|error| JournalError::io("open", &path, error))?;
    check_current(&current, &path, &seal)
}

/// Goes on from a seal as long as whole frames follow, in its file and in the one that a batch behind it began.
pub(super) fn follow(dir: &Path, mut seal: Seal) -> Result<Seal, JournalError> {
    loop {
        let path = file::log_path(dir, seal.file);
        let Ok(opened) = File::open(&path) else { return Ok(seal) };
        let bytes = opened.metadata().map_err(|error| JournalError::io("look at", &path, error))?.len();
        let next = seal.last_seq.saturating_add(1);
        let mut walk = Walk::new(opened, &path, seal.file, next, seal.end, bytes)?;
        // The first frame that is not whole is where a crash has torn the batch.
        while let Ok(Some(step)) = walk.step() {
            seal.hash = step.chain(&seal.hash);
            seal.last_seq = step.position.seq;
            seal.end = walk.offset();
        }
        let next = seal.last_seq.saturating_add(1);
        let path = file::log_path(dir, next);
        let head = File::open(&path).ok().and_then(|file| Head::read(&file, &path, next).ok());
        if next == seal.file || head.is_none_or(|head| head.hash != seal.hash) {
            return Ok(seal);
        }
        seal.file = next;
        seal.end = HEAD_BYTES;
    }
}
