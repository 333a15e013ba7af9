//! What the operator asks a running daemon.

use actix_web::HttpResponse;
use serde_json::json;

use super::Answer;
use super::query::Query;
use crate::web::auth::{Call, OperatorOnly};

pub(crate) async fn show(call: Call<OperatorOnly>) -> Answer {
    Query::of(&call.query, &[])?;
    let front = &call.front;
    let objections = front.health.objections();
    Ok(HttpResponse::Ok().json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "config_hash": front.config_hash(),
        "public_url": front.public_url.as_str(),
        "started_at": front.started_at.rfc3339(),
        "uptime_ms": front.now().since(front.started_at),
        "ready": objections.is_empty(),
        "reasons": objections,
        "parts": front.health.parts(),
    })))
}
