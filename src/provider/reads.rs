//! What was read lately, kept small, so that an unchanged page costs the forge and us next to nothing.
//!
//! A forge answers 304 to a read that names the tag of what we have. What is kept is our own few fields, not the
//! forge's answer: a page of repositories shrinks from 700 KB to about 25.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::Next;
use crate::outbound::header::HeaderValue;

/// Memory for all of it.
const BYTES_MAX: u64 = 16 << 20;
/// Read less often than this, a page is read whole again.
const IDLE: Duration = Duration::from_secs(86_400);

/// Who read what: the same address shows different things to different credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new(reader: &str, url: &url::Url) -> Self {
        let mut digest = Sha256::new();
        digest.update(reader.as_bytes());
        digest.update([0]);
        digest.update(url.as_str().as_bytes());
        Self(digest.finalize().into())
    }
}

/// One read.
#[derive(Debug)]
pub(super) struct Kept {
    /// The forge's tag, as it came.
    pub(super) tag: HeaderValue,
    /// Our fields, as JSON.
    pub(super) json: Vec<u8>,
    /// Where the next page was; a 304 does not say it again.
    pub(super) next: Option<Next>,
}

/// What was read lately, by all clients together.
#[derive(Debug, Clone)]
pub struct Reads(Cache<Key, Arc<Kept>>);

impl Default for Reads {
    fn default() -> Self {
        let weigh = |_: &Key, kept: &Arc<Kept>| {
            u32::try_from(kept.json.len().saturating_add(256)).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(BYTES_MAX).weigher(weigh).time_to_idle(IDLE).build())
    }
}

impl Reads {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        self.0.get(key)
    }

    pub(super) fn keep(&self, key: Key, kept: Kept) {
        self.0.insert(key, Arc::new(kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_a_bound_in_bytes() {
        let reads = Reads::default();
        let url = url::Url::parse("https://api.github.com/").unwrap();
        for reader in 0..64 {
            let kept = Kept { tag: HeaderValue::from_static("x"), json: vec![0; 1 << 20], next: None };
            reads.keep(Key::new(&reader.to_string(), &url), kept);
        }
        reads.0.run_pending_tasks();
        assert!(reads.0.weighted_size() <= BYTES_MAX, "{}", reads.0.weighted_size());
        assert!(reads.0.entry_count() > 0);
    }
}
