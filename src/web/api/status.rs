//! What the operator asks a running daemon.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use super::query::Query;
use crate::web::auth::{Call, OperatorOnly};
use crate::web::describe::{self, Operation};
use crate::web::health::Part;

/// How the daemon is.
#[derive(Serialize, ToSchema)]
struct Status {
    /// The program's version.
    #[schema(examples("0.1.0"))]
    version: &'static str,
    /// Twelve hex digits that change with the config in force.
    #[schema(examples("c0ffee123456"))]
    config_hash: String,
    /// The address that people and forges use.
    #[schema(format = "uri", examples("https://scm.example.com/"))]
    public_url: String,
    /// When the process began.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    started_at: String,
    /// For how many milliseconds it has run.
    #[schema(examples(3_600_000))]
    uptime_ms: i64,
    /// Whether a delivery could be kept right now.
    ready: bool,
    /// Why not, as stable words.
    reasons: Vec<&'static str>,
    /// Every part of it.
    parts: Vec<Part>,
}

pub(crate) const SHOW: Operation =
    Operation::new("showStatus", "Show how the daemon is", &[describe::json::<Status>(200, "Its state.")]);

pub(crate) async fn show(call: Call<OperatorOnly>) -> Answer {
    Query::of(&call.query, &SHOW)?;
    let front = &call.front;
    let objections = front.health.objections();
    Ok(HttpResponse::Ok().json(Status {
        version: env!("CARGO_PKG_VERSION"),
        config_hash: front.config_hash(),
        public_url: front.public_url.to_string(),
        started_at: front.started_at.rfc3339(),
        uptime_ms: front.now().since(front.started_at),
        ready: objections.is_empty(),
        reasons: objections,
        parts: front.health.parts(),
    }))
}
