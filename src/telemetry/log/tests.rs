//! Hostile text in every place that a log line takes text from.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::{Format, subscriber};
use crate::domain::Timestamp;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Page {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is written while `act` runs.
pub(crate) fn logged(format: Format, filter: Option<&str>, act: impl FnOnce()) -> String {
    let page = Page::default();
    let clock: crate::domain::Clock = Arc::new(|| Timestamp::from_ms(1_780_000_000_123));
    let subscriber = subscriber(format, filter, clock, page.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, act);
    String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
}

const HOSTILE: [&str; 9] = [
    "line one\r\nline two",
    "\u{1b}]0;owned\u{7}",
    "\u{1b}[2J\u{1b}[H",
    "\u{9b}31m",
    "a\u{2028}b\u{2029}c\u{85}d",
    "\u{202e}gnp.exe\u{202c}",
    "\u{2066}x\u{2069}\u{200f}\u{61c}",
    "\0\u{7f}\t",
    "\",\"level\":\"error\"} {\"x\":\"",
];

/// What turns the reading direction or ends a line without being a control character; a list apart from the code's.
const TURNS: [char; 14] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}',
    '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// Seven events for each hostile text: as message, text, display, debug, error, span field, recorded span field.
fn speak() -> usize {
    for text in HOSTILE {
        tracing::info!("{text}");
        tracing::info!(login = text, "a text");
        tracing::info!(login = %text, "a display");
        tracing::info!(login = ?[text], raw = ?Raw(text), "a debug");
        let error = std::io::Error::other(text);
        tracing::info!(error = &error as &dyn std::error::Error, "an error");
        let span = tracing::info_span!("work", login = text, raw = ?Raw(text), later = tracing::field::Empty);
        span.record("later", text);
        span.in_scope(|| tracing::info!("inside"));
        tracing::info!(target: "a\u{1b}target", "a target");
    }
    HOSTILE.len() * 7
}

/// A `Debug` that escapes nothing, as those of foreign crates may do.
struct Raw(&'static str);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

#[test]
fn s59_hostile_text_stays_on_its_line_in_both_formats() {
    for format in [Format::Human, Format::Json] {
        let mut events = 0;
        let page = logged(format, None, || events = speak());
        assert_eq!(page.lines().count(), events, "{page:?}");
        let raw: Vec<char> =
            page.chars().filter(|c| c.is_control() && *c != '\n' || TURNS.contains(c)).collect();
        assert!(raw.is_empty(), "{raw:?} in {page:?}");
    }
}

#[test]
fn s59_each_line_for_machines_parses_and_keeps_its_level() {
    let page = logged(Format::Json, None, || {
        speak();
    });
    for line in page.lines() {
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(event["level"], "info", "{line}");
        assert_eq!(event["time"], "2026-05-28T20:26:40.123Z", "{line}");
    }
}

#[test]
fn s59_no_value_takes_more_than_a_kibibyte() {
    let long = "\u{1b}x".repeat(100_000);
    for format in [Format::Human, Format::Json] {
        let page = logged(format, None, || tracing::info!(login = %long, "{long}"));
        assert!(page.len() < 2600, "{}", page.len());
    }
}

#[test]
fn a_line_for_people_reads_as_one() {
    let page = logged(Format::Human, None, || {
        let span = tracing::info_span!("delivery", id = 7);
        span.in_scope(|| tracing::warn!(source = "acme", why = "it is late", tries = 3, "try again"));
    });
    assert_eq!(
        page,
        "2026-05-28T20:26:40.123Z  WARN scm_connect::telemetry::log::tests: try again source=acme tries=3 \
         why=\"it is late\" in delivery{id=7}\n"
    );
}

#[test]
fn the_filter_decides_and_a_wrong_one_is_refused() {
    let speak = || {
        tracing::debug!("quiet");
        tracing::info!("loud");
    };
    assert_eq!(logged(Format::Human, None, speak).lines().count(), 1);
    assert_eq!(logged(Format::Human, Some("debug"), speak).lines().count(), 2);
    assert_eq!(logged(Format::Human, Some("error"), speak).lines().count(), 0);
    let clock: crate::domain::Clock = Arc::new(Timestamp::default);
    let refused = subscriber(Format::Json, Some("info,x=[["), clock, std::io::sink).err().unwrap();
    assert!(refused.starts_with("the log filter cannot be read: "), "{refused}");
}
