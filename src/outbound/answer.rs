//! What came back: a status, headers, and a body that was counted while it was read.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;
use url::Url;

use super::error::{Odd, OutboundError};

/// Nesting of JSON that is read. What the forges send stays under ten.
const DEPTH_MAX: u32 = 64;

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most as long as the limits say.
    pub body: Bytes,
    /// Where it came from, after redirects.
    pub url: Url,
}

impl Answer {
    /// Whether the status is 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// A header, when it is there once and is plain text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A header that holds a whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name).and_then(|text| text.trim().parse().ok())
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// When it is something else, is nested too deep, or lacks what `T` needs; never repeats what it holds.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OutboundError> {
        let media = self.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media != "application/json" && !media.ends_with("+json") {
            return Err(self.odd(Odd::NotJson));
        }
        if depth(&self.body) > DEPTH_MAX {
            return Err(self.odd(Odd::TooDeep));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| self.odd(if error.is_data() { Odd::Shape } else { Odd::NotJson }))
    }

    /// An error about this answer.
    #[must_use]
    pub fn odd(&self, why: Odd) -> OutboundError {
        OutboundError::Odd { host: self.url.host_str().unwrap_or_default().to_owned(), why }
    }
}

/// How deep brackets are nested, outside of strings. Done before parsing, because a parser that fails deep inside has
/// already spent what the nesting costs.
fn depth(text: &[u8]) -> u32 {
    let (mut now, mut deepest) = (0_u32, 0_u32);
    let (mut inside, mut escaped) = (false, false);
    for byte in text {
        match (inside, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => inside = !inside,
            (false, b'[' | b'{') => {
                now = now.saturating_add(1);
                deepest = deepest.max(now);
            }
            (false, b']' | b'}') => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(media: &str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, media.parse().unwrap());
        let url = Url::parse("https://git.example.com/").unwrap();
        Answer { status: 200, headers, body: Bytes::copy_from_slice(body.as_bytes()), url }
    }

    #[test]
    fn s23_only_json_of_the_documented_shape_is_read() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct It {
            id: std::num::NonZeroU64,
        }
        let good = answer("application/json; charset=utf-8", r#"{"id": 18446744073709551615, "more": [1]}"#);
        assert_eq!(good.json::<It>().unwrap().id.get(), u64::MAX);
        assert!(answer("application/vnd.github+json", r#"{"id": 1}"#).json::<It>().is_ok());
        for (media, body, why) in [
            ("text/html", "<html>canary-7f3a</html>", Odd::NotJson),
            ("text/html", r#"{"id": 1}"#, Odd::NotJson),
            ("application/json", "<html>canary-7f3a</html>", Odd::NotJson),
            ("application/json", r#"{"id": 1"#, Odd::NotJson),
            ("application/json", r#"{"id": 0}"#, Odd::Shape),
            ("application/json", r#"{"id": -1}"#, Odd::Shape),
            ("application/json", r#"{"id": 1.5}"#, Odd::Shape),
            ("application/json", r#"{"id": "canary-7f3a"}"#, Odd::Shape),
            ("application/json", r#"{"id": 18446744073709551616}"#, Odd::Shape),
            ("application/json", r#"["canary-7f3a"]"#, Odd::Shape),
        ] {
            let error = answer(media, body).json::<It>().unwrap_err();
            assert!(
                matches!(&error, OutboundError::Odd { why: found, .. } if *found == why),
                "{body}: {error:?}"
            );
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn s23_json_is_read_to_a_depth_of_64() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let read = |text: &str| answer("application/json", text).json::<serde_json::Value>();
        assert!(read(&nested(64)).is_ok());
        let deep = read(&nested(65)).unwrap_err();
        assert!(matches!(deep, OutboundError::Odd { why: Odd::TooDeep, .. }), "{deep:?}");
        assert!(read(&format!("[\"\\\"{}\"]", "[".repeat(500))).is_ok());
    }
}
