//! Whether the embedded store would open, without opening it.

use std::path::Path;

use super::Finding;
use crate::store::OpenError;
use crate::store::sled::{Examined, examine};

const PART: &str = "store";

pub(super) fn look(dir: &Path) -> Finding {
    match examine(dir) {
        // The master key's line tells that there is none yet.
        Ok(Examined::Nothing) => Finding::info(PART, format!("{} holds no store yet", dir.display())),
        Ok(Examined::Held) => {
            Finding::info(PART, format!("{} is open in a daemon, which looks after it", dir.display()))
        }
        Ok(Examined::Whole) => Finding::info(
            PART,
            format!("the logs in {} can be read, and are of a version that is known", dir.display()),
        ),
        Err(OpenError::Keys(why)) => Finding::error("keys", why),
        Err(why) => Finding::error(PART, why.to_string()),
    }
}
