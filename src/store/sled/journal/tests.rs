//! What a log promises, and what damage cannot do to it.

use std::fs;
use std::path::Path;

use super::{Journal, JournalError, Options, Position, verify};
use crate::fault;

const SMALL: Options = Options { file_bytes_max: 300 };

fn payload(seq: u64) -> Vec<u8> {
    format!("payload of frame {seq}").repeat(1 + (seq % 4) as usize).into_bytes()
}

/// Appends and commits `count` frames, `batch` at a time.
fn grow(journal: &mut Journal, count: u64, batch: u64) -> Vec<Position> {
    let mut positions = Vec::new();
    for number in 1..=count {
        let seq = journal.last_seq() + 1 + (number - 1) % batch;
        positions.push(journal.append(7, &payload(seq)).unwrap());
        if number % batch == 0 || number == count {
            journal.commit().unwrap();
        }
    }
    positions
}

fn reopened(dir: &Path) -> Journal {
    Journal::open(dir, SMALL).unwrap().0
}

/// Everything in the log, or the first error of opening, verifying or reading.
fn read_all(dir: &Path) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
    let (journal, _) = Journal::open(dir, SMALL)?;
    verify(dir)?;
    journal.reader().scan(1).map(|found| found.map(|(at, frame)| (at.seq, frame.payload))).collect()
}

fn expected(count: u64) -> Vec<(u64, Vec<u8>)> {
    (1..=count).map(|seq| (seq, payload(seq))).collect()
}

/// A closed log of `count` frames in several files.
fn sample(count: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    grow(&mut reopened(&dir.path().join("log")), count, 3);
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn what_is_committed_is_read_back_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut journal = reopened(&log);
    let positions = grow(&mut journal, 20, 3);
    assert!(fs::read_dir(&log).unwrap().count() > 3, "it rolled");
    drop(journal);
    let mut journal = reopened(&log);
    assert_eq!(journal.last_seq(), 20);
    for at in &positions {
        assert_eq!(journal.reader().read(*at).unwrap().payload, payload(at.seq));
    }
    grow(&mut journal, 5, 1);
    drop(journal);
    assert_eq!(read_all(&log).unwrap(), expected(25));
}

#[test]
fn what_is_not_committed_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut journal = reopened(&log);
    grow(&mut journal, 2, 1);
    journal.append(7, b"dropped").unwrap();
    journal.discard();
    grow(&mut journal, 1, 1);
    journal.append(7, b"never committed").unwrap();
    drop(journal);
    assert_eq!(read_all(&log).unwrap(), expected(3));
}

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = reopened(dir.path());
    assert!(matches!(Journal::open(dir.path(), SMALL), Err(JournalError::InUse { .. })));
}

#[test]
fn dropped_files_give_their_space_back_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut journal = reopened(&log);
    let positions = grow(&mut journal, 30, 3);
    let before = journal.bytes();
    let freed = journal.drop_before(16).unwrap();
    assert!(freed > 0 && journal.bytes() == before - freed);
    let floor = journal.floor();
    assert!(floor > 1 && floor <= 16);
    assert!(matches!(journal.reader().read(positions[0]), Err(JournalError::Gone { .. })));
    assert!(journal.drop_before(u64::MAX).unwrap() > 0, "all but the current file goes");
    grow(&mut journal, 2, 1);
    let floor = journal.floor();
    drop(journal);
    verify(&log).unwrap();
    let kept: Vec<u64> = reopened(&log).reader().scan(1).map(|found| found.unwrap().0.seq).collect();
    assert_eq!(kept, (floor..=32).collect::<Vec<_>>());
}

