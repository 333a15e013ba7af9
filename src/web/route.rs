//! The whole URL space in one screen: each line names method, path, who may call, who answers, and what the API's
//! document says of it.

use std::future::Future;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Route, web};

use super::auth::{Admin, Call, Gate, OperatorOnly, Reader, Who};
use super::describe::Operation;
use super::error::Problem;
use super::{api, ci, docs, hook, linking, page, setup};

/// One line of the table.
pub(crate) struct Line {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    /// What the document says of it.
    pub(crate) about: &'static Operation,
    route: Route,
}

/// A line of the API. Who may call is read from the handler's own type.
fn api<G, F, Fut>(method: Method, path: &'static str, handler: F, about: &'static Operation) -> Line
where
    G: Gate,
    F: Fn(Call<G>) -> Fut + Clone + 'static,
    Fut: Future<Output = Result<HttpResponse, Problem>> + 'static,
{
    let answer = move |call: Call<G>| handler(call);
    Line { route: web::method(method.clone()).to(answer), method, path, who: G::WHO, about }
}

fn open(method: Method, path: &'static str, who: Who, route: Route, about: &'static Operation) -> Line {
    Line { route: route.method(method.clone()), method, path, who, about }
}

/// The public listener's routes; the control socket has the same.
pub(crate) fn table() -> Vec<Line> {
    let mut lines = named();
    lines.extend(followed());
    lines.extend(pages());
    lines
}

