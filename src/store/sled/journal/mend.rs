//! Making a damaged log fit to be opened, by letting go of what cannot be read.
//!
//! Every frame that can be read keeps its number and its place; where others stood, frames of the kind [`LOST`] fill the
//! room. The new log is made beside the damaged one and takes its place whole; the damaged files are kept.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::file::{self, HEAD_BYTES, Head};
use super::frame::{self, HEADER_BYTES, Hash, Header, PAYLOAD_MAX};
use super::open::{padded, sync_dir};
use super::seal::{Seal, SealFile};
use super::verify::Check;

/// The kind of a frame whose content is lost.
pub(crate) const LOST: u8 = 255;

/// What was let go.
#[derive(Debug)]
pub(crate) struct Mended {
    /// The damages, a sentence each.
    pub(crate) found: Vec<String>,
    /// The frames that are lost.
    pub(crate) lost: Vec<RangeInclusive<u64>>,
    /// Whether the seal could be read: else nobody knows what followed the last frame.
    pub(crate) is_end_known: bool,
    /// Where the damaged files are.
    pub(crate) aside: PathBuf,
}

/// Mends the log in `dir` when it is damaged, and keeps the damaged files in `aside`. `known`: the frames that are known
/// to have been kept in it, by those who have read them. `None`: nothing is damaged, and nothing was done.
///
/// # Errors
/// When the log is of a newer version, or the new files cannot be written; the log is as before then.
pub(crate) fn mend(
    dir: &Path,
    aside: &Path,
    known: RangeInclusive<u64>,
) -> Result<Option<Mended>, JournalError> {
    let draft = dir.with_extension("mended");
    if !dir.exists() && SealFile::path_in(&draft).exists() {
        // A crash came between the two renames.
        return replace(dir, &draft, None).map(|()| None);
    }
    let found = damages(dir, *known.end())?;
    if found.is_empty() {
        return Ok(None);
    }
    let seal = SealFile::open_to_read(dir).and_then(|file| file.read()).ok().map(|found| found.seal);
    let lost = salvage(dir, &draft, seal, &known)?;
    replace(dir, &draft, Some(aside))?;
    Ok(Some(Mended { found, lost, is_end_known: seal.is_some(), aside: aside.to_owned() }))
}

/// Everything that is wrong, file by file.
fn damages(dir: &Path, at_least: u64) -> Result<Vec<String>, JournalError> {
    let mut found = Vec::new();
    if !dir.exists() {
        return Ok(vec![format!("{} is missing", dir.display())]);
    }
    let mut check = match Check::begin(dir) {
        Ok(check) => check,
        Err(error @ JournalError::Newer { .. }) => return Err(error),
        Err(error) => return Ok(vec![error.to_string()]),
    };
    loop {
        match check.step(u64::MAX) {
            Ok(_) => break,
            Err(error @ JournalError::Newer { .. }) => return Err(error),
            Err(error) => found.push(error.to_string()),
        }
    }
    if check.last_seq() < at_least {
        found.push(format!(
            "{} ends at frame {}, and {at_least} was read before",
            dir.display(),
            check.last_seq()
        ));
    }
    Ok(found)
}

/// One stretch of a file.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// A whole frame of so many bytes.
    Frame(usize),
    /// So many frames are lost, in so many bytes.
    Gap { frames: u64, bytes: usize },
}

/// The length of the frame `seq` at `at`, if it stands there whole.
fn whole(bytes: &[u8], at: usize, seq: u64) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let header = Header::parse(*rest.first_chunk::<HEADER_BYTES>()?).filter(|header| header.seq == seq)?;
    if header.len > PAYLOAD_MAX {
        return None;
    }
    let end = HEADER_BYTES.saturating_add(header.len as usize);
    header.check(seq, rest.get(HEADER_BYTES..end)?).ok().map(|()| end)
}

/// The next whole frame behind `at`, where `seq` should stand: its place and number.
fn find(bytes: &[u8], at: usize, seq: u64) -> Option<(usize, u64)> {
    (at.saturating_add(1)..bytes.len()).find_map(|place| {
        let rest = bytes.get(place..)?;
        let number = Header::parse(*rest.first_chunk::<HEADER_BYTES>()?)?.seq;
        // Between the two, each lost frame has had its header at least.
        let room = u64::try_from(place.saturating_sub(at) / HEADER_BYTES).ok()?;
        let fits = number > seq && number.saturating_sub(seq) <= room;
        (fits && whole(bytes, place, number).is_some()).then_some((place, number))
    })
}

