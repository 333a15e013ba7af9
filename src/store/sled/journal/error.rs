//! What can go wrong with a journal, each with a name, a place, and what is still safe.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the journal could not do it. Cloneable, as a stopped journal gives the same answer to everybody.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum JournalError {
    /// Reading or opening failed; nothing was acknowledged, nothing lost.
    #[error("could not {doing} {}: {source}; nothing was changed, what was acknowledged is as safe as before", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A write or a sync failed for good.
    #[error("could not {doing} {}: {source}; the journal has stopped and takes nothing more, what was acknowledged before is safe; end the process and start it again", path.display())]
    Stopped {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// No room for this batch.
    #[error("no room to write {}: {source}; this batch was dropped, what was acknowledged before is safe; free some space and try again", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A payload that no frame holds.
    #[error("a payload of {bytes} bytes is over the {max} that a frame holds; nothing was written")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: u32,
    },
    /// Retention took it.
    #[error("frame {seq} is gone: the journal now begins at {floor}")]
    Gone {
        /// What was asked for.
        seq: u64,
        /// The oldest sequence number that is kept.
        floor: u64,
    },
    /// Nothing was ever acknowledged at this place.
    #[error("frame {seq} is not there: the last acknowledged one is {last}, or its place is wrong")]
    NotThere {
        /// What was asked for.
        seq: u64,
        /// The last acknowledged sequence number.
        last: u64,
    },
    /// What was read is not what was written.
    #[error("{} is damaged at byte {offset}, frame {seq}: {what}; nothing was changed", path.display())]
    Damaged {
        /// The log file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// The sequence number that belongs there.
        seq: u64,
        /// What is wrong.
        what: String,
    },
    /// A log file that must exist does not.
    #[error("{} is missing: it holds the frames from {seq} on; nothing was changed, put the file back or restore a backup", path.display())]
    FileMissing {
        /// The log file.
        path: PathBuf,
        /// The first frame in it.
        seq: u64,
    },
    /// A log file that no journal of this seal can have written.
    #[error("{} does not belong to this journal, whose last acknowledged frame is {last}: the seal may be an old copy; nothing was changed", path.display())]
    Foreign {
        /// The log file.
        path: PathBuf,
        /// What the seal says.
        last: u64,
    },
    /// There are log files but no seal, so that nobody knows where they end.
    #[error("{} is missing, but there are log files beside it: this is no new journal; nothing was changed, put the file back or restore a backup", path.display())]
    SealMissing {
        /// The seal.
        path: PathBuf,
    },
    /// No copy of the seal can be read.
    #[error("{} is damaged: {what}; nothing was changed, put the file back or restore a backup", path.display())]
    SealDamaged {
        /// The seal.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A newer program wrote it.
    #[error("{} has format {found}, this program knows up to {known}; nothing was changed, use the newer program", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Somebody else writes here.
    #[error("{} is in use by another process; nothing was changed", path.display())]
    InUse {
        /// The seal, which is locked.
        path: PathBuf,
    },
}

impl JournalError {
    /// Wraps a failure to read or open.
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Wraps a failure that ends the journal.
    pub(super) fn stopped(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Stopped { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Wraps a failed write: for want of room it may be tried again, else it is final.
    pub(super) fn write(doing: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
            Self::Full { path: path.to_owned(), source: Arc::new(source) }
        } else {
            Self::stopped(doing, path, source)
        }
    }
}

/// Whether the system says "not now": no file handles, no memory. It says nothing about what is on the disk.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|number| passing.contains(&number))
}

impl JournalError {
    /// Whether the same may work a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_passing(source))
    }
}
