//! Sees an export pass by, without its key: is it whole, and how far is it?

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{End, Head};

/// The first and the last line are far shorter; of longer ones the content does not matter here.
const LINE_BYTES_MAX: usize = 64 << 10;

/// What stands in a line that matters.
#[derive(Debug, Deserialize)]
struct Line {
    head: Option<Head>,
    end: Option<End>,
    error: Option<String>,
}

/// Hears every byte of an export, in order.
#[derive(Debug, Default)]
pub struct Witness {
    /// Of everything before the line under way.
    before: Sha256,
    /// Of everything.
    all: Sha256,
    line: Vec<u8>,
    lines: u64,
    items_about: u64,
}

impl Witness {
    /// More of it.
    pub fn hear(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.last() == Some(&b'\n') {
                self.turn();
            }
            self.all.update(part);
            let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(part.get(..room).unwrap_or(part));
            if part.ends_with(b"\n") && self.line.last() != Some(&b'\n') {
                self.line.push(b'\n');
            }
        }
    }

    /// A line is over, and it was not the last.
    fn turn(&mut self) {
        if self.lines == 0 {
            self.items_about = self.parse().and_then(|line| line.head).map_or(0, |head| head.items_about);
        }
        self.before = self.all.clone();
        self.lines = self.lines.saturating_add(1);
        self.line.clear();
    }

    fn parse(&self) -> Option<Line> {
        serde_json::from_slice(&self.line).ok()
    }

    /// Items that have passed, and about how many there are.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let items = self.lines.saturating_sub(1);
        (items, self.items_about.max(items))
    }

    /// How many items there were.
    ///
    /// # Errors
    /// When the end is missing: with the sentence that stands in its place, if there is one.
    pub fn end(self) -> Result<u64, Option<String>> {
        let last = self.parse();
        match last {
            Some(Line { end: Some(end), .. }) if end.sha256 == hex::encode(self.before.finalize()) => {
                Ok(end.items)
            }
            Some(Line { error, .. }) => Err(error),
            None => Err(None),
        }
    }
}