/// Takes a file apart. `behind`: the frame after its last one, where that is known.
fn parts(bytes: &[u8], first: u64, behind: Option<u64>) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut at, mut seq) = (usize::try_from(HEAD_BYTES).unwrap_or(0).min(bytes.len()), first);
    while at < bytes.len() && behind.is_none_or(|behind| seq < behind) {
        if let Some(length) = whole(bytes, at, seq) {
            parts.push(Part::Frame(length));
            (at, seq) = (at.saturating_add(length), seq.saturating_add(1));
            continue;
        }
        let Some((place, number)) = find(bytes, at, seq) else { break };
        parts.push(Part::Gap { frames: number.saturating_sub(seq), bytes: place.saturating_sub(at) });
        (at, seq) = (place, number);
    }
    let frames = behind.unwrap_or(seq).saturating_sub(seq);
    if frames > 0 {
        parts.push(Part::Gap { frames, bytes: bytes.len().saturating_sub(at) });
    }
    parts
}

/// The new log under construction.
struct Salvage {
    dir: PathBuf,
    seal: Seal,
    bytes_before: u64,
    lost: Vec<RangeInclusive<u64>>,
}

/// Writes everything that can be read into a new log.
fn salvage(
    dir: &Path,
    draft: &Path,
    seal: Option<Seal>,
    known: &RangeInclusive<u64>,
) -> Result<Vec<RangeInclusive<u64>>, JournalError> {
    let at_least = *known.end();
    let failed = |error| JournalError::io("make", draft, error);
    if draft.exists() {
        std::fs::remove_dir_all(draft).map_err(failed)?;
    }
    file::create_dir(draft)?;
    let listed = if dir.exists() { file::list(dir)? } else { std::collections::BTreeMap::new() };
    let belongs = |first: &u64| seal.is_none_or(|seal| (seal.floor_seq..=seal.file).contains(first));
    let files: Vec<(u64, PathBuf)> = listed.into_iter().filter(|(first, _)| belongs(first)).collect();
    let first = seal.map(|seal| seal.floor_seq).or(files.first().map(|(first, _)| *first));
    let first = first.unwrap_or(at_least.saturating_add(1));
    let hash = seal.map_or([0; 32], |seal| seal.floor_hash);
    let begin =
        Seal { last_seq: first.saturating_sub(1), floor_seq: first, floor_hash: hash, hash, ..Seal::new() };
    let mut new = Salvage { dir: draft.to_owned(), seal: begin, bytes_before: 0, lost: Vec::new() };
    let last = seal.map(|seal| seal.last_seq.max(at_least));
    for (place, (first, path)) in files.iter().enumerate() {
        let next = new.seal.last_seq.saturating_add(1);
        if *first > next {
            let missing = [Part::Gap { frames: first.saturating_sub(next), bytes: 0 }];
            new.file(next, &[], &missing)?;
        } else if *first < next {
            continue;
        }
        let mut bytes = std::fs::read(path).map_err(|error| JournalError::io("read", path, error))?;
        if let Some(seal) = seal.filter(|seal| seal.file == *first) {
            bytes.truncate(usize::try_from(seal.end).unwrap_or(usize::MAX));
        }
        let behind = files.get(place.saturating_add(1)).map(|(first, _)| *first);
        let behind = behind.or(last.map(|last| last.saturating_add(1)));
        new.file(*first, &bytes, &parts(&bytes, *first, behind))?;
    }
    let end = last.unwrap_or(at_least).max(at_least);
    let next = new.seal.last_seq.saturating_add(1);
    if end >= next {
        new.file(next, &[], &[Part::Gap { frames: end.saturating_sub(next).saturating_add(1), bytes: 0 }])?;
    } else if files.is_empty() {
        // Nothing is left to keep a place for; what comes next gets numbers that nobody has read.
        new.file(next, &[], &[])?;
        new.lost.extend((!known.is_empty()).then(|| known.clone()));
    }
    new.finish()
}

