//! Members.

use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, shown, time};
use crate::domain::organization::{Member, MemberState, Role};
use crate::store::MemberFilter;
use crate::web::auth::{Call, Reader};
use crate::web::describe::{self, Operation, Parameter};

/// One person in one organization.
#[derive(Serialize, ToSchema)]
#[schema(as = Member)]
pub(crate) struct MemberView {
    /// Names the member for ever.
    id: String,
    /// The organization's slug.
    #[schema(examples("acme"))]
    organization: String,
    /// The person's name at the forge today.
    #[schema(examples("octocat"))]
    login: String,
    /// Names of before, newest first, at most 16.
    previous_logins: Vec<String>,
    /// The person's number at the forge.
    #[schema(examples("583231"))]
    external_id: String,
    /// The forge that knows the person.
    #[schema(examples("github.com"))]
    host: String,
    role: Option<Role>,
    /// `forge` or `pinned`.
    #[schema(examples("forge"))]
    role_source: String,
    state: MemberState,
    /// The key of the connection that said so.
    #[schema(examples("acme-github"))]
    source: String,
    /// When the forge last confirmed it, asked by us.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    last_confirmed_at: Option<String>,
    /// When the person left.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    removed_at: Option<String>,
}

pub(crate) const LIST: Operation = Operation::list(
    "listMembers",
    "List members",
    &[describe::page::<MemberView>("One page of members.")],
    &[
        describe::ORGANIZATION,
        Parameter::word::<MemberState>("state", "Whether the person belongs."),
        Parameter::word::<Role>("role", "What the person may do."),
        Parameter::text("host", "The forge that knows the person.", "github.com"),
        Parameter::text("login", "The person's name at the forge today.", "octocat"),
    ],
);
pub(crate) const SHOW: Operation =
    Operation::new("showMember", "Show a member", &[describe::json::<MemberView>(200, "The member.")]);

pub(crate) fn view(record: &Member) -> MemberView {
    MemberView {
        id: record.id(),
        organization: record.organization.to_string(),
        login: record.login.clone(),
        previous_logins: record.previous_logins.clone(),
        external_id: record.external_id.to_string(),
        host: record.host.to_string(),
        role: record.role,
        role_source: record.role_source.clone(),
        state: record.state,
        source: record.source.to_string(),
        last_confirmed_at: time(record.last_confirmed_at),
        removed_at: time(record.removed_at),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let filter = MemberFilter {
        organization: super::scope(&call, &query).await?,
        state: query.word("state")?,
        role: query.word("role")?,
        host: query.word("host")?,
        login: query.owned("login"),
    };
    Ok(listed(&query, call.front.store.members(&filter, &page).await?, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &SHOW)?;
    let found = call.front.store.member(&call.id).await?;
    shown(found.filter(|record| call.caller.sees(Some(&record.organization))), view)
}
