//! Forms that pages of ours send: taken in one way, and one answer to those who guess.

use std::collections::HashMap;
use std::net::IpAddr;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, ORIGIN};
use actix_web::{HttpRequest, HttpResponse, web};
use tokio::time::Instant;

use super::Front;
use super::body::{self, Share};
use super::error::Problem;
use super::page::render;
use super::peer::{self, Visit};
use super::throttle::Failure;

/// A form with a few short fields is never larger.
const FORM_BYTES_MAX: usize = 8 * 1024;

/// Values by their names.
pub(crate) type Fields = HashMap<String, String>;

/// A form that has arrived. Its sender's request is open, and its bytes are counted, until this is dropped.
#[derive(Debug)]
pub(crate) struct Posted {
    /// Who sent it.
    pub(crate) address: IpAddr,
    /// What it says.
    pub(crate) fields: Fields,
    _counted: (Visit, Share),
}

/// Takes a form that a page of ours has sent.
pub(crate) async fn take_form(
    request: &HttpRequest,
    front: &Front,
    payload: web::Payload,
) -> Result<Posted, Problem> {
    let (address, visit) = peer::enter(request, front)?;
    check_origin(request.headers(), &front.public_url)?;
    check_media(request.headers())?;
    let body = body::take(request, front, &mut payload.into_inner(), FORM_BYTES_MAX, Instant::now()).await?;
    let fields = read_pairs(&body.bytes);
    Ok(Posted { address, fields, _counted: (visit, body.share) })
}

/// Another site's page must not press our button. The code is the proof; this only stops what a browser can tell.
fn check_origin(headers: &HeaderMap, public_url: &url::Url) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let fine = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin",
        // Browsers hide the origin of a form on a page that sends no referrer.
        (None, Some(origin)) => origin == "null" || origin == public_url.origin().ascii_serialization(),
        (None, None) => true,
    };
    if fine {
        return Ok(());
    }
    let message = "this form was sent by a page of another site";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", message)
        .help("open the page itself, under the address that public_url names, and send its form from there"))
}

fn check_media(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(());
    }
    let message = "this page takes its own form only";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", message))
}

/// What a form or a query says; of a name that came twice, the last value.
pub(crate) fn read_pairs(text: &[u8]) -> Fields {
    url::form_urlencoded::parse(text).into_owned().collect()
}

/// Counts a failed proof: its page as long as it may be explained, then the one that says to wait.
pub(crate) fn failed(front: &Front, address: IpAddr, page: impl FnOnce() -> HttpResponse) -> HttpResponse {
    match front.throttle.fail(address, front.now()) {
        Failure::Counted => page(),
        Failure::TooMany => {
            let main = "<p>Too many attempts. Wait a minute and try again.</p>";
            render(front, StatusCode::TOO_MANY_REQUESTS, "Too many attempts", main)
        }
    }
}
