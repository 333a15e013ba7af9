//! The last refused requests of a source, from memory.

use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed};
use crate::domain::SourceKey;
use crate::store::Paged;
use crate::web::auth::{Admin, Call, Caller};
use crate::web::describe::{self, Operation, Parameter};
use crate::web::error::Problem;
use crate::web::refused::Refusal;

/// A request at a hook that was refused. Kept in memory only, the last 100 of each source.
#[derive(Serialize, ToSchema)]
#[schema(as = Refusal)]
struct RefusalView {
    /// When.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    at: String,
    /// The key of the source; null for unknown ones.
    #[schema(examples("acme-github"))]
    source: Option<String>,
    /// The code of the answer.
    #[schema(examples("proof-failed"))]
    code: &'static str,
    /// The address it came from.
    #[schema(examples("192.0.2.7"))]
    peer: String,
    /// What it called itself, made harmless.
    #[schema(examples("push"))]
    event: Option<String>,
    /// How much of a body arrived, in bytes.
    #[schema(examples(512))]
    body_bytes: u64,
}

pub(crate) const LIST: Operation = Operation::new(
    "listRefused",
    "List the last refused requests of a source",
    &[describe::page::<RefusalView>("Newest first, at most 100; there is no other page.")],
)
.parameters(&[Parameter::slug("source", "The key of the source; the operator may leave it out.").required()])
.codes(&["source-missing"]);

/// With `?source=`: of that one. Without: of unknown sources, which belong to no tenant, so for the operator alone.
pub(crate) async fn list(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let source = match query.get("source") {
        Some(text) => Some(find(&call, text).await?),
        None if call.caller == Caller::Operator => None,
        None => {
            return Err(Problem::bad("source-missing", "name the source: ?source=…"));
        }
    };
    let name = source.as_ref().map(ToString::to_string);
    let view = |refusal: &Refusal| RefusalView {
        at: refusal.at.rfc3339(),
        source: name.clone(),
        code: refusal.code,
        peer: refusal.peer.to_string(),
        event: refusal.event.clone(),
        body_bytes: refusal.body_bytes,
    };
    Ok(listed(&query, Paged { items: call.front.refused.of(source.as_ref()), next: None }, view))
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
