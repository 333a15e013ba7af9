//! Syncs of members: asked for, or only shown.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, parse, task};
use crate::domain::ConnectionKey;
use crate::domain::change::Change;
use crate::domain::organization::{Member, Organization, Role};
use crate::domain::roster::{Kept, MemberRules, RoleMap, Step, What, Why};
use crate::follow::{MembersSynced, NoPlan, whole};
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Body, Operation, Shape, Slug};
use crate::web::error::Problem;

/// One step of a plan.
#[derive(Serialize, ToSchema)]
#[schema(as = MemberStep)]
struct StepView {
    /// The person's number at the forge.
    #[schema(examples("583231"))]
    external_id: String,
    /// The person's name there today.
    #[schema(examples("octocat"))]
    login: String,
    /// `join`, `change_role`, `rename`, `invite`, `confirm` or `remove`.
    #[schema(examples("join"))]
    what: String,
    /// The role before, where one changes or ends.
    from: Option<Role>,
    /// The role from then on.
    to: Option<Role>,
    /// Why somebody would be put out, or left as they are; `other_forge`: nobody would confirm them any more.
    #[schema(examples("left"))]
    why: Option<String>,
}

/// What a sync would do.
#[derive(Serialize, ToSchema)]
#[schema(as = MemberPlan)]
struct PlanView {
    /// The organization's slug.
    #[schema(examples("acme"))]
    organization: String,
    /// The key of the connection by whose lists it was planned.
    #[schema(examples("acme-github"))]
    connection: String,
    /// People in the forge's lists.
    listed: u64,
    /// Active members now.
    members: u64,
    /// What would be done.
    steps: Vec<StepView>,
    /// Who would be left as they are though the lists say otherwise, with the reason.
    kept: Vec<StepView>,
    /// How many of the removals would wait for an admin's yes.
    held: u64,
}

pub(crate) const SYNC: Operation = Operation::new(
    "syncMembers",
    "Read an organization's members from the forge",
    &[
        describe::json::<PlanView>(200, "What would be done; nothing was."),
        describe::json::<task::TaskView>(202, "It will be done soon; the task says how it went."),
    ],
)
.parameters(&[describe::ORGANIZATION])
.body(Body::Json(Shape::of::<Wanted>()))
.codes(&["organization-missing", "no-authority", "connection-unknown", "forge-unavailable", "body-invalid"]);

/// What is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only show what would be done.
    #[serde(default)]
    dry_run: bool,
    /// With `dry_run`: by these roles instead of those that are in force.
    #[schema(value_type = Option<Object>)]
    roles: Option<RoleMap>,
    /// With `dry_run`: as if this connection managed the members, to see who would come and go.
    #[schema(value_type = Option<Slug>)]
    authority: Option<ConnectionKey>,
}

fn step(step: &Step) -> StepView {
    let (what, from, to, why) = match step.what {
        What::Join { role } => ("join", None, Some(role), None),
        What::ChangeRole { from, to } => ("change_role", from, Some(to), None),
        What::Rename => ("rename", None, None, None),
        What::Invite => ("invite", None, None, None),
        What::Confirm => ("confirm", None, None, None),
        What::Remove { why: Why::Left, from } => ("remove", from, None, Some("left")),
        What::Remove { why: Why::NoRole, from } => ("remove", from, None, Some("no_role")),
    };
    let (what, why) = (what.to_owned(), why.map(str::to_owned));
    StepView { external_id: step.id.to_string(), login: step.login.clone(), what, from, to, why }
}

fn kept((id, login, kept): &(u64, String, Kept)) -> StepView {
    let (why, to) = match kept {
        Kept::LastAdmin => ("last_admin", None),
        Kept::Pinned(role) => ("pinned", *role),
        Kept::NewerStatement => ("newer_statement", None),
        Kept::Contradiction => ("contradiction", None),
        Kept::CountsDiffer => ("counts_differ", None),
    };
    let (what, why) = ("keep".to_owned(), Some(why.to_owned()));
    StepView { external_id: id.to_string(), login: login.clone(), what, from: None, to, why }
}

/// Somebody whom only another forge knows.
fn left_behind(member: &Member) -> StepView {
    StepView {
        external_id: member.external_id.to_string(),
        login: member.login.clone(),
        what: "remove".to_owned(),
        from: member.role,
        to: None,
        why: Some("other_forge".to_owned()),
    }
}

fn view(organization: &Organization, connection: &ConnectionKey, synced: &MembersSynced) -> PlanView {
    PlanView {
        organization: organization.slug.to_string(),
        connection: connection.to_string(),
        listed: synced.plan.listed,
        members: synced.plan.managed,
        steps: synced.plan.steps.iter().map(step).collect(),
        kept: synced.plan.kept.iter().map(kept).collect(),
        held: if synced.waits() {
            synced.hold.as_ref().map_or(0, |hold| hold.people.len() as u64)
        } else {
            0
        },
    }
}

/// What would be done by the organization's lists, or by another connection's.
async fn shown(call: &Call<Admin>, organization: &Organization, wanted: Wanted) -> Result<PlanView, Problem> {
    let (store, members) = (&call.front.store, &call.front.members);
    let rules = wanted.roles.map(|roles| MemberRules { roles, ..organization.members.clone() });
    let Some(key) = wanted.authority else {
        let planned = members.plan(organization, rules).await.map_err(refused)?;
        let key = organization.authority.as_ref().ok_or_else(no_authority)?;
        return Ok(view(organization, key, &planned));
    };
    let connection = store.connection(&key).await?.filter(|it| it.organization == organization.slug);
    let connection = connection.ok_or_else(|| {
        Problem::bad("connection-unknown", "the organization has no connection of this name")
    })?;
    let switch = members.plan_switch(organization, &connection, rules).await.map_err(refused)?;
    let mut shown = view(organization, &key, &switch.planned);
    shown.members = shown.members.saturating_add(switch.left_behind.len() as u64);
    shown.steps.extend(switch.left_behind.iter().map(left_behind));
    Ok(shown)
}

pub(crate) async fn sync(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &SYNC)?;
    let wanted: Wanted = parse(&call.body)?;
    let slug = super::within(&call, &query).await?;
    let organization = call.front.store.organization(&slug).await?.ok_or_else(Problem::not_found)?;
    if wanted.dry_run {
        return Ok(HttpResponse::Ok().json(shown(&call, &organization, wanted).await?));
    }
    if wanted.authority.is_some() {
        let message = "another connection's lists are only shown: authority needs dry_run";
        return Err(Problem::bad("body-invalid", message));
    }
    let key = organization.authority.as_ref().ok_or_else(no_authority)?;
    let connection = call.front.store.connection(key).await?.ok_or_else(no_authority)?;
    let wish = whole(&organization, &connection, &call.caller.actor(), call.front.now());
    let id = wish.id();
    call.front.store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await?;
    let wished = call.front.store.task(&id).await?.ok_or_else(Problem::busy)?;
    Ok(HttpResponse::Accepted().json(task::view(&wished)))
}

fn no_authority() -> Problem {
    Problem::new(StatusCode::CONFLICT, "no-authority", "no connection manages this organization's members")
        .help("name one as its authority")
}

fn refused(error: NoPlan) -> Problem {
    match error {
        NoPlan::NoAuthority => no_authority(),
        NoPlan::NotNow(why) => Problem::new(StatusCode::BAD_GATEWAY, "forge-unavailable", why),
        NoPlan::Store(error) => error.into(),
    }
}
