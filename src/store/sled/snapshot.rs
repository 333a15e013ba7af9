//! A sealed copy of all rows, from which sled can be built anew together with the frames written since.
//!
//! Rows are copied while writing goes on: the copy may hold some rows from after its mark, and replaying the frames
//! since the mark makes them right, because a frame says what a row is, not how it changed.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::redo::{self, RedoCipher};
use super::stage::{Writes, unreadable};
use crate::store::StoreError;

const MAGIC: &[u8; 8] = b"SCMSNAP1";
const CHUNK_ROWS: usize = 512;
/// A chunk is at most 512 rows of a few KiB; more is damage.
const CHUNK_BYTES_MAX: u32 = 16 << 20;

/// A snapshot on disk: it holds everything up to this frame.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Snapshot {
    pub(super) sequence: u64,
    pub(super) path: PathBuf,
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Failed(format!("{what} {}: {error}", path.display()))
}

/// All whole snapshots in the folder, oldest first.
pub(super) fn list(dir: &Path) -> Result<Vec<Snapshot>, StoreError> {
    let entries = std::fs::read_dir(dir).map_err(|error| failed("cannot list", dir, &error))?;
    let mut found: Vec<Snapshot> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let sequence = name.strip_prefix("snapshot-")?.strip_suffix(".rows")?.parse().ok()?;
            Some(Snapshot { sequence, path: entry.path() })
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Copies all rows; durable when it returns.
pub(super) fn write(
    dir: &Path,
    tree: &sled::Tree,
    sequence: u64,
    cipher: &RedoCipher,
) -> Result<Snapshot, StoreError> {
    let path = dir.join(format!("snapshot-{sequence:020}.rows"));
    let draft = dir.join("snapshot.draft");
    let io = |error: std::io::Error| failed("cannot write", &draft, &error);
    let mut file = BufWriter::new(File::create(&draft).map_err(io)?);
    let mut hash = Sha256::new();
    file.write_all(MAGIC).and_then(|()| file.write_all(&sequence.to_le_bytes())).map_err(io)?;
    let mut chunk = Writes::new();
    for row in tree.iter() {
        let (key, value) = row.map_err(|error| unreadable(&error))?;
        chunk.insert(key.to_vec(), Some(value.to_vec()));
        if chunk.len() >= CHUNK_ROWS {
            put(&mut file, &mut hash, &chunk, cipher).map_err(io)?;
            chunk.clear();
        }
    }
    put(&mut file, &mut hash, &chunk, cipher).map_err(io)?;
    let end = 0_u32.to_le_bytes();
    file.write_all(&end)
        .and_then(|()| file.write_all(&hash.finalize()))
        .and_then(|()| file.flush())
        .map_err(io)?;
    file.get_ref().sync_all().map_err(io)?;
    std::fs::rename(&draft, &path).map_err(io)?;
    File::open(dir)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| failed("cannot sync", dir, &error))?;
    Ok(Snapshot { sequence, path })
}

fn put(file: &mut impl Write, hash: &mut Sha256, chunk: &Writes, cipher: &RedoCipher) -> std::io::Result<()> {
    if chunk.is_empty() {
        return Ok(());
    }
    let sealed = cipher.seal(&redo::encode(chunk)).map_err(std::io::Error::other)?;
    hash.update(&sealed);
    file.write_all(&u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes())?;
    file.write_all(&sealed)
}

/// The sealed pieces of a snapshot, one after another.
#[derive(Debug)]
pub(super) struct Pieces {
    snapshot: Snapshot,
    file: BufReader<File>,
    hash: Sha256,
}

impl Pieces {
    /// Opens it and checks its head.
    pub(super) fn open(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let snapshot = snapshot.clone();
        let opened = File::open(&snapshot.path);
        let file = opened.map_err(|error| damaged(&snapshot, &format!("cannot be read: {error}")))?;
        let mut pieces = Self { snapshot, file: BufReader::new(file), hash: Sha256::new() };
        let mut head = [0; 16];
        pieces.fill(&mut head)?;
        if !head.starts_with(MAGIC) || !head.ends_with(&pieces.snapshot.sequence.to_le_bytes()) {
            return Err(damaged(&pieces.snapshot, "has a damaged head"));
        }
        Ok(pieces)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        let read = self.file.read_exact(bytes);
        read.map_err(|error| damaged(&self.snapshot, &format!("cannot be read: {error}")))
    }

    /// The next one; `None` at the end, when the checksum over all of them holds.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > CHUNK_BYTES_MAX {
            return Err(damaged(&self.snapshot, "has a damaged length"));
        }
        if length == 0 {
            let mut expected = [0; 32];
            self.fill(&mut expected)?;
            let whole = self.hash.clone().finalize().as_slice() == expected;
            return if whole {
                Ok(None)
            } else {
                Err(damaged(&self.snapshot, "does not match its checksum"))
            };
        }
        let mut sealed = vec![0; length as usize];
        self.fill(&mut sealed)?;
        self.hash.update(&sealed);
        Ok(Some(sealed))
    }
}

fn damaged(snapshot: &Snapshot, why: &str) -> StoreError {
    StoreError::Corrupt(format!("snapshot {} {why}", snapshot.path.display()))
}

/// Reads a snapshot, giving its rows piece by piece; an error means that none of it may be used.
pub(super) fn read(
    snapshot: &Snapshot,
    cipher: &RedoCipher,
    each: &mut dyn FnMut(Writes) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut pieces = Pieces::open(snapshot)?;
    while let Some(sealed) = pieces.next()? {
        each(redo::decode(&cipher.open(&sealed)?)?)?;
    }
    Ok(())
}
