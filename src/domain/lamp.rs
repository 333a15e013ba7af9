//! A lamp that is lit every few seconds as long as deliveries can be taken and kept: where it was dark, nobody listened.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Dark for longer than this, somebody may have called in vain.
const DARK_MS: i64 = 60_000;
/// No forge knows of what it sent longer ago.
const KEPT_MS: i64 = 8 * 24 * 60 * 60 * 1000;
const KEPT_MAX: usize = 200;

/// The lamp, and when it was dark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lamp {
    /// When it was last lit.
    pub lit_at: Timestamp,
    /// When it was dark, the oldest first.
    pub dark: Vec<Dark>,
}

/// A while in which nobody listened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dark {
    /// Last lit before it.
    pub from: Timestamp,
    /// Lit again.
    pub until: Timestamp,
}

impl Lamp {
    /// Lights it.
    #[must_use]
    pub fn lit(before: Option<Self>, now: Timestamp) -> Self {
        let Some(mut lamp) = before else { return Self { lit_at: now, dark: Vec::new() } };
        if now.since(lamp.lit_at) > DARK_MS {
            lamp.dark.push(Dark { from: lamp.lit_at, until: now });
        }
        lamp.dark.retain(|dark| now.since(dark.until) < KEPT_MS);
        let old = lamp.dark.len().saturating_sub(KEPT_MAX);
        lamp.dark.drain(..old);
        // A clock that was set back lights it all the same: else it would look lit until it has caught up.
        lamp.lit_at = now;
        lamp
    }

    /// The dark since then, from its first to its last moment.
    #[must_use]
    pub fn dark_since(&self, since: Timestamp) -> Option<Dark> {
        let mut later = self.dark.iter().filter(|dark| dark.until > since);
        let first = later.next()?;
        let last = later.next_back().unwrap_or(first);
        Some(Dark { from: first.from, until: last.until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(s: i64) -> Timestamp {
        Timestamp::from_ms(s * 1000)
    }

    fn lit(times: &[i64]) -> Lamp {
        times.iter().fold(None, |lamp, s| Some(Lamp::lit(lamp, at(*s)))).unwrap()
    }

    #[test]
    fn r24_where_the_lamp_was_dark_nobody_listened() {
        assert_eq!(lit(&[0, 15, 30, 90]).dark, [], "a minute is a slow disk");
        let lamp = lit(&[0, 15, 1000, 1015, 9000]);
        let dark = [Dark { from: at(15), until: at(1000) }, Dark { from: at(1015), until: at(9000) }];
        assert_eq!(lamp.dark, dark);
        assert_eq!(lamp.dark_since(at(0)), Some(Dark { from: at(15), until: at(9000) }));
        assert_eq!(lamp.dark_since(at(1000)), Some(dark[1]));
        assert_eq!(lamp.dark_since(at(9000)), None);
    }

    #[test]
    fn a_clock_that_was_set_back_neither_darkens_the_lamp_nor_keeps_it_lit() {
        assert_eq!(lit(&[1000, 10, 25]).dark, []);
        assert_eq!(lit(&[1000, 10, 500]).dark, [Dark { from: at(10), until: at(500) }]);
    }

    #[test]
    fn what_no_forge_remembers_is_forgotten() {
        let lamp = lit(&[0, 1000, 2000, 30 * 86_400]);
        assert_eq!(lamp.dark, [Dark { from: at(2000), until: at(30 * 86_400) }]);
        let many: Vec<i64> = (0..500).map(|n| n * 100).collect();
        assert_eq!(lit(&many).dark.len(), KEPT_MAX);
    }
}
