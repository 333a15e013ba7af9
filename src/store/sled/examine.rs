//! A look at a store's folder that changes nothing: who holds it, and whether its logs would open.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::journal;
use super::open::{from_journal, io};
use crate::store::OpenError;

/// What [`examine`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Examined {
    /// There is no store yet.
    Nothing,
    /// A process has it open; what it writes was not looked at.
    Held,
    /// Nobody has it open, and both logs are readable and of a version that this program knows.
    Whole,
}

/// Looks at the store in `dir`. Blocking; reads the last file of each log.
///
/// # Errors
/// What [`super::open()`] would refuse it for, as far as that shows in its logs.
pub fn examine(dir: &Path) -> Result<Examined, OpenError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Examined::Nothing),
        entries => entries.map_err(|error| io("cannot read", dir, &error))?,
    };
    drop(entries);
    if is_held(dir)? {
        return Ok(Examined::Held);
    }
    let mut seen = Examined::Nothing;
    let has_records = super::open::has_records(dir);
    for name in ["inbox", "records"] {
        let log = dir.join("journal").join(name);
        if !has_records && !journal::Journal::exists(&log) {
            continue;
        }
        journal::examine(&log).map_err(|error| from_journal(name, &error))?;
        seen = Examined::Whole;
    }
    Ok(seen)
}

/// Whether a process has it open. The lock is let go of at once, so that a daemon that starts now finds it free.
fn is_held(dir: &Path) -> Result<bool, OpenError> {
    let path = dir.join("lock");
    match File::options().read(true).write(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io("cannot open", &path, &error)),
        Ok(file) => Ok(rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err()),
    }
}
