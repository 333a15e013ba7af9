//! The whole URL space in one screen: each line names method, path, who may call, and who answers.

use std::future::Future;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Route, web};

use super::auth::{Admin, Call, Gate, OperatorOnly, Reader, Who};
use super::error::Problem;
use super::{api, ci, hook, page, setup};

/// One line of the table.
pub(crate) struct Line {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    route: Route,
}

/// A line of the API. Who may call is read from the handler's own type.
fn api<G, F, Fut>(method: Method, path: &'static str, handler: F) -> Line
where
    G: Gate,
    F: Fn(Call<G>) -> Fut + Clone + 'static,
    Fut: Future<Output = Result<HttpResponse, Problem>> + 'static,
{
    let answer = move |call: Call<G>| handler(call);
    Line { route: web::method(method.clone()).to(answer), method, path, who: G::WHO }
}

fn open(method: Method, path: &'static str, who: Who, route: Route) -> Line {
    Line { route: route.method(method.clone()), method, path, who }
}

/// The public listener's routes; the control socket has the same.
#[rustfmt::skip]
pub(crate) fn table() -> Vec<Line> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const DELETE: Method = Method::DELETE;
    vec![
        open(POST, "/hooks/{source}", Who::Forge, web::to(hook::receive)),
        open(GET, "/", Who::Anyone, web::to(page::home)),
        open(GET, "/setup", Who::Anyone, web::to(setup::show)),
        open(POST, "/setup", Who::Anyone, web::to(setup::redeem)),

        open(POST, "/api/v1/ci/check-ins", Who::Job, web::to(ci::check_in::receive)),

        api::<Reader, _, _>(GET, "/api/v1/organizations", api::organization::list),
        api::<OperatorOnly, _, _>(POST, "/api/v1/organizations", api::organization::create),
        api::<Reader, _, _>(GET, "/api/v1/organizations/{id}", api::organization::show),
        api::<Reader, _, _>(GET, "/api/v1/connections", api::connection::list),
        api::<Reader, _, _>(GET, "/api/v1/connections/{id}", api::connection::show),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/reject", ci::verdict::reject),
        api::<Admin, _, _>(POST, "/api/v1/connections/{id}/allow", ci::verdict::allow),
        api::<Reader, _, _>(GET, "/api/v1/projects", api::project::list),
        api::<Reader, _, _>(GET, "/api/v1/projects/{id}", api::project::show),
        api::<Reader, _, _>(GET, "/api/v1/members", api::member::list),
        api::<Reader, _, _>(GET, "/api/v1/members/{id}", api::member::show),
        api::<Reader, _, _>(GET, "/api/v1/audit", api::audit::list),
        api::<Reader, _, _>(GET, "/api/v1/audit/{id}", api::audit::show),
        api::<Reader, _, _>(GET, "/api/v1/deliveries", api::delivery::list),
        api::<Admin, _, _>(POST, "/api/v1/deliveries/replay", api::replay::replay_matching),
        api::<Admin, _, _>(GET, "/api/v1/deliveries/refused", api::refused::list),
        api::<Reader, _, _>(GET, "/api/v1/deliveries/{id}", api::delivery::show),
        api::<Admin, _, _>(POST, "/api/v1/deliveries/{id}/replay", api::replay::replay),
        api::<Admin, _, _>(POST, "/api/v1/deliveries/{id}/discard", api::replay::discard),
        api::<Admin, _, _>(GET, "/api/v1/tokens", api::token::list),
        api::<Admin, _, _>(POST, "/api/v1/tokens", api::token::create),
        api::<Admin, _, _>(DELETE, "/api/v1/tokens/{id}", api::token::revoke),
        api::<OperatorOnly, _, _>(GET, "/api/v1/status", api::status::show),
        api::<OperatorOnly, _, _>(POST, "/api/v1/store/verify", api::status::verify),
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
