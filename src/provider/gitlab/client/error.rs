//! What GitLab's refusals mean.

use serde::Deserialize;

use crate::outbound::{Answer, OutboundError, Unreachable};
use crate::provider::ProviderError;
use crate::provider::pace::Dialect;

/// GitLab's names of its limits. Where an instance has none, it sends none of them.
pub(super) const GITLAB: Dialect = Dialect {
    provider: "gitlab",
    remaining: "ratelimit-remaining",
    limit: "ratelimit-limit",
    reset: "ratelimit-reset",
    points_per_minute: None,
    hidden_limit: |_| false,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    error: serde_json::Value,
}

/// Takes an answer that granted what was asked.
///
/// # Errors
/// With what the refusal means.
pub(super) fn granted(answer: Answer) -> Result<Answer, ProviderError> {
    match answer.status {
        200..=299 => Ok(answer),
        401 => Err(ProviderError::CredentialRefused),
        403 => Err(ProviderError::NotPermitted { needs: scope(&answer) }),
        404 | 410 => Err(ProviderError::Gone),
        status @ 500..=599 => {
            let host = answer.url.host_str().unwrap_or_default().to_owned();
            Err(ProviderError::Unreachable(OutboundError::Unreachable {
                host,
                why: Unreachable::Down(status),
            }))
        }
        status => Err(ProviderError::Refused { status, why: None }),
    }
}

/// A missing scope is told apart from a missing role by a documented word.
fn scope(answer: &Answer) -> Option<&'static str> {
    let body: Body = answer.json().ok()?;
    (body.error.as_str() == Some("insufficient_scope")).then_some("the scope api")
}