impl Salvage {
    /// Writes one file: what can be read as it was, the rest as lost.
    fn file(&mut self, first: u64, bytes: &[u8], parts: &[Part]) -> Result<(), JournalError> {
        let head = Head { first_seq: first, bytes_before: self.bytes_before, hash: self.seal.hash };
        let mut out = padded(&head);
        let mut at = usize::try_from(HEAD_BYTES).unwrap_or(0);
        for part in parts {
            match part {
                Part::Frame(length) => {
                    let raw = bytes.get(at..at.saturating_add(*length)).unwrap_or_default();
                    self.take(raw);
                    out.extend_from_slice(raw);
                    at = at.saturating_add(*length);
                }
                Part::Gap { frames, bytes } => {
                    self.let_go(*frames, *bytes, &mut out);
                    at = at.saturating_add(*bytes);
                }
            }
        }
        let path = file::log_path(&self.dir, first);
        let write = || -> io::Result<()> {
            let file = file::create(&path)?;
            file.write_all_at(&out, 0)?;
            file.sync_all()
        };
        write().map_err(|error| JournalError::io("write", &path, error))?;
        self.bytes_before = out.len() as u64;
        (self.seal.file, self.seal.end) = (first, self.bytes_before);
        Ok(())
    }

    fn take(&mut self, raw: &[u8]) {
        if let Some((header, payload)) = raw.split_first_chunk::<HEADER_BYTES>()
            && let Some(header) = Header::parse(*header)
        {
            self.seal.hash = header.chain(&self.seal.hash, payload);
            self.seal.last_seq = header.seq;
        }
    }

    /// Fills the room of lost frames, so that those behind them keep their places.
    fn let_go(&mut self, frames: u64, bytes: usize, out: &mut Vec<u8>) {
        let from = self.seal.last_seq.saturating_add(1);
        let headers = usize::try_from(frames).unwrap_or(usize::MAX).saturating_mul(HEADER_BYTES);
        for left in (0..frames).rev() {
            let filling = if left == 0 { bytes.saturating_sub(headers) } else { 0 };
            let seq = self.seal.last_seq.saturating_add(1);
            self.seal.hash = lost_frame(out, &self.seal.hash, seq, filling);
            self.seal.last_seq = seq;
        }
        self.lost.push(from..=self.seal.last_seq);
    }

    fn finish(self) -> Result<Vec<RangeInclusive<u64>>, JournalError> {
        SealFile::create(&self.dir)?;
        let file = SealFile::open(&self.dir)?;
        let failed = |error| JournalError::io("seal", &self.dir, error);
        // Both slots: none of them may speak of an empty log.
        for generation in [2, 3] {
            file.write(&Seal { generation, ..self.seal }).map_err(failed)?;
        }
        sync_dir(&self.dir).map_err(failed)?;
        Ok(self.lost)
    }
}

fn lost_frame(out: &mut Vec<u8>, before: &Hash, seq: u64, filling: usize) -> Hash {
    let filling = vec![0; filling.min(PAYLOAD_MAX as usize)];
    frame::encode(out, before, seq, LOST, u32::try_from(filling.len()).unwrap_or(0), &filling)
}

