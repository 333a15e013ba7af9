//! The way of an admin's browser from a one-time link to a connected GitHub account: one plain page a step.
//!
//! What a step means is decided in [`crate::connect`]; here are cookies, forms and pages. A page says for which
//! organization it is, so that nobody connects their account to a stranger's.

mod about;
mod cookie;
mod link;
mod step;
mod view;

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, web};

pub(crate) use about::{AUTHORIZED, BEGIN, CREATED, GUIDE, INSTALL, INSTALLED, LANDING, REVIEW, STEP};
pub(crate) use link::{MAKE, make};
pub(crate) use step::{authorized, created, install, installed, review, step};

use super::Front;
use super::error::Problem;
use super::form::{failed, read_pairs, take_form};
use super::page::render;
use crate::linking::{Refusal, Visit};

/// The page that shows what is due.
const STEP_PATH: &str = "/connect-scm/github/step";

/// The guide.
pub(crate) async fn guide(front: web::Data<Front>) -> HttpResponse {
    render(&front, StatusCode::OK, "Connect a source code manager", &view::guide())
}

/// Shows what the link is for; looking uses nothing up, so that a program that looks at links first does no harm.
pub(crate) async fn landing(request: HttpRequest, front: web::Data<Front>) -> HttpResponse {
    let fields = read_pairs(request.query_string().as_bytes());
    match fields.get("code").filter(|code| !code.is_empty()) {
        Some(code) => render(&front, StatusCode::OK, "Connect to GitHub", &view::landing(code)),
        None => wrong_link(&front),
    }
}

/// Uses the link up and begins the session.
pub(crate) async fn begin(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let posted = take_form(&request, &front, payload).await?;
    let code = posted.fields.get("code").map(String::as_str).unwrap_or_default();
    let begun = front.linking.begin(code).await;
    match begun {
        Ok(Some(session)) => Ok(HttpResponse::SeeOther()
            .insert_header((LOCATION, STEP_PATH))
            .insert_header((SET_COOKIE, cookie::set(&session)))
            .finish()),
        Ok(None) => Ok(failed(&front, posted.address, || wrong_link(&front))),
        Err(refusal) => refused(&front, None, refusal),
    }
}

fn wrong_link(front: &Front) -> HttpResponse {
    render(front, StatusCode::FORBIDDEN, "This link does not work", view::WRONG_LINK)
}

/// The session of this browser; without one, the page that says so.
async fn visit(request: &HttpRequest, front: &Front) -> Result<Result<Visit, HttpResponse>, Problem> {
    let found = match cookie::get(request) {
        Some(session) => front.linking.visit(&session).await?,
        None => None,
    };
    let missing = || {
        let main = view::no_session(front.public_url.scheme() == "https");
        render(front, StatusCode::FORBIDDEN, "Nothing has begun in this browser", &main)
    };
    Ok(found.ok_or_else(missing))
}

/// To another page of ours.
fn go_on() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, STEP_PATH)).finish()
}

/// The page that says why it does not go on. What only the store or the system can mend is answered like everywhere.
fn refused(front: &Front, visit: Option<&Visit>, refusal: Refusal) -> Result<HttpResponse, Problem> {
    let status = match &refusal {
        Refusal::Store(_) => {
            let Refusal::Store(error) = refusal else { return Err(Problem::busy()) };
            return Err(error.into());
        }
        Refusal::NoRandom => return Err(Problem::busy()),
        Refusal::NoInstallation => StatusCode::BAD_REQUEST,
        Refusal::State
        | Refusal::GivenUp
        | Refusal::MadeElsewhere
        | Refusal::SignIn
        | Refusal::Unproven(_)
        | Refusal::Rejected => StatusCode::FORBIDDEN,
        Refusal::Step
        | Refusal::CodeUsed
        | Refusal::NoApp
        | Refusal::Held
        | Refusal::Connected(_)
        | Refusal::Changed => StatusCode::CONFLICT,
        Refusal::Unkept | Refusal::Forge(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(render(front, status, "This does not go on", &view::refused(visit, &refusal)))
}
