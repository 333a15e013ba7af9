//! A folder of its own that is gone afterwards, however it ends by itself.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::random;
use crate::cli::Failure;

/// Nobody else may look into it.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(parent: &Path, what: &str) -> Result<Self, Failure> {
        let mut tag = [0; 6];
        random(&mut tag);
        let path = parent.join(format!("scm-connect-{what}-{}", hex::encode(tag)));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
