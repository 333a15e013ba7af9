//! Whether the master key fits the store, without making either.

use std::path::Path;

use super::Finding;
use crate::config::Config;
use crate::seal::{Keyring, MasterKey, SealError};

pub(super) fn fits(config: &Config, dir: &Path) -> Finding {
    let ring = dir.join("keyring");
    match (config.key_file.exists(), ring.exists()) {
        (false, false) => {
            Finding::info("keys", "there is no store yet; `serve` will make one, with a master key")
        }
        (false, true) => {
            let message = format!("the master key {} is missing; put it back", config.key_file.display());
            Finding::error("keys", message)
        }
        (true, exists) => match open(&config.key_file, exists.then_some(&ring)) {
            Ok(()) => Finding::info("keys", "the master key is in order"),
            Err(error) => Finding::error("keys", error.to_string()),
        },
    }
}

fn open(key: &Path, ring: Option<&std::path::PathBuf>) -> Result<(), SealError> {
    let master = MasterKey::load(key)?;
    ring.map_or(Ok(()), |ring| Keyring::open(ring, &master).map(drop))
}
