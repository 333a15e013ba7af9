//! What was read lately, kept small, so that an unchanged page costs the forge and us next to nothing.
//!
//! A forge answers 304 to a read that names the tag of what we have. What is kept is our own few fields, packed, not the
//! forge's answer: a page of repositories shrinks from 700 KB to about 4, so that all pages of an account with a hundred
//! thousand of them, and of fifty thousand members, stay below the bound together.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Next;
use crate::outbound::header::HeaderValue;

/// Memory for all of it.
const BYTES_MAX: u64 = 16 << 20;
/// What an entry takes beside it, about.
const OVERHEAD: usize = 512;
/// Packs fast; more would gain little.
const LEVEL: i32 = 1;
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
    /// Our fields, as JSON, packed.
    packed: Vec<u8>,
    /// Where the next page was; a 304 does not say it again.
    pub(super) next: Option<Next>,
}

impl Kept {
    /// Packs what was read. `None`: it cannot be packed, and so is not kept.
    pub(super) fn new(tag: HeaderValue, read: &impl Serialize, next: Option<Next>) -> Option<Self> {
        let json = serde_json::to_vec(read).ok()?;
        Some(Self { tag, packed: zstd::bulk::compress(&json, LEVEL).ok()?, next })
    }

    /// What was read.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&zstd::stream::decode_all(self.packed.as_slice()).ok()?).ok()
    }
}

/// What was read lately, by all clients together.
#[derive(Debug, Clone)]
pub struct Reads(Cache<Key, Arc<Kept>>);

impl Default for Reads {
    fn default() -> Self {
        let weigh = |_: &Key, kept: &Arc<Kept>| {
            u32::try_from(kept.packed.len().saturating_add(OVERHEAD)).unwrap_or(u32::MAX)
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
            let noise: String =
                (0..60_000_u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9 + reader))).collect();
            let kept = Kept::new(HeaderValue::from_static("x"), &noise, None).unwrap();
            reads.keep(Key::new(&reader.to_string(), &url), kept);
        }
        reads.0.run_pending_tasks();
        assert!(reads.0.weighted_size() <= BYTES_MAX, "{}", reads.0.weighted_size());
        assert!(reads.0.entry_count() > 0);
    }

    #[test]
    fn r34_the_pages_of_a_hundred_thousand_repositories_stay() {
        let reads = Reads::default();
        let row = |n: u64| {
            serde_json::json!({
                "id": (1 << 33) + n * 7919, "full_name": format!("acme-corporation/service-{n:06}"), "private": true,
                "owner": {"id": 77, "login": "acme-corporation", "type": "Organization"}, "archived": false,
                "visibility": "private", "default_branch": "main",
            })
        };
        let key = |page: u64| {
            let url =
                url::Url::parse(&format!("https://api.github.com/orgs/acme/repos?page={page}")).unwrap();
            Key::new("app", &url)
        };
        for page in 0..1_000 {
            let rows: Vec<_> = (page * 100..(page + 1) * 100).map(row).collect();
            reads.keep(key(page), Kept::new(HeaderValue::from_static("x"), &rows, None).unwrap());
        }
        reads.0.run_pending_tasks();
        println!("{} bytes", reads.0.weighted_size());
        assert!(reads.0.weighted_size() < BYTES_MAX / 2, "{}", reads.0.weighted_size());
        let read: Vec<serde_json::Value> = reads.get(&key(0)).unwrap().read().unwrap();
        assert_eq!(read[99], row(99));
    }
}
