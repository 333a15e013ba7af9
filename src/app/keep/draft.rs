//! A file that gets its name only once it is whole and on stable storage.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::cli::Failure;

/// A file under construction. When it is dropped unfinished, nothing of it stays.
pub(super) struct Draft {
    path: PathBuf,
    draft: PathBuf,
    output: Option<Output>,
}

enum Output {
    Plain(BufWriter<File>),
    Packed(Box<zstd::stream::Encoder<'static, BufWriter<File>>>),
}

impl Draft {
    /// Begins a file that will be at `path`; compressed when its name ends with `.zst`.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        if path.symlink_metadata().is_ok() {
            let message =
                format!("{} is there already; nothing was written: name another file", path.display());
            return Err(Failure::failed(message));
        }
        let Some(name) = path.file_name() else {
            return Err(Failure::usage(format!("{} names no file", path.display())));
        };
        let draft = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
        let begin = || {
            let mut options = File::options();
            // One that a killed command left behind is begun anew.
            let file = options.create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
            let output = BufWriter::with_capacity(256 << 10, file);
            if path.extension().is_some_and(|end| end == "zst") {
                return Ok(Output::Packed(Box::new(zstd::stream::Encoder::new(output, 3)?)));
            }
            Ok(Output::Plain(output))
        };
        let output = begin().map_err(|error| unwritten(path, &error))?;
        Ok(Self { path: path.to_owned(), draft, output: Some(output) })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.output {
            Some(Output::Plain(output)) => output.write_all(bytes),
            Some(Output::Packed(output)) => output.write_all(bytes),
            None => Ok(()),
        };
        written.map_err(|error| unwritten(&self.path, &error))
    }

    /// Brings it to stable storage and gives it its name. Returns its size in bytes.
    pub(super) fn finish(mut self) -> Result<u64, Failure> {
        let finish = |output: Option<Output>| -> std::io::Result<u64> {
            let Some(output) = output else { return Ok(0) };
            let output = match output {
                Output::Plain(output) => output,
                Output::Packed(output) => output.finish()?,
            };
            let file = output.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(&self.draft, &self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
            Ok(file.metadata()?.len())
        };
        let output = self.output.take();
        finish(output).map_err(|error| unwritten(&self.path, &error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        drop(self.output.take());
        let _ = std::fs::remove_file(&self.draft);
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    let message = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            format!("there is no room for {}: {error}; nothing of it was left behind", path.display())
        }
        _ => format!("{} cannot be written: {error}; nothing of it was left behind", path.display()),
    };
    Failure::failed(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one.jsonl");
        let mut draft = Draft::create(&path).unwrap();
        draft.write(b"half").unwrap();
        assert!(!path.exists());
        drop(draft);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was left behind");
        let mut draft = Draft::create(&path).unwrap();
        draft.write(b"whole").unwrap();
        assert_eq!(draft.finish().unwrap(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let Err(refused) = Draft::create(&path) else { panic!("it writes over a file") };
        assert!(refused.message.contains("name another file"), "{refused}");
    }

    #[test]
    fn a_name_that_ends_with_zst_makes_a_compressed_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one.jsonl.zst");
        let mut draft = Draft::create(&path).unwrap();
        draft.write(&[b'x'; 100_000]).unwrap();
        assert!(draft.finish().unwrap() < 1000);
        let file = File::open(&path).unwrap();
        assert_eq!(zstd::stream::decode_all(file).unwrap(), vec![b'x'; 100_000]);
    }

    #[test]
    fn a_full_disk_is_told_in_one_sentence() {
        // Every write to this device fails for want of room.
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let told = unwritten(Path::new("all.jsonl"), &full).message;
        assert!(told.starts_with("there is no room for all.jsonl"), "{told}");
    }
}
