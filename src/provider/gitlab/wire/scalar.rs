//! GitLab's ways to write names, times and visibilities.

use chrono::{DateTime, NaiveDateTime};

use crate::domain::Timestamp;
use crate::domain::project::Visibility;

/// Longest name that is kept, in characters.
const MAX_NAME: usize = 255;

/// 10000-01-01T00:00:00Z: no forge means a later time.
const END_OF_TIME_MS: i64 = 253_402_300_800_000;

/// A number of seconds beyond this one is a number of milliseconds (it would be the year 5138).
const MAX_SECONDS: u64 = 100_000_000_000;

/// Cuts a name to length and drops what could break a line of a log or a terminal.
pub(in crate::provider::gitlab) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// Reads `2016-08-12 15:23:28 UTC`, `2013-12-03 17:23:34 +0100` and RFC 3339.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let offset =
        || DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f %z").ok().map(|at| at.timestamp_millis());
    let utc = || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f UTC").ok();
    let utc = || utc().map(|at| at.and_utc().timestamp_millis());
    Timestamp::parse_rfc3339(text).map(Timestamp::ms).or_else(utc).or_else(offset).and_then(in_calendar)
}

/// Reads a number of seconds, or of milliseconds when it is too large for that.
pub(super) fn time_of_seconds(number: u64) -> Option<Timestamp> {
    let ms = if number > MAX_SECONDS { number } else { number.saturating_mul(1000) };
    i64::try_from(ms).ok().and_then(in_calendar)
}

fn in_calendar(ms: i64) -> Option<Timestamp> {
    (0..END_OF_TIME_MS).contains(&ms).then_some(Timestamp::from_ms(ms))
}

/// Reads `private`, and `visibilitylevel|private`, which old versions send.
pub(in crate::provider::gitlab) fn parse_visibility(text: &str) -> Option<Visibility> {
    match text.rsplit('|').next()? {
        "private" => Some(Visibility::Private),
        "internal" => Some(Visibility::Internal),
        "public" => Some(Visibility::Public),
        _ => None,
    }
}

/// The visibility behind GitLab's level.
pub(super) fn visibility_of(level: u64) -> Option<Visibility> {
    match level {
        0 => Some(Visibility::Private),
        10 => Some(Visibility::Internal),
        20 => Some(Visibility::Public),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_every_spelling_gitlab_has() {
        let ms = |text: &str| parse_time(text).map(Timestamp::ms);
        assert_eq!(ms("2016-08-12 15:23:28 UTC"), Some(1_471_015_408_000));
        assert_eq!(ms("2016-08-12 17:23:28 +0200"), Some(1_471_015_408_000));
        assert_eq!(ms("2016-08-12T15:23:28.250Z"), Some(1_471_015_408_250));
        assert_eq!(ms("2016-08-12T11:23:28-04:00"), Some(1_471_015_408_000));
        assert_eq!(time_of_seconds(1_471_015_408).map(Timestamp::ms), Some(1_471_015_408_000));
        assert_eq!(time_of_seconds(1_471_015_408_250).map(Timestamp::ms), Some(1_471_015_408_250));
    }

    #[test]
    fn a_time_that_is_none_says_nothing() {
        for text in [
            "",
            "now",
            "2016-13-12 15:23:28 UTC",
            "2016-08-12",
            "2016-08-12 15:23:28",
            "-0001-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        assert_eq!(time_of_seconds(u64::MAX), None);
        assert_eq!(time_of_seconds(MAX_SECONDS.saturating_mul(10_000)), None);
    }

    #[test]
    fn a_name_has_no_control_characters_and_at_most_255_others() {
        assert_eq!(clean("a\r\n\u{1b}[31mb\0\u{85}"), "a[31mb");
        assert_eq!(clean(&"ä".repeat(300)).chars().count(), 255);
    }

    #[test]
    fn a_visibility_is_read_with_and_without_its_old_prefix() {
        assert_eq!(parse_visibility("visibilitylevel|private"), Some(Visibility::Private));
        assert_eq!(parse_visibility("internal"), Some(Visibility::Internal));
        assert_eq!(parse_visibility("secret"), None);
        assert_eq!((visibility_of(20), visibility_of(15)), (Some(Visibility::Public), None));
    }
}
