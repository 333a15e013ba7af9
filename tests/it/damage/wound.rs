//! Ways in which a disk hurts a closed store.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::harness::dice::Dice;

const PAGE: u64 = 4096;

/// One way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Way {
    /// One bit is another.
    Flip,
    /// A file is shorter.
    Truncate,
    /// 4 KiB are zero.
    Zero,
    /// Two pages of a file, or of two files, changed places.
    Swap,
    /// A file is gone.
    Delete,
    /// A folder is gone with all in it.
    DeleteFolder,
}

impl Way {
    /// How often: in the bounded form, and in the full one (reliability R9).
    pub(super) const fn times(self, full: bool) -> usize {
        match (self, full) {
            (Self::Flip, false) => 48,
            (Self::Flip, true) => 500,
            (Self::Truncate | Self::Zero, false) => 24,
            (Self::Truncate | Self::Zero, true) => 100,
            (Self::Swap, false) => 16,
            (Self::Swap, true) => 50,
            // At least once each: there are fewer files than that.
            (Self::Delete | Self::DeleteFolder, _) => 20,
        }
    }
}

/// All files below a folder, in the order of their names, the empty ones left out.
pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            match entry.metadata().unwrap() {
                meta if meta.is_dir() => open.push(entry.path()),
                meta if meta.len() > 0 => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    ["db", "journal", "journal/inbox", "journal/records"].map(|name| dir.join(name)).into()
}

/// Copies a folder.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Hurts the store in `dir`; says what it did. Number `at` of this way, so that every file has its turn.
pub(super) fn hurt(dir: &Path, way: Way, at: usize, dice: &mut Dice) -> String {
    let files = files(dir);
    let path = files.get(at % files.len()).unwrap();
    let name = |path: &Path| path.strip_prefix(dir).unwrap_or(path).display().to_string();
    let bytes = fs::metadata(path).unwrap().len();
    match way {
        Way::Flip => {
            let (offset, bit) = (dice.below(bytes), dice.below(8));
            let byte = read(path, offset, 1).first().copied().unwrap() ^ (1 << bit);
            write(path, offset, &[byte]);
            format!("bit {bit} of byte {offset} of {} is flipped", name(path))
        }
        Way::Truncate => {
            let keep = dice.below(bytes);
            OpenOptions::new().write(true).open(path).unwrap().set_len(keep).unwrap();
            format!("{} has {keep} of its {bytes} bytes", name(path))
        }
        Way::Zero => {
            let page = dice.below(bytes.div_ceil(PAGE));
            let len = PAGE.min(bytes - page * PAGE);
            write(path, page * PAGE, &vec![0; usize::try_from(len).unwrap()]);
            format!("page {page} of {} is zero", name(path))
        }
        Way::Swap => {
            let other = if dice.below(3) == 0 { files.get((at + 1) % files.len()).unwrap() } else { path };
            let pages = |path: &Path| fs::metadata(path).unwrap().len().div_ceil(PAGE);
            let (one, two) = (dice.below(pages(path)), dice.below(pages(other)));
            swap((path, one), (other, two));
            format!("page {one} of {} and page {two} of {} changed places", name(path), name(other))
        }
        Way::Delete => {
            fs::remove_file(path).unwrap();
            format!("{} is gone", name(path))
        }
        Way::DeleteFolder => {
            let folders = folders(dir);
            let path = folders.get(at % folders.len()).unwrap();
            fs::remove_dir_all(path).unwrap();
            format!("the folder {} is gone", name(path))
        }
    }
}

fn swap(one: (&Path, u64), two: (&Path, u64)) {
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let len = PAGE.min(size(one.0) - one.1 * PAGE).min(size(two.0) - two.1 * PAGE);
    let (first, second) = (read(one.0, one.1 * PAGE, len), read(two.0, two.1 * PAGE, len));
    write(one.0, one.1 * PAGE, &second);
    write(two.0, two.1 * PAGE, &first);
}

fn read(path: &Path, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    File::open(path).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

fn write(path: &Path, offset: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}