/// Puts the new log in the place of the damaged one.
fn replace(dir: &Path, draft: &Path, aside: Option<&Path>) -> Result<(), JournalError> {
    let failed = |error| JournalError::io("replace", dir, error);
    if let Some(aside) = aside.filter(|_| dir.exists()) {
        std::fs::rename(dir, aside).map_err(failed)?;
    }
    std::fs::rename(draft, dir).map_err(failed)?;
    let parent = dir.parent().unwrap_or_else(|| Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::super::{Journal, Options, Position, verify};
    use super::*;

    /// A log of thirty frames in several files.
    fn log(dir: &Path) -> Vec<(Position, Vec<u8>)> {
        let (mut journal, _) = Journal::open(dir, Options { file_bytes_max: 400 }).unwrap();
        let payload = |number: u8| vec![number; usize::from(number) * 3];
        let written = (0..30).map(|number| {
            let position = journal.append(1, &payload(number)).unwrap();
            journal.commit().unwrap();
            (position, payload(number))
        });
        written.collect()
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// How many frames are lost; all others are at their places.
    fn lost(home: &Path, written: &[(Position, Vec<u8>)]) -> usize {
        let dir = home.join("log");
        let mended =
            mend(&dir, &home.join("aside"), RangeInclusive::new(1, 0)).unwrap().expect("it is damaged");
        assert!(!mended.found.is_empty() && home.join("aside").exists());
        verify(&dir).unwrap();
        let (journal, _) = Journal::open(&dir, Options::default()).unwrap();
        let gone = |seq: u64| mended.lost.iter().any(|range| range.contains(&seq));
        for (position, payload) in written.iter().filter(|(position, _)| !gone(position.seq)) {
            assert_eq!(&journal.reader().read(*position).unwrap().payload, payload, "{position:?}");
        }
        assert_eq!(journal.last_seq(), 30);
        let kinds = journal.reader().scan(1).map(|frame| frame.unwrap().1.kind);
        let lost = kinds.filter(|kind| *kind == LOST).count();
        assert_eq!(lost, written.iter().filter(|(position, _)| gone(position.seq)).count());
        assert!(mend(&dir, &home.join("again"), 1..=30).unwrap().is_none(), "it is whole");
        lost
    }

    #[test]
    fn r09_a_flipped_bit_costs_one_frame_at_most() {
        let original = tempfile::tempdir().unwrap();
        let written = log(&original.path().join("log"));
        for (number, name) in files(&original.path().join("log")).into_iter().enumerate() {
            let bytes = std::fs::read(&name).unwrap();
            for at in (number..bytes.len()).step_by(23) {
                let home = tempfile::tempdir().unwrap();
                let dir = home.path().join("log");
                std::fs::create_dir(&dir).unwrap();
                for file in files(&original.path().join("log")) {
                    std::fs::copy(&file, dir.join(file.file_name().unwrap())).unwrap();
                }
                let mut bad = bytes.clone();
                bad[at] ^= 16;
                std::fs::write(dir.join(name.file_name().unwrap()), bad).unwrap();
                // A seal has four copies, and the end of a head is not used: such a flip damages nothing.
                if verify(&dir).is_err() {
                    assert!(lost(home.path(), &written) <= 1, "byte {at} of {}", name.display());
                }
            }
        }
    }

    #[test]
    fn r09_a_file_that_is_gone_or_cut_costs_what_was_in_it() {
        let wound = |hurt: &dyn Fn(&Path)| {
            let home = tempfile::tempdir().unwrap();
            let written = log(&home.path().join("log"));
            hurt(&home.path().join("log"));
            lost(home.path(), &written)
        };
        let nth = |dir: &Path, number: usize| files(dir).into_iter().nth(number).unwrap();
        let in_first = wound(&|dir| std::fs::remove_file(nth(dir, 0)).unwrap());
        assert_eq!(in_first, 11);
        let in_third = wound(&|dir| std::fs::remove_file(nth(dir, 2)).unwrap());
        assert!((1..10).contains(&in_third), "{in_third}");
        let in_last = wound(&|dir| std::fs::remove_file(nth(dir, files(dir).len() - 2)).unwrap());
        assert!((1..10).contains(&in_last), "{in_last}");
        assert_eq!(wound(&|dir| std::fs::remove_file(dir.join("seal")).unwrap()), 0);
        let cut = wound(&|dir| {
            let file = File::options().write(true).open(nth(dir, 0)).unwrap();
            file.set_len(file.metadata().unwrap().len() - 5).unwrap();
        });
        assert_eq!(cut, 1);
        let all = wound(&|dir| {
            files(dir)
                .iter()
                .filter(|file| !file.ends_with("seal"))
                .for_each(|file| std::fs::remove_file(file).unwrap());
        });
        assert_eq!(all, 30);
    }

    #[test]
    fn r09_a_log_that_is_gone_whole_goes_on_behind_what_was_read_of_it() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("log");
        let mended = mend(&dir, &home.path().join("aside"), 7..=41).unwrap().unwrap();
        assert_eq!((mended.lost, mended.is_end_known), (vec![7..=41], false));
        let (mut journal, _) = Journal::open(&dir, Options::default()).unwrap();
        assert_eq!((journal.floor(), journal.append(1, b"x").unwrap().seq), (42, 42));
    }
}
