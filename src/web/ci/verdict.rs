//! An admin's word on a connection that made itself: rejected, it is blocked until somebody allows it again.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ConnectionKey;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::RecordKey;
use crate::domain::organization::ConnectionState;
use crate::web::api::Answer;
use crate::web::api::query::Query;
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Operation};
use crate::web::error::Problem;

/// A connection that others write at the same moment is read again so often.
const TRIES_MAX: usize = 16;

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
    let key = ConnectionKey::parse(&call.id).map_err(|_| Problem::not_found())?;
    for _ in 0..TRIES_MAX {
        let found = call.front.store.versioned_connection(&key).await?;
        let seen = found.filter(|found| call.caller.sees(Some(&found.value.organization)));
        let found = seen.ok_or_else(Problem::not_found)?;
        let answer = VerdictView { key: key.to_string(), rejected: rejects };
        if found.value.rejected_at.is_some() == rejects {
            return Ok(HttpResponse::Ok().json(answer));
        }
        let mut new = found.value;
        if rejects {
            new.rejected_at = Some(call.front.now());
            new.add_reason(ConnectionState::Uninstalled);
        } else {
            new.rejected_at = None;
            new.clear_reasons(&[ConnectionState::Uninstalled]);
        }
        let audit = AuditEntry {
            at: call.front.now(),
            organization: Some(new.organization.clone()),
            actor: call.caller.actor(),
            action: if rejects { "connection.rejected" } else { "connection.allowed" }.to_owned(),
            subject: key.to_string(),
            detail: format!("{} {}", new.host, new.account.login),
            ..AuditEntry::default()
        };
        let changes = vec![Change::PutConnection(Box::new(new)), Change::Audit(audit)];
        let expects = vec![(RecordKey::Connection(key.clone()), found.version)];
        if call.front.store.apply(changes, expects).await? {
            return Ok(HttpResponse::Ok().json(answer));
        }
    }
    Err(Problem::busy())
}