#[test]
fn r01_a_torn_tail_is_cut_off_and_nothing_else() {
    let whole = sample(9);
    let log = whole.path().join("log");
    let acknowledged = tempfile::tempdir().unwrap();
    copy(&log, acknowledged.path());
    // A batch whose seal never reached the disk: the seal of before, with more or less of the batch behind it.
    grow(&mut reopened(&log), 3, 3);
    let last = fs::read_dir(acknowledged.path()).unwrap().map(|entry| entry.unwrap().file_name()).max_by_key(
        |name| name.to_string_lossy().strip_suffix(".log").and_then(|digits| digits.parse::<u64>().ok()),
    );
    let last = last.unwrap();
    let longer = fs::read(log.join(&last)).unwrap();
    let shorter = fs::read(acknowledged.path().join(&last)).unwrap();
    for length in shorter.len()..=longer.len() {
        let torn = tempfile::tempdir().unwrap();
        copy(acknowledged.path(), torn.path());
        fs::write(torn.path().join(&last), &longer[..length]).unwrap();
        assert_eq!(read_all(torn.path()).unwrap(), expected(9), "torn at {length}");
    }
}

#[test]
fn r05_a_failed_sync_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = reopened(dir.path());
    grow(&mut journal, 1, 1);
    journal.append(7, b"lost").unwrap();
    {
        let _armed = fault::arm("journal.before-sync=error");
        assert!(matches!(journal.commit(), Err(JournalError::Stopped { .. })));
    }
    assert!(matches!(journal.append(7, b"more"), Err(JournalError::Stopped { .. })), "it takes nothing more");
    assert!(matches!(journal.commit(), Err(JournalError::Stopped { .. })));
    drop(journal);
    assert_eq!(read_all(dir.path()).unwrap(), expected(1));
}

#[test]
fn r10_a_full_disk_drops_the_batch_and_the_log_goes_on() {
    for (point, rolls) in [("journal.before-write=error@1", false), ("journal.before-roll=error@1", true)] {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = reopened(dir.path());
        grow(&mut journal, if rolls { 12 } else { 1 }, 1);
        let before = journal.last_seq();
        {
            let _armed = fault::arm(point);
            let mut refused = 0;
            // The roll comes when the current file is full, a few frames later.
            for _ in 0..6 {
                journal.append(7, &payload(journal.last_seq() + 1)).unwrap();
                match journal.commit() {
                    Err(JournalError::Full { .. }) => refused += 1,
                    other => drop(other.unwrap()),
                }
            }
            assert_eq!(refused, 1, "{point}");
        }
        assert_eq!(journal.last_seq(), before + 5);
        drop(journal);
        assert_eq!(read_all(dir.path()).unwrap(), expected(before + 5), "{point}");
    }
}

