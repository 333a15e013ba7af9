//! The last refused requests, in memory only: a stranger must not be able to fill the disk.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::domain::{SourceKey, Timestamp};

/// Remembered per source, and for all unknown sources together.
const PER_SOURCE_MAX: usize = 100;

/// One refused request.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Why: the stable code of the answer.
    pub code: &'static str,
    /// From where.
    pub peer: IpAddr,
    /// What it called itself, escaped.
    pub event: Option<String>,
    /// How much of a body arrived.
    pub body_bytes: u64,
}

/// The last refusals of each known source, and of unknown ones (`None`) in one place.
#[derive(Debug, Default)]
pub struct RefusedLog {
    by_source: Mutex<HashMap<Option<SourceKey>, VecDeque<Refusal>>>,
}

impl RefusedLog {
    /// Remembers one. The caller names a source only when there is such a door.
    pub(crate) fn note(&self, source: Option<&SourceKey>, refusal: Refusal) {
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        let list = by_source.entry(source.cloned()).or_default();
        if list.len() >= PER_SOURCE_MAX {
            list.pop_front();
        }
        list.push_back(refusal);
    }

    /// Forgets sources that are no longer declared.
    pub fn keep_only(&self, known: impl Fn(&SourceKey) -> bool) {
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        by_source.retain(|source, _| source.as_ref().is_none_or(&known));
    }

    /// Newest first.
    #[must_use]
    pub fn of(&self, source: Option<&SourceKey>) -> Vec<Refusal> {
        let by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        by_source.get(&source.cloned()).map(|list| list.iter().rev().cloned().collect()).unwrap_or_default()
    }
}

/// A stranger's text made harmless for logs and terminals: short, without control or direction characters.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .take(100)
        .flat_map(|c| if c.is_ascii_graphic() || c == ' ' { vec![c] } else { c.escape_unicode().collect() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_hundred_are_remembered() {
        let log = RefusedLog::default();
        for n in 0..150 {
            let at = Timestamp::from_ms(n);
            let peer = IpAddr::from([127, 0, 0, 1]);
            log.note(None, Refusal { at, code: "proof-failed", peer, event: None, body_bytes: 0 });
        }
        let kept = log.of(None);
        assert_eq!(kept.len(), 100);
        assert_eq!(kept[0].at.ms(), 149);
    }

    #[test]
    fn s59_what_a_stranger_wrote_cannot_steer_a_terminal() {
        let safe = harmless("push\r\n\u{1b}]0;x\u{2028}\u{202e}");
        assert!(safe.is_ascii() && !safe.contains(|c: char| c.is_control()), "{safe}");
        assert!(harmless(&"x".repeat(5000)).len() <= 1000);
    }
}