#[rustfmt::skip]
fn named() -> Vec<Line> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const DELETE: Method = Method::DELETE;
    const PATCH: Method = Method::PATCH;
    vec![
        open(POST, "/hooks/{source}", Who::Forge, web::to(hook::receive), &hook::ABOUT),
        open(GET, "/", Who::Anyone, web::to(page::home), &page::HOME),
        open(GET, "/setup", Who::Anyone, web::to(setup::show), &setup::SHOW),
        open(POST, "/setup", Who::Anyone, web::to(setup::redeem), &setup::REDEEM),
        api::<Admin, _, _>(POST, "/api/v1/connect-links", linking::make, &linking::MAKE),
        open(GET, "/api/v1/openapi.json", Who::Anyone, web::to(docs::openapi), &docs::DOCUMENT),
        open(GET, "/docs", Who::Anyone, web::to(docs::show), &docs::PAGE_SHOWN),
        open(GET, "/docs/{file}", Who::Anyone, web::to(docs::file), &docs::FILE),

        open(POST, "/api/cli/v2/scans", Who::Job, web::to(ci::semgrep::open), &ci::semgrep::OPEN),
        open(GET, "/api/cli/v2/scans/{id}/config", Who::Job, web::to(ci::semgrep::config), &ci::semgrep::CONFIG),
        open(GET, "/api/agent/deployments/current", Who::Job, web::to(ci::semgrep::current), &ci::semgrep::CURRENT),
        open(POST, "/api/agent/scans/{id}/results", Who::Job, web::to(ci::semgrep::results), &ci::semgrep::RESULTS),
        open(POST, "/api/agent/scans/{id}/complete", Who::Job, web::to(ci::semgrep::complete), &ci::semgrep::COMPLETE),
        open(POST, "/api/agent/scans/{id}/error", Who::Job, web::to(ci::semgrep::error), &ci::semgrep::ERROR),
        open(POST, "/api/agent/tokens/requests", Who::Anyone, web::to(ci::login::fetch), &ci::login::FETCH),
        open(GET, "/login", Who::Anyone, web::to(ci::login::show), &ci::login::SHOW),
        open(POST, "/login", Who::Anyone, web::to(ci::login::approve), &ci::login::APPROVE),
        api::<Reader, _, _>(GET, "/orgs/{id}/findings", ci::finding::shown, &ci::finding::SHOWN),
        api::<Reader, _, _>(GET, "/api/v1/findings", ci::finding::list, &ci::finding::LIST),
        api::<Reader, _, _>(GET, "/api/v1/ci/templates/{id}", ci::template::show, &ci::template::SHOW),

        open(POST, "/api/v1/ci/check-ins", Who::Job, web::to(ci::check_in::receive), &ci::check_in::ABOUT),

        api::<Reader, _, _>(GET, "/api/v1/organizations", api::organization::list, &api::organization::LIST),
        api::<OperatorOnly, _, _>(POST, "/api/v1/organizations", api::organization::create, &api::organization::CREATE),
        api::<Reader, _, _>(GET, "/api/v1/organizations/{id}", api::organization::show, &api::organization::SHOW),
        api::<Admin, _, _>(PATCH, "/api/v1/organizations/{id}", api::organization::change, &api::organization::CHANGE),
        api::<Reader, _, _>(GET, "/api/v1/connections", api::connection::list, &api::connection::LIST),
        api::<Reader, _, _>(GET, "/api/v1/connections/{id}", api::connection::show, &api::connection::SHOW),
        api::<Admin, _, _>(POST, "/api/v1/connections", api::connect::add, &api::connect::ADD),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/promote", api::connect::promote, &api::connect::PROMOTE),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/test", api::connect::test, &api::connect::TEST),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/sync", api::connect::sync, &api::connect::SYNC),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/pause", api::connect::pause, &api::connect::PAUSE),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/resume", api::connect::resume, &api::connect::RESUME),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/extend", api::connect::extend, &api::connect::EXTEND),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/disconnect", api::connect::disconnect, &api::connect::DISCONNECT),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/rotate", api::connect::rotate, &api::connect::ROTATE),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/app-key", api::renewal::replace, &api::renewal::REPLACE),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/hook-secret", api::renewal::hook, &api::renewal::HOOK),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/reject", ci::verdict::reject, &ci::verdict::REJECT),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/allow", ci::verdict::allow, &ci::verdict::ALLOW),
        api::<Reader, _, _>(GET, "/api/v1/projects", api::project::list, &api::project::LIST),
        api::<Reader, _, _>(GET, "/api/v1/projects/{id}", api::project::show, &api::project::SHOW),
        api::<Reader, _, _>(GET, "/api/v1/audit", api::audit::list, &api::audit::LIST),
        api::<Reader, _, _>(GET, "/api/v1/audit/chains", api::trail::chains, &api::trail::CHAINS),
        api::<Reader, _, _>(GET, "/api/v1/audit/lines", api::trail::lines, &api::trail::LINES),
        api::<Reader, _, _>(GET, "/api/v1/audit/{id}", api::audit::show, &api::audit::SHOW),
        api::<Reader, _, _>(GET, "/api/v1/deliveries", api::delivery::list, &api::delivery::LIST),
        api::<Admin, _, _>(POST, "/api/v1/deliveries/replay", api::replay::replay_matching, &api::replay::REPLAY_MATCHING),
        api::<Admin, _, _>(GET, "/api/v1/deliveries/refused", api::refused::list, &api::refused::LIST),
        api::<Reader, _, _>(GET, "/api/v1/deliveries/{id}", api::delivery::show, &api::delivery::SHOW),
        api::<Admin, _, _>(POST, "/api/v1/deliveries/{id}/replay", api::replay::replay, &api::replay::REPLAY),
        api::<Admin, _, _>(POST, "/api/v1/deliveries/{id}/discard", api::replay::discard, &api::replay::DISCARD),
        api::<Admin, _, _>(GET, "/api/v1/tokens", api::token::list, &api::token::LIST),
        api::<Admin, _, _>(POST, "/api/v1/tokens", api::token::create, &api::token::CREATE),
        api::<Admin, _, _>(DELETE, "/api/v1/tokens/{id}", api::token::revoke, &api::token::REVOKE),
        api::<OperatorOnly, _, _>(GET, "/api/v1/status", api::status::show, &api::status::SHOW),
        api::<OperatorOnly, _, _>(POST, "/api/v1/store/verify", api::keep::verify, &api::keep::VERIFY),
        api::<OperatorOnly, _, _>(POST, "/api/v1/store/export", api::keep::export, &api::keep::EXPORT),
        api::<OperatorOnly, _, _>(POST, "/api/v1/keys/rotate", api::keep::rotate, &api::keep::ROTATE),
    ]
}

