//! An admin's word on a connection that made itself: rejected, it is blocked until somebody allows it again.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::connect::Verb;
use crate::web::api::Answer;
use crate::web::api::connect::problem;
use crate::web::api::connection::find;
use crate::web::api::query::Query;
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Operation};

/// An admin's word on a connection.
#[derive(Serialize, ToSchema)]
#[schema(as = Verdict)]
struct VerdictView {
    /// Names the connection.
    #[schema(examples("gitlab-acme"))]
    key: String,
    /// Whether it is blocked now.
    rejected: bool,
}

pub(crate) const REJECT: Operation = Operation::new(
    "rejectConnection",
    "Reject a connection",
    &[describe::json::<VerdictView>(200, "It is blocked.")],
)
.help("Its CI jobs are refused from now on, and it does not make itself again.");
pub(crate) const ALLOW: Operation = Operation::new(
    "allowConnection",
    "Allow a rejected connection again",
    &[describe::json::<VerdictView>(200, "It is not blocked.")],
);

pub(crate) async fn reject(call: Call<Admin>) -> Answer {
    judge(call, true).await
}

pub(crate) async fn allow(call: Call<Admin>) -> Answer {
    judge(call, false).await
}

async fn judge(call: Call<Admin>, rejects: bool) -> Answer {
    Query::of(&call.query, if rejects { &REJECT } else { &ALLOW })?;
    let found = find(&call).await?;
    if found.rejected_at.is_some() != rejects {
        let verb = if rejects { Verb::Reject } else { Verb::Allow };
        let done = call.front.connections.act(&found.key, verb, &call.caller.actor()).await;
        done.map_err(problem)?;
    }
    Ok(HttpResponse::Ok().json(VerdictView { key: found.key.to_string(), rejected: rejects }))
}
