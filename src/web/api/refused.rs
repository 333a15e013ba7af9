//! The last refused requests of a source, from memory.

use actix_web::HttpResponse;
use serde::Serialize;

use super::Answer;
use super::query::Query;
use crate::domain::SourceKey;
use crate::web::auth::{Admin, Call, Caller};
use crate::web::error::Problem;
use crate::web::refused::Refusal;

#[derive(Serialize)]
struct RefusalView {
    at: String,
    source: Option<String>,
    code: &'static str,
    peer: String,
    event: Option<String>,
    body_bytes: u64,
}

#[derive(Serialize)]
struct Listed {
    items: Vec<RefusalView>,
    next_cursor: Option<String>,
}

/// With `?source=`: of that one. Without: of unknown sources, which belong to no tenant, so for the operator alone.
pub(crate) async fn list(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &["source"])?;
    let source = match query.get("source") {
        Some(text) => Some(find(&call, text).await?),
        None if call.caller == Caller::Operator => None,
        None => {
            return Err(Problem::bad("source-missing", "name the source: ?source=…"));
        }
    };
    let name = source.as_ref().map(ToString::to_string);
    let view = |refusal: Refusal| RefusalView {
        at: refusal.at.rfc3339(),
        source: name.clone(),
        code: refusal.code,
        peer: refusal.peer.to_string(),
        event: refusal.event,
        body_bytes: refusal.body_bytes,
    };
    let items = call.front.refused.of(source.as_ref()).into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(Listed { items, next_cursor: None }))
}

/// A source that serves several organizations is nobody's alone, so only the operator sees who knocked there.
async fn find(call: &Call<Admin>, text: &str) -> Result<SourceKey, Problem> {
    let key = SourceKey::parse(text).map_err(|_| Problem::not_found())?;
    let source = call.front.store.source(&key).await?.ok_or_else(Problem::not_found)?;
    let own = call.caller.organization();
    let visible = own.is_none_or(|own| source.organizations.iter().all(|other| other == own));
    if visible && (own.is_none() || !source.organizations.is_empty()) {
        Ok(key)
    } else {
        Err(Problem::not_found())
    }
}
