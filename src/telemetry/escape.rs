//! Text of strangers, made safe to show: no control character, no change of direction, and never too long.

use std::fmt::{self, Write};

/// A logged value takes no more bytes than that.
pub const BYTES_MAX: usize = 1024;

/// What stands where something was cut off.
const CUT: &str = "…";

/// Whether a character could move a cursor, start a line, or turn the reading direction.
#[must_use]
pub const fn is_unsafe(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// The text with every unsafe character written as `\u{1b}`, whole.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = Safe::unlimited();
    // Writing into a `String` cannot fail.
    let _ = safe.write_str(text);
    safe.finish()
}

/// The same, at most [`BYTES_MAX`] bytes long.
#[must_use]
pub fn escape_short(value: fmt::Arguments<'_>) -> String {
    let mut safe = Safe::new(BYTES_MAX);
    // An error means that the end was reached, and with it that the rest need not even be formatted.
    let _ = safe.write_fmt(value);
    safe.finish()
}

/// Escapes what is written to it, and refuses more once it is full.
struct Safe {
    text: String,
    bytes_max: usize,
    is_cut: bool,
}

impl Safe {
    const fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max, is_cut: false }
    }

    const fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    fn push(&mut self, piece: &str) -> fmt::Result {
        let room = self.bytes_max.saturating_sub(self.text.len()).saturating_sub(CUT.len());
        if piece.len() > room {
            self.is_cut = true;
            return Err(fmt::Error);
        }
        self.text.push_str(piece);
        Ok(())
    }

    fn finish(mut self) -> String {
        if self.is_cut {
            self.text.push_str(CUT);
        }
        self.text
    }
}

impl Write for Safe {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        for c in text.chars() {
            if is_unsafe(c) {
                let escaped: String = c.escape_unicode().collect();
                self.push(&escaped)?;
            } else {
                self.push(c.encode_utf8(&mut [0; 4]))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_turns_the_text_is_left() {
        assert_eq!(escape("a\r\nb\t\u{1b}]0;x\u{7}"), "a\\u{d}\\u{a}b\\u{9}\\u{1b}]0;x\\u{7}");
        assert_eq!(
            escape("\u{9b}2J\u{202e}\u{2066}\u{2028}\u{7f}"),
            "\\u{9b}2J\\u{202e}\\u{2066}\\u{2028}\\u{7f}"
        );
        assert_eq!(escape("Grüße, 世界 🙂"), "Grüße, 世界 🙂");
    }

    #[test]
    fn a_value_is_cut_after_it_was_escaped() {
        for text in ["x".repeat(5000), "\u{1b}".repeat(5000), "世".repeat(5000)] {
            let cut = escape_short(format_args!("{text}"));
            assert!(
                cut.len() <= BYTES_MAX && cut.len() > BYTES_MAX - 16 && cut.ends_with(CUT),
                "{}",
                cut.len()
            );
        }
        assert_eq!(escape_short(format_args!("short")), "short");
    }
}
