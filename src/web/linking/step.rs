//! The steps of a session: what is shown, what is sent to the forge, what comes back from it.

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{cookie, go_on, refused, view, visit};
use crate::domain::SourceKey;
use crate::linking::{AccountKind, Choice, Chosen, Created, Installed, Next, Purpose, Refusal, Step, Visit};
use crate::web::error::Problem;
use crate::web::form::{Fields, Posted, read_pairs, take_form};
use crate::web::page::{render, render_sending};
use crate::web::{Front, peer};

/// A form of this session, when it was sent by a page of ours to this very browser.
async fn form(
    request: &HttpRequest,
    front: &Front,
    payload: web::Payload,
) -> Result<Result<(Visit, Posted), HttpResponse>, Problem> {
    let posted = take_form(request, front, payload).await?;
    let visit = match visit(request, front).await? {
        Ok(visit) => visit,
        Err(page) => return Ok(Err(page)),
    };
    let token = posted.fields.get("token").map(String::as_str).unwrap_or_default();
    if !visit.owns(token) {
        return Ok(Err(refused(front, Some(&visit), Refusal::State)?));
    }
    Ok(Ok((visit, posted)))
}

/// Shows what is due.
pub(crate) async fn step(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    let (_, _seat) = peer::enter(&request, &front)?;
    let visit = match visit(&request, &front).await? {
        Ok(visit) => visit,
        Err(page) => return Ok(page),
    };
    let (title, main) = match visit.leg.step {
        Step::Choose => ("Connect to GitHub", view::form(&visit, &view::Filled::first(&visit), None)),
        Step::Install => ("Install the App", view::install(&visit)),
        Step::Awaiting => {
            let link = match front.linking.link_for_owner(&visit).await {
                Ok(link) => link,
                Err(refusal) => return refused(&front, Some(&visit), refusal),
            };
            ("Waiting for an owner", view::awaiting(&visit, &link))
        }
    };
    let target = (visit.leg.step != Step::Choose).then_some(&visit.leg.url);
    Ok(render_sending(&front, StatusCode::OK, title, &main, target))
}

/// Takes the form; shows what will be asked for, with the button that sends the browser to the forge.
pub(crate) async fn review(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (mut visit, posted) = match form(&request, &front, payload).await? {
        Ok(taken) => taken,
        Err(page) => return Ok(page),
    };
    let filled = view::Filled::of(&posted.fields);
    let choice = Choice {
        account: filled.account,
        login: filled.login.clone(),
        purpose: filled.purpose,
        follows_ci: filled.follows_ci,
    };
    match front.linking.choose(&mut visit, choice).await {
        Ok(Chosen::Wrong(wrong)) => {
            let main = view::form(&visit, &filled, Some(&wrong));
            Ok(render(&front, StatusCode::BAD_REQUEST, "Connect to GitHub", &main))
        }
        Ok(Chosen::Install) => Ok(go_on()),
        Ok(Chosen::Manifest { target, manifest, permissions }) => {
            let main = view::review(&visit, &target, &manifest, &permissions);
            let title = "Review permissions";
            Ok(render_sending(&front, StatusCode::OK, title, &main, Some(&visit.leg.url)))
        }
        Err(refusal) => refused(&front, Some(&visit), refusal),
    }
}

/// Sends the browser to the forge, to install the App.
pub(crate) async fn install(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (visit, _posted) = match form(&request, &front, payload).await? {
        Ok(taken) => taken,
        Err(page) => return Ok(page),
    };
    match front.linking.install(&visit).await {
        Ok(url) => Ok(to(&url)),
        Err(refusal) => refused(&front, Some(&visit), refusal),
    }
}

fn to(url: &url::Url) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, url.as_str())).finish()
}

/// What the forge has sent the browser back with. A name that came twice, or a source that cannot be one, is no answer.
async fn came_back(
    request: &HttpRequest,
    front: &Front,
) -> Result<Result<(Visit, SourceKey, Fields), HttpResponse>, Problem> {
    let visit = match visit(request, front).await? {
        Ok(visit) => visit,
        Err(page) => return Ok(Err(page)),
    };
    let query = request.query_string().as_bytes();
    let fields = read_pairs(query);
    let given = url::form_urlencoded::parse(query).count();
    let source = SourceKey::parse(request.match_info().query("source"));
    match source {
        Ok(source) if given == fields.len() => Ok(Ok((visit, source, fields))),
        _ => Ok(Err(refused(front, Some(&visit), Refusal::State)?)),
    }
}

fn code_of(mut fields: Fields) -> Created {
    let state = fields.remove("state").unwrap_or_default();
    // Beside an error a code means nothing.
    let code = fields.remove("code").filter(|code| !code.is_empty() && !fields.contains_key("error"));
    Created { code, state }
}

/// The forge has made the App.
pub(crate) async fn created(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    let (_, _seat) = peer::enter(&request, &front)?;
    let (mut visit, source, fields) = match came_back(&request, &front).await? {
        Ok(came) => came,
        Err(page) => return Ok(page),
    };
    match front.linking.created(&mut visit, &source, code_of(fields)).await {
        Ok(()) => Ok(go_on()),
        Err(refusal) => refused(&front, Some(&visit), refusal),
    }
}

/// The App was installed, or somebody says so.
pub(crate) async fn installed(
    request: HttpRequest,
    front: web::Data<Front>,
) -> Result<HttpResponse, Problem> {
    let (_, _seat) = peer::enter(&request, &front)?;
    let (mut visit, source, mut fields) = match came_back(&request, &front).await? {
        Ok(came) => came,
        Err(page) => return Ok(page),
    };
    let came = Installed {
        installation: fields.remove("installation_id"),
        action: fields.remove("setup_action").unwrap_or_default(),
        state: fields.remove("state").unwrap_or_default(),
    };
    match front.linking.installed(&mut visit, &source, came).await {
        Ok(Next::SignIn(url)) => Ok(to(&url)),
        Ok(Next::Awaiting) => Ok(go_on()),
        Err(refusal) => refused(&front, Some(&visit), refusal),
    }
}

/// Somebody has signed in at the forge.
pub(crate) async fn authorized(
    request: HttpRequest,
    front: web::Data<Front>,
) -> Result<HttpResponse, Problem> {
    let (_, _seat) = peer::enter(&request, &front)?;
    let (visit, source, fields) = match came_back(&request, &front).await? {
        Ok(came) => came,
        Err(page) => return Ok(page),
    };
    match front.linking.authorized(&visit, &source, code_of(fields)).await {
        Ok(bound) => {
            let mut page = render(&front, StatusCode::OK, "Connected", &view::bound(&visit, &bound));
            if let Ok(cleared) = cookie::clear().parse() {
                page.headers_mut().insert(SET_COOKIE, cleared);
            }
            Ok(page)
        }
        Err(refusal) => refused(&front, Some(&visit), refusal),
    }
}

impl view::Filled {
    /// What a form says; anything unknown is the first choice.
    fn of(fields: &Fields) -> Self {
        let get = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let account = AccountKind::ALL.into_iter().find(|it| it.as_str() == get("account"));
        let purpose = Purpose::ALL.into_iter().find(|it| it.as_str() == get("purpose"));
        let blank = Self::default();
        Self {
            account: account.unwrap_or(blank.account),
            login: get("login").chars().take(200).collect(),
            purpose: purpose.unwrap_or(blank.purpose),
            follows_ci: get("follows_ci") == "yes",
        }
    }
}