/// Who belongs, what was missed, and what is done about it.
#[rustfmt::skip]
fn followed() -> Vec<Line> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    vec![
        api::<Reader, _, _>(GET, "/api/v1/members", api::member::list, &api::member::LIST),
        api::<Admin, _, _>(POST, "/api/v1/members/sync", api::sync::sync, &api::sync::SYNC),
        api::<Admin, _, _>(GET, "/api/v1/members/held", api::held::list, &api::held::LIST),
        api::<Admin, _, _>(POST, "/api/v1/members/held/{id}/approve", api::held::approve, &api::held::APPROVE),
        api::<Admin, _, _>(POST, "/api/v1/members/held/{id}/refuse", api::held::refuse, &api::held::REFUSE),
        api::<Reader, _, _>(GET, "/api/v1/members/{id}", api::member::show, &api::member::SHOW),
        api::<Admin, _, _>(POST, "/api/v1/members/{id}/pin", api::pin::pin, &api::pin::PIN),
        api::<Admin, _, _>(POST, "/api/v1/members/{id}/unpin", api::pin::unpin, &api::pin::UNPIN),
        api::<Reader, _, _>(GET, "/api/v1/tasks", api::task::list, &api::task::LIST),
        api::<Reader, _, _>(GET, "/api/v1/tasks/{id}", api::task::show, &api::task::SHOW),
        api::<Admin, _, _>(POST, "/api/v1/tasks/{id}/cancel", api::task::cancel, &api::task::CANCEL),
        api::<Reader, _, _>(GET, "/api/v1/gaps", api::gap::list, &api::gap::LIST),
        api::<Admin, _, _>(POST, "/api/v1/catch-up", api::gap::catch_up, &api::gap::CATCH_UP),
    ]
}

/// The pages of a browser's way to a connection.
#[rustfmt::skip]
fn pages() -> Vec<Line> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    vec![
        open(GET, "/connect-scm", Who::Anyone, web::to(linking::guide), &linking::GUIDE),
        open(GET, "/connect-scm/github", Who::Anyone, web::to(linking::landing), &linking::LANDING),
        open(POST, "/connect-scm/github", Who::Anyone, web::to(linking::begin), &linking::BEGIN),
        open(GET, "/connect-scm/github/step", Who::Anyone, web::to(linking::step), &linking::STEP),
        open(POST, "/connect-scm/github/review", Who::Anyone, web::to(linking::review), &linking::REVIEW),
        open(POST, "/connect-scm/github/install", Who::Anyone, web::to(linking::install), &linking::INSTALL),
        open(GET, "/connect-scm/github/{source}/created", Who::Anyone, web::to(linking::created), &linking::CREATED),
        open(GET, "/connect-scm/github/{source}/installed", Who::Anyone, web::to(linking::installed), &linking::INSTALLED),
        open(GET, "/connect-scm/github/{source}/authorized", Who::Anyone, web::to(linking::authorized), &linking::AUTHORIZED),
    ]
}

/// Builds the resources. Lines of one path become one resource, so that a wrong method is told from a wrong path.
pub(crate) fn mount(config: &mut web::ServiceConfig, lines: Vec<Line>) {
    let mut grouped: Vec<(&'static str, Vec<Line>)> = Vec::new();
    for line in lines {
        tracing::trace!(method = %line.method, path = line.path, who = ?line.who, "a route is open");
        match grouped.iter_mut().find(|(path, _)| *path == line.path) {
            Some((_, lines)) => lines.push(line),
            None => grouped.push((line.path, vec![line])),
        }
    }
    for (path, lines) in grouped {
        let allow = lines.iter().map(|line| line.method.as_str()).collect::<Vec<_>>().join(", ");
        let wrong =
            move || std::future::ready(Err::<HttpResponse, _>(Problem::method_not_allowed(allow.clone())));
        let resource =
            lines.into_iter().fold(web::resource(path), |resource, line| resource.route(line.route));
        config.service(resource.default_service(web::to(wrong)));
    }
}

/// The answer to every address that is not in the table.
pub(crate) async fn nowhere(_request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::not_found())
}