#[test]
fn r09_a_flipped_bit_anywhere_changes_nothing_or_is_named() {
    let whole = sample(8);
    let log = whole.path().join("log");
    let mut named = 0;
    for entry in fs::read_dir(&log).unwrap().map(Result::unwrap) {
        let good = fs::read(entry.path()).unwrap();
        // The seal is mostly zeros that carry nothing: every bit of its records, and a sample of the rest.
        let bits = (0..good.len() * 8)
            .filter(|bit| !entry.path().ends_with("seal") || bit % 4096 < 1400 || bit % 97 == 0);
        for bit in bits.step_by(7) {
            let bad_dir = tempfile::tempdir().unwrap();
            copy(&log, bad_dir.path());
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(bad_dir.path().join(entry.file_name()), bad).unwrap();
            match read_all(bad_dir.path()) {
                Ok(frames) => assert_eq!(frames, expected(8), "{:?} bit {bit}", entry.file_name()),
                Err(error) => {
                    named += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    assert!(named > 100, "only {named} flips were noticed");
}

#[test]
fn r09_a_shortened_zeroed_or_missing_file_is_named() {
    let whole = sample(12);
    let log = whole.path().join("log");
    for entry in fs::read_dir(&log).unwrap().map(Result::unwrap) {
        let good = fs::read(entry.path()).unwrap();
        let name = entry.file_name();
        let is_seal = entry.path().ends_with("seal");
        let spoilt = |bytes: Option<&[u8]>| {
            let dir = tempfile::tempdir().unwrap();
            copy(&log, dir.path());
            match bytes {
                Some(bytes) => fs::write(dir.path().join(&name), bytes).unwrap(),
                None => fs::remove_file(dir.path().join(&name)).unwrap(),
            }
            read_all(dir.path())
        };
        assert!(spoilt(None).is_err(), "{name:?} deleted");
        for length in (0..good.len()).step_by(if is_seal { 997 } else { 13 }) {
            assert!(spoilt(Some(&good[..length])).is_err(), "{name:?} cut to {length}");
        }
        let mut zeroed = good.clone();
        let page = zeroed.len().min(4096);
        zeroed[..page].fill(0);
        match spoilt(Some(&zeroed)) {
            // One page of the seal is one copy of two.
            Ok(frames) => assert!(is_seal && frames == expected(12), "{name:?} zeroed"),
            Err(error) => assert!(!is_seal, "{name:?}: {error}"),
        }
    }
}

#[test]
fn r09_a_seal_slot_that_nobody_can_read_loses_no_frame() {
    let whole = sample(12);
    let log = whole.path().join("log");
    for slot in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        copy(&log, dir.path());
        let seal = super::seal::SealFile::path_in(dir.path());
        let mut pages = fs::read(&seal).unwrap();
        pages[slot * 8192..(slot + 1) * 8192].fill(0xa5);
        fs::write(&seal, pages).unwrap();
        let (mut journal, _) = Journal::open(dir.path(), SMALL).unwrap();
        let found: Vec<u64> = journal.reader().scan(1).map(|found| found.unwrap().0.seq).collect();
        assert_eq!(found, (1..=12).collect::<Vec<_>>(), "slot {slot}");
        grow(&mut journal, 1, 1);
        drop(journal);
        assert_eq!(read_all(dir.path()).unwrap(), expected(13), "slot {slot}");
    }
}

#[test]
fn a_log_of_a_later_version_is_refused_untouched() {
    let whole = sample(2);
    let log = whole.path().join("log");
    let seal = super::seal::SealFile::path_in(&log);
    let mut pages = fs::read(&seal).unwrap();
    for page in pages.chunks_mut(4096) {
        page[8] = 2;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&page[..12]);
        crc.update(&page[16..]);
        page[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
    }
    fs::write(&seal, &pages).unwrap();
    assert!(matches!(Journal::open(&log, SMALL), Err(JournalError::Newer { found: 2, .. })));
    assert_eq!(fs::read(&seal).unwrap(), pages);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 60, ..Default::default() })]

    #[test]
    fn any_sequence_of_calls_leaves_what_a_list_would_hold(calls in proptest::collection::vec(0_u8..6, 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = reopened(dir.path());
        let (mut kept, mut batch): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        let mut next = 1;
        for call in calls {
            match call {
                0..=1 => {
                    let at = journal.append(7, &payload(next)).unwrap();
                    proptest::prop_assert_eq!(at.seq, next);
                    batch.push(next);
                    next += 1;
                }
                2 => { journal.commit().unwrap(); kept.append(&mut batch); }
                3 => { journal.discard(); next -= batch.len() as u64; batch.clear(); }
                4 => { drop(journal); journal = reopened(dir.path()); next -= batch.len() as u64; batch.clear(); }
                _ => {
                    let middle = kept.get(kept.len() / 2).copied().unwrap_or(1);
                    journal.drop_before(middle).unwrap();
                    next -= batch.len() as u64;
                    batch.clear();
                    kept.retain(|seq| *seq >= journal.floor());
                }
            }
        }
        let found: Vec<u64> = journal.reader().scan(1).map(|found| found.unwrap().0.seq).collect();
        proptest::prop_assert_eq!(found, kept);
        verify(dir.path()).unwrap();
    }
}
