//! The API's answers. Every record is shown through a struct that lists its fields; none is written out whole.

pub(crate) mod audit;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod delivery;
pub(crate) mod gap;
pub(crate) mod held;
pub(crate) mod keep;
pub(crate) mod member;
pub(crate) mod organization;
pub(crate) mod pin;
pub(crate) mod project;
pub(crate) mod query;
pub(crate) mod redact;
pub(crate) mod refused;
pub(crate) mod renewal;
pub(crate) mod replay;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod task;
pub(crate) mod token;
pub(crate) mod trail;

use std::future::Future;

use actix_web::HttpResponse;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::{Call, Caller};
use super::error::Problem;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::{OrganizationSlug, Timestamp};
use crate::store::{Page, Paged, StoreError};

/// A handler's answer.
pub(crate) type Answer = Result<HttpResponse, Problem>;

/// Pages looked through at most when a record is found by walking a list.
const WALK_PAGES_MAX: usize = 1000;
/// The largest page a store gives.
pub(crate) const LIMIT_MAX: usize = 200;

#[derive(Serialize)]
struct Listed<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// One page of what was asked for, each record through its view.
pub(crate) fn listed<R, V: Serialize>(
    query: &query::Query,
    paged: Paged<R>,
    view: impl Fn(&R) -> V,
) -> HttpResponse {
    let items: Vec<V> = paged.items.iter().map(view).collect();
    HttpResponse::Ok().json(Listed { items, next_cursor: paged.next.map(|place| query.cursor(&place)) })
}

/// One record, if it is there and the caller may see it; else the one answer for both.
fn shown<R, V: Serialize>(found: Option<R>, view: impl Fn(&R) -> V) -> Answer {
    found.as_ref().map(|record| HttpResponse::Ok().json(view(record))).ok_or_else(Problem::not_found)
}

/// Looks through a list, page by page, for the one record that has no index of its own.
async fn walk<R, Fut>(
    mut page_at: impl FnMut(Page) -> Fut,
    is_it: impl Fn(&R) -> bool,
) -> Result<Option<R>, Problem>
where
    Fut: Future<Output = Result<Paged<R>, StoreError>>,
{
    let mut cursor = None;
    for _ in 0..WALK_PAGES_MAX {
        let paged = page_at(Page { limit: LIMIT_MAX, cursor }).await?;
        if let Some(found) = paged.items.into_iter().find(&is_it) {
            return Ok(Some(found));
        }
        cursor = paged.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(None)
}

/// The request's body as `T`; what `T` does not name is an error that says so.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|wrong| {
        let message = super::refused::harmless(&without_values(&wrong.to_string()));
        Problem::bad("body-invalid", message)
            .help("the body is one JSON object with the documented fields only")
    })
}

/// serde's words on what is wrong, without the value that was sent: it may be a secret in a wrong place.
fn without_values(text: &str) -> String {
    let behind = |mark: &str| text.rsplit_once(mark).map(|(_, expected)| expected);
    if text.contains(": string \"") {
        // The value ends where what is expected begins; one that says so itself only shows less.
        let expected = text.rsplit_once("\", expected ").map_or("something else", |(_, expected)| expected);
        return format!("a text stands where this is expected: {expected}");
    }
    if text.starts_with("unknown variant `") {
        return format!("a word is not known here, expected {}", behind("`, expected ").unwrap_or("another"));
    }
    text.to_owned()
}

/// Writes the audit line of something that is about to be done: what cannot be written down is not done.
async fn note<G>(
    call: &Call<G>,
    organization: &OrganizationSlug,
    action: &str,
    subject: &str,
    detail: String,
) -> Result<(), Problem> {
    let entry = AuditEntry {
        at: call.front.now(),
        organization: Some(organization.clone()),
        actor: call.caller.actor(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail,
        ..AuditEntry::default()
    };
    call.front.store.apply(vec![Change::Audit(entry)], Vec::new()).await?;
    Ok(())
}

/// Whom a request is about: a token's own organization, or the one that the operator names.
pub(crate) async fn scope<G>(
    call: &Call<G>,
    query: &query::Query,
) -> Result<Option<OrganizationSlug>, Problem> {
    let Some(text) = query.get("organization") else { return Ok(call.caller.organization().cloned()) };
    let named = OrganizationSlug::parse(text).map_err(|_| Problem::not_found())?;
    match &call.caller {
        Caller::Token { organization, .. } if *organization == named => Ok(Some(named)),
        Caller::Token { .. } => Err(Problem::not_found()),
        Caller::Operator => {
            let known = call.front.store.organization(&named).await?;
            known.map(|_| Some(named)).ok_or_else(Problem::not_found)
        }
    }
}

/// The one organization that a request is about; the operator has to name it.
pub(crate) async fn within<G>(call: &Call<G>, query: &query::Query) -> Result<OrganizationSlug, Problem> {
    let missing = || {
        Problem::bad(
            "organization-missing",
            "name the organization: --organization SLUG, or ?organization=SLUG in a request",
        )
    };
    scope(call, query).await?.ok_or_else(missing)
}

pub(crate) fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(Timestamp::rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sent {
        #[serde(rename = "number")]
        _number: Option<u64>,
        #[serde(rename = "kind")]
        _kind: Option<crate::domain::organization::Kind>,
    }

    #[test]
    fn s38_what_is_wrong_with_a_body_is_said_without_what_was_sent() {
        for body in [
            r#"{"number": "canary"}"#,
            r#"{"number": "canary\", expected canary"}"#,
            r#"{"kind": "canary"}"#,
            r#"{"kind": {"canary": 1}}"#,
            r#"["canary"]"#,
            r#""canary""#,
        ] {
            let said = parse::<Sent>(body.as_bytes()).unwrap_err().to_string();
            assert!(!said.contains("canary"), "{body}: {said}");
        }
        assert!(parse::<Sent>(br#"{"numbr": 1}"#).unwrap_err().to_string().contains("numbr"));
        let said = parse::<Sent>(br#"{"number": "x"}"#).unwrap_err().to_string();
        assert!(said.contains("expected: u64") && said.contains("line 1"), "{said}");
        assert!(parse::<Sent>(br#"{"kind": "x"}"#).unwrap_err().to_string().contains("github_cloud"));
    }
}
