//! Roles that a person sets by hand: they hold against the forge's until they are let go of, or the member leaves.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::member::{MemberView, view};
use super::query::Query;
use super::{Answer, parse, walk};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Member, MemberState, PINNED, Role};
use crate::follow::single;
use crate::store::MemberFilter;
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Body, Operation, Shape};
use crate::web::error::Problem;

pub(crate) const PIN: Operation = Operation::new(
    "pinMember",
    "Give a member a role that holds against the forge's",
    &[describe::json::<MemberView>(200, "The member.")],
)
.body(Body::Json(Shape::of::<Wanted>()))
.codes(&["body-invalid", "declared-in-config", "member-inactive", "member-changed", "last-admin"]);
pub(crate) const UNPIN: Operation = Operation::new(
    "unpinMember",
    "Let a member's role follow the forge again",
    &[describe::json::<MemberView>(200, "The member; the role is read from the forge soon.")],
)
.codes(&["member-changed"]);

/// What is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Pin)]
struct Wanted {
    role: Role,
}

/// The member, if the caller may see it.
async fn find(call: &Call<Admin>) -> Result<Versioned<Member>, Problem> {
    let found = call.front.store.member(&call.id).await?;
    let seen = found.filter(|member| call.caller.sees(Some(&member.organization)));
    let member = seen.ok_or_else(Problem::not_found)?;
    versioned(call, &member).await?.ok_or_else(Problem::not_found)
}

async fn versioned(call: &Call<Admin>, member: &Member) -> Result<Option<Versioned<Member>>, Problem> {
    let before = member.external_id.checked_sub(1);
    let read = call.front.store.members_numbered(&member.organization, &member.host, before, 1).await?;
    Ok(read.into_iter().find(|found| found.value.external_id == member.external_id))
}

/// Somebody else of the organization who may decide everything.
async fn other_admin(call: &Call<Admin>, member: &Member) -> Result<Option<Versioned<Member>>, Problem> {
    let filter = MemberFilter {
        organization: Some(member.organization.clone()),
        state: Some(MemberState::Active),
        ..MemberFilter::default()
    };
    let (store, filter) = (&call.front.store, &filter);
    let pages = async |page| store.members(filter, &page).await;
    let other = walk(pages, |other: &Member| other.is_admin() && other.id() != member.id()).await?;
    let Some(other) = other else { return Ok(None) };
    Ok(versioned(call, &other).await?.filter(|other| other.value.is_admin()))
}

fn key(member: &Member) -> RecordKey {
    RecordKey::Member(member.organization.clone(), member.host.clone(), member.external_id)
}

async fn write(
    call: &Call<Admin>,
    found: Versioned<Member>,
    new: Member,
    action: &str,
    more: Vec<Change>,
    stands_on: Option<Versioned<Member>>,
) -> Answer {
    let standing = |member: &Member| {
        let role = member.role.map_or("none", Role::as_str);
        format!("{role} ({})", member.role_source)
    };
    let entry = AuditEntry {
        at: call.front.now(),
        organization: Some(new.organization.clone()),
        actor: call.caller.actor(),
        action: action.to_owned(),
        subject: format!("{} ({})", new.login, new.external_id),
        before: Some(standing(&found.value)),
        after: Some(standing(&new)),
        why: Some("an admin has decided".into()),
        ..AuditEntry::default()
    };
    let all = [Some(found), stands_on].into_iter().flatten();
    let expects = all.map(|found| (key(&found.value), found.version)).collect();
    let answer = view(&new);
    let mut changes = vec![Change::PutMember(Box::new(new)), Change::Audit(entry)];
    changes.extend(more);
    if call.front.store.apply(changes, expects).await? {
        return Ok(HttpResponse::Ok().json(answer));
    }
    let message = "the member has changed meanwhile; look at it again";
    Err(Problem::new(StatusCode::CONFLICT, "member-changed", message))
}

pub(crate) async fn pin(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &PIN)?;
    let found = find(&call).await?;
    let Wanted { role } = parse(&call.body)?;
    let member = &found.value;
    if member.is_break_glass() {
        let message =
            "the config file names this member as the break-glass admin, and it alone may change that";
        return Err(Problem::new(StatusCode::CONFLICT, "declared-in-config", message));
    }
    if member.state != MemberState::Active {
        let message = "only an active member has a role; this one has not joined, or has left";
        return Err(Problem::new(StatusCode::CONFLICT, "member-inactive", message));
    }
    // Of two admins who demote each other at once, one is too late: each stands on the other as they are now.
    let mut other = None;
    if member.is_admin() && role != Role::Admin {
        let message = "this is the last admin of the organization";
        let last =
            || Problem::new(StatusCode::CONFLICT, "last-admin", message).help("make another one first");
        other = Some(other_admin(&call, member).await?.ok_or_else(last)?);
    }
    let new = Member { role: Some(role), role_source: PINNED.into(), ..member.clone() };
    write(&call, found, new, "member.pinned", Vec::new(), other).await
}

pub(crate) async fn unpin(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &UNPIN)?;
    let found = find(&call).await?;
    if !found.value.is_pinned() {
        return Ok(HttpResponse::Ok().json(view(&found.value)));
    }
    let new = Member { role_source: "forge".into(), ..found.value.clone() };
    let wish = single(&new, &call.caller.actor(), call.front.now());
    write(&call, found, new, "member.unpinned", vec![Change::Wish(Box::new(wish))], None).await
}
