//! The ops listener: for balancers, scrapers and the people who run this. Loopback by default, no data of tenants.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::Front;
use super::route::nowhere;

pub(crate) fn mount(config: &mut web::ServiceConfig) {
    config
        .route("/livez", web::get().to(live))
        .route("/readyz", web::get().to(ready))
        .route("/healthz", web::get().to(health))
        .route("/metrics", web::get().to(metrics))
        .default_service(web::to(nowhere));
}

/// Touches nothing: the process answers.
async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

fn status(objections: &[&str]) -> StatusCode {
    if objections.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn ready(front: web::Data<Front>) -> HttpResponse {
    let objections = front.health.objections();
    HttpResponse::build(status(&objections))
        .json(json!({ "ready": objections.is_empty(), "reasons": objections }))
}

async fn health(request: HttpRequest, front: web::Data<Front>) -> HttpResponse {
    let objections = front.health.objections();
    let mut answer = json!({ "ready": objections.is_empty(), "reasons": objections });
    let verbose =
        url::form_urlencoded::parse(request.query_string().as_bytes()).any(|(key, _)| key == "verbose");
    if let (true, Some(fields)) = (verbose, answer.as_object_mut()) {
        fields.insert("parts".to_owned(), json!(front.health.parts()));
        fields.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        fields.insert("started_at".to_owned(), json!(front.started_at.rfc3339()));
    }
    HttpResponse::build(status(&objections)).json(answer)
}

async fn metrics(front: web::Data<Front>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body((front.metrics)())
}
