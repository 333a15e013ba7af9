//! What GitHub's refusals mean.

use std::sync::atomic::{AtomicI64, Ordering};

use serde::Deserialize;

use crate::outbound::{Answer, Client};
use crate::provider::ProviderError;
use crate::provider::clock::theirs_s;
use crate::provider::pace::Dialect;

/// GitHub's names of its limits.
pub(super) const GITHUB: Dialect = Dialect {
    provider: "github",
    remaining: "x-ratelimit-remaining",
    limit: "x-ratelimit-limit",
    reset: "x-ratelimit-reset",
    points_per_minute: Some(900),
    hidden_limit,
};

/// Our clock against GitHub's, in seconds, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Skew(AtomicI64);

impl Skew {
    /// What time it is there.
    pub(super) fn theirs_s(&self, ours_s: i64) -> i64 {
        ours_s.saturating_sub(self.0.load(Ordering::Relaxed))
    }

    /// Learns from a refusal.
    ///
    /// # Errors
    /// When the clocks differ by more than is made good.
    pub(super) fn learn(&self, answer: &Answer, client: &Client, most_s: i64) -> Result<(), ProviderError> {
        let ours_s = client.now().ms().div_euclid(1000);
        let ahead_s = ours_s.saturating_sub(theirs_s(answer).unwrap_or(ours_s));
        if ahead_s.saturating_abs() > most_s {
            return Err(ProviderError::Clock { ahead_s });
        }
        self.0.store(ahead_s, Ordering::Relaxed);
        Ok(())
    }
}

/// A refusal's body, as far as it is structured.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    message: String,
    documentation_url: String,
    errors: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Item {
    Coded { code: String },
    Other(serde::de::IgnoredAny),
}

/// A secondary limit can come without any header. Its documentation link tells it from a missing permission; the
/// sentence is a hint for older servers. Taken wrongly for a limit, a permission costs a minute; the other way round we
/// might be banned.
fn hidden_limit(answer: &Answer) -> bool {
    let body = answer.json::<Body>().unwrap_or_default();
    let link = body.documentation_url.to_ascii_lowercase();
    let message = body.message.to_ascii_lowercase();
    link.contains("rate-limit") || link.contains("abuse") || message.contains("rate limit")
}

/// Takes an answer that granted what was asked.
///
/// # Errors
/// With what the refusal means.
pub(super) fn granted(answer: Answer) -> Result<Answer, ProviderError> {
    match answer.status {
        200..=299 | 304 => Ok(answer),
        401 => Err(ProviderError::CredentialRefused),
        403 => Err(ProviderError::NotPermitted { needs: None }),
        404 | 410 => Err(ProviderError::Gone),
        500..=599 => Err(down(&answer)),
        status => Err(ProviderError::Refused { status, why: why(&answer) }),
    }
}

/// The forge's own trouble; worth trying again.
fn down(answer: &Answer) -> ProviderError {
    use crate::outbound::{OutboundError, Unreachable};
    let host = answer.url.host_str().unwrap_or_default().to_owned();
    ProviderError::Unreachable(OutboundError::Unreachable { host, why: Unreachable::Down(answer.status) })
}

/// The documented word for a refusal; no other word of the body goes any further.
fn why(answer: &Answer) -> Option<&'static str> {
    const KNOWN: [&str; 6] =
        ["already_exists", "missing", "missing_field", "invalid", "unprocessable", "custom"];
    let body: Body = answer.json().ok()?;
    let codes = body.errors.iter().filter_map(|item| match item {
        Item::Coded { code } => Some(code.as_str()),
        Item::Other(_) => None,
    });
    codes.filter_map(|code| KNOWN.into_iter().find(|known| *known == code)).next()
}

/// What octocrab makes of the same.
pub(super) fn of_octocrab(error: &octocrab::Error) -> ProviderError {
    match error {
        octocrab::Error::Service { source, .. } => source
            .downcast_ref::<ProviderError>()
            .cloned()
            .unwrap_or(ProviderError::Refused { status: 0, why: None }),
        octocrab::Error::GitHub { source, .. } => match source.status_code.as_u16() {
            401 => ProviderError::CredentialRefused,
            403 => ProviderError::NotPermitted { needs: None },
            404 | 410 => ProviderError::Gone,
            status => ProviderError::Refused { status, why: None },
        },
        _ => ProviderError::Refused { status: 0, why: Some("an answer that cannot be read") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

    fn answer(status: u16, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        let url = url::Url::parse("https://api.github.com/").unwrap();
        Answer { status, headers, body: body.into(), url }
    }

    #[test]
    fn a_refusal_is_read_by_status_and_documented_words_only() {
        let exists = r#"{"message": "canary", "errors": [{"resource": "Hook", "code": "already_exists"}]}"#;
        let odd = r#"{"message": "canary", "errors": ["canary", {"code": "canary"}]}"#;
        for (status, body, want) in [
            (401, "{}", ProviderError::CredentialRefused),
            (403, r#"{"message": "canary"}"#, ProviderError::NotPermitted { needs: None }),
            (404, "", ProviderError::Gone),
            (422, exists, ProviderError::Refused { status: 422, why: Some("already_exists") }),
            (422, odd, ProviderError::Refused { status: 422, why: None }),
        ] {
            let error = granted(answer(status, body)).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
            assert_eq!(error, want, "{body}");
        }
        assert!(granted(answer(502, "<html>")).is_err_and(|error| error.passes()));
    }

    #[test]
    fn r31_a_secondary_limit_without_headers_is_told_from_a_missing_permission() {
        let link = r#"{"message": "x", "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}"#;
        let older = r#"{"message": "You have triggered an abuse detection mechanism", "documentation_url": "https://developer.github.com/v3/#abuse-rate-limits"}"#;
        let permission = r#"{"message": "Resource not accessible by integration", "documentation_url": "https://docs.github.com/rest/orgs/members#list-organization-members"}"#;
        assert!(hidden_limit(&answer(403, link)) && hidden_limit(&answer(403, older)));
        assert!(!hidden_limit(&answer(403, permission)) && !hidden_limit(&answer(403, "<html>")));
    }
}
