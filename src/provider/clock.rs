//! The forge's clock, as its answers tell it.

use chrono::DateTime;

use crate::outbound::Answer;

/// Seconds since the epoch of an HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date_s(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.timestamp())
}

/// What time it is for whom this answer comes from.
pub(super) fn theirs_s(answer: &Answer) -> Option<i64> {
    answer.header("date").and_then(http_date_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_date_is_read() {
        assert_eq!(http_date_s("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date_s("yesterday"), None);
    }
}
