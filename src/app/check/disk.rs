//! The store's disk: what kind it is, how much is free, and how long a synced write takes. What is written is written
//! to a file without a name, which is gone however this ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, fstatfs, openat, unlinkat};

use super::Finding;

const PART: &str = "disk";
/// A commit of a few deliveries.
const WRITE: [u8; 16 * 1024] = [0x5a; 16 * 1024];
/// So many writes, or as many as fit into this time.
const WRITES_MAX: usize = 50;
const TIME_MAX: Duration = Duration::from_secs(2);
/// A delivery waits for one such write; a forge waits ten seconds for a delivery.
const SLOW: Duration = Duration::from_millis(20);
/// Kinds of file system on which an answer 2xx is worth less than it says, by their numbers in statfs(2).
const DOUBTFUL: [(u64, &str); 5] = [
    (0x0102_1994, "is in memory: nothing on it survives a restart of the machine"),
    (0x6969, "is NFS, which is not tested: use a local ext4 or xfs"),
    (0xff53_4d42, "is CIFS, which is not tested: use a local ext4 or xfs"),
    (0xfe53_4d42, "is SMB, which is not tested: use a local ext4 or xfs"),
    (0x6573_5546, "is FUSE, which is not tested: use a local ext4 or xfs"),
];
/// Below this `/readyz` says no.
const FREE_PERCENT_MIN: u64 = 5;

/// Looks at the disk of the folder, or of the nearest one above that is there.
pub(super) fn look(dir: &Path) -> Vec<Finding> {
    // A relative path's last ancestor is empty: the working directory.
    let places =
        dir.ancestors().map(|place| if place.as_os_str().is_empty() { Path::new(".") } else { place });
    let Some(place) = places.into_iter().find(|place| place.is_dir()) else { return Vec::new() };
    let opened = nameless(place);
    let measured = opened.and_then(|file| {
        let kind = u64::try_from(fstatfs(&file)?.f_type).unwrap_or_default();
        Ok((kind, measure(&file)?))
    });
    let mut findings = Vec::new();
    match measured {
        Ok((kind, took)) => {
            let doubt = DOUBTFUL.iter().find(|(number, _)| *number == kind);
            findings.extend(doubt.map(|(_, why)| {
                let message = format!("{} {why}", place.display());
                Finding { next: None, ..Finding::warning(PART, message, "") }
            }));
            findings.push(speed(place, took));
        }
        Err(error) => {
            let message = format!("nothing can be written in {}: {error}", place.display());
            findings.push(Finding {
                next: Some("let the daemon's user write there"),
                ..Finding::error(PART, message)
            });
        }
    }
    findings.extend(room(place));
    findings
}

/// A file that nobody else sees. Where the file system has no such thing, one whose name is taken away at once.
fn nameless(place: &Path) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(file) = openat(CWD, place, flags | OFlags::TMPFILE, mode) {
        return Ok(File::from(file));
    }
    let path = place.join(format!(".scm-connect-check-{}", std::process::id()));
    let file = openat(CWD, &path, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
    unlinkat(CWD, &path, rustix::fs::AtFlags::empty())?;
    Ok(File::from(file))
}

/// How long each of a few synced writes took, rising.
fn measure(file: &File) -> io::Result<Vec<Duration>> {
    let begun = Instant::now();
    let mut took = Vec::with_capacity(WRITES_MAX);
    let mut at = 0;
    while took.len() < WRITES_MAX && begun.elapsed() < TIME_MAX {
        let began = Instant::now();
        file.write_all_at(&WRITE, at)?;
        file.sync_data()?;
        took.push(began.elapsed());
        at = at.saturating_add(WRITE.len() as u64);
    }
    took.sort_unstable();
    Ok(took)
}

fn speed(place: &Path, took: Vec<Duration>) -> Finding {
    let middle = took.get(took.len() / 2).copied().unwrap_or_default();
    let slowest = took.last().copied().unwrap_or_default();
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    let message = format!(
        "a synced write of 16 KiB takes {:.2} ms in {} (the slowest of {}: {:.2} ms)",
        ms(middle),
        place.display(),
        took.len(),
        ms(slowest)
    );
    if middle < SLOW {
        return Finding::info(PART, message);
    }
    Finding::warning(PART, message, "every delivery waits for one: use a faster local disk")
}

fn room(place: &Path) -> Option<Finding> {
    let disk = rustix::fs::statvfs(place).ok()?;
    let (free, total) =
        (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
    let message = format!("{} MiB of {} MiB are free", free >> 20, total >> 20);
    let low = free.saturating_mul(100) < total.saturating_mul(FREE_PERCENT_MIN);
    Some(if low {
        Finding::warning(PART, message, "below 5 % no delivery is taken: make room")
    } else {
        Finding::info(PART, message)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn r52_measuring_the_disk_leaves_nothing_behind_and_makes_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let findings = look(&folder.path().join("data/store"));
        assert!(
            findings.iter().any(|it| it.message.contains("a synced write of 16 KiB takes")),
            "{findings:?}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_slow_disk_is_a_warning_and_a_fast_one_is_none() {
        let place = Path::new("/store");
        let of = |ms: u64| speed(place, vec![Duration::from_millis(ms); 3]);
        assert_eq!(of(19).level, Level::Info);
        assert_eq!(of(20).level, Level::Warning);
        assert!(of(20).line().contains("20.00 ms in /store (the slowest of 3: 20.00 ms); every delivery"));
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_told() {
        let findings = look(Path::new("/proc/self/store"));
        let told = findings.iter().find(|it| it.level == Level::Error).unwrap();
        assert!(told.message.contains("nothing can be written in /proc/self"), "{findings:?}");
    }
}
