//! Removals of members that wait for a person's yes.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, time, walk};
use crate::domain::OrganizationSlug;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::Role;
use crate::domain::roster::{HeldPerson, Hold, HoldCause, HoldState};
use crate::store::{Page, Paged, StoreError};
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Operation};
use crate::web::error::Problem;

/// Somebody who waits to be put out.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldPerson)]
struct PersonView {
    /// The person's number at the forge.
    #[schema(examples("583231"))]
    external_id: String,
    /// The person's name at the forge.
    #[schema(examples("octocat"))]
    login: String,
    /// The role that ends.
    role: Option<Role>,
}

/// Removals that wait: more at once than the brake lets through.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldRemovals)]
struct HoldView {
    /// Names exactly these people: a yes to one list is no yes to another.
    #[schema(examples("0123456789abcdef01234567"))]
    id: String,
    /// The organization's slug.
    #[schema(examples("acme"))]
    organization: String,
    /// The key of the connection whose list says so.
    #[schema(examples("acme-github"))]
    connection: String,
    cause: HoldCause,
    state: HoldState,
    /// Since when they wait.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    since: String,
    /// From then on it counts no more, and all is planned anew.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    expires_at: Option<String>,
    /// Members before.
    members: u64,
    /// Who waits.
    people: Vec<PersonView>,
    /// Who stays, though the forge no longer has them, as nobody else could decide anything. They go by themselves when
    /// there is another admin.
    last_admin: Option<PersonView>,
    /// Who has decided.
    #[schema(examples("api_token:0123456789abcdef01234567"))]
    decided_by: Option<String>,
}

pub(crate) const LIST: Operation = Operation::list(
    "listHeldRemovals",
    "List removals of members that wait for an admin",
    &[describe::page::<HoldView>("At most one for each organization.")],
    &[describe::ORGANIZATION],
)
.help(
    "A list that would put out more than ten people, or more than a quarter of at least five, puts out nobody by \
     itself. It waits a day for a yes; then all is planned anew. The last admin is never put out; no yes changes that.",
);
pub(crate) const APPROVE: Operation = Operation::new(
    "approveHeldRemovals",
    "Let held removals go on",
    &[describe::json::<HoldView>(
        200,
        "They go with the next reading of the list, each asked about once more.",
    )],
)
.codes(&["held-changed", "last-admin"]);
pub(crate) const REFUSE: Operation = Operation::new(
    "refuseHeldRemovals",
    "Keep the people of held removals until the hold expires",
    &[describe::json::<HoldView>(200, "They stay.")],
)
.codes(&["held-changed", "last-admin"]);

fn person(held: &HeldPerson) -> PersonView {
    PersonView { external_id: held.id.to_string(), login: held.login.clone(), role: held.role }
}

fn view(hold: &Hold) -> HoldView {
    HoldView {
        id: hold.id(),
        organization: hold.organization.to_string(),
        connection: hold.connection.to_string(),
        cause: hold.cause,
        state: hold.state,
        since: hold.since.rfc3339(),
        expires_at: time(Some(hold.expires_at)),
        members: hold.managed,
        people: hold.people.iter().map(person).collect(),
        last_admin: hold.last_admin.as_ref().map(person),
        decided_by: hold.decided_by.clone(),
    }
}

/// The holds that still count, of one organization or of one page of all.
async fn live(
    call: &Call<Admin>,
    within: Option<&OrganizationSlug>,
    page: Page,
) -> Result<Paged<Versioned<Hold>>, StoreError> {
    let store = &call.front.store;
    let (slugs, next) = match within {
        Some(slug) => (vec![slug.clone()], None),
        None => {
            let paged = store.organizations(&page).await?;
            (paged.items.into_iter().map(|it| it.slug).collect(), paged.next)
        }
    };
    let mut items = Vec::new();
    for slug in slugs {
        let hold = store.hold(&slug).await?;
        items.extend(hold.filter(|hold| hold.value.is_live(call.front.now())));
    }
    Ok(Paged { items, next })
}

pub(crate) async fn list(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let organization = super::scope(&call, &query).await?;
    Ok(listed(&query, live(&call, organization.as_ref(), page).await?, |found| view(&found.value)))
}

/// The hold with this id, if the caller may see it.
async fn find(call: &Call<Admin>) -> Result<Versioned<Hold>, Problem> {
    let pages = |page| live(call, call.caller.organization(), page);
    walk(pages, |found| found.value.id() == call.id).await?.ok_or_else(Problem::not_found)
}

async fn decide(call: Call<Admin>, state: HoldState, action: &str) -> Answer {
    let Versioned { version, value: hold } = find(&call).await?;
    if hold.people.is_empty() {
        let message =
            "nobody waits but the last admin, who stays as long as nobody else could decide anything";
        return Err(Problem::new(StatusCode::CONFLICT, "last-admin", message)
            .help("make another one: scm-connect members pin ID --role admin; then they go by themselves"));
    }
    let actor = call.caller.actor();
    let entry = AuditEntry {
        at: call.front.now(),
        organization: Some(hold.organization.clone()),
        actor: actor.clone(),
        action: action.to_owned(),
        subject: hold.id(),
        detail: format!("{} people", hold.people.len()),
        before: Some("waiting".into()),
        after: Some(if state == HoldState::Approved { "approved" } else { "refused" }.into()),
        why: Some("an admin has decided".into()),
        ..AuditEntry::default()
    };
    let expects = vec![(RecordKey::Hold(hold.organization.clone()), version)];
    let decided = Hold { state, decided_by: Some(actor), ..hold };
    let answer = view(&decided);
    let changes = vec![Change::PutHold(Box::new(decided)), Change::Audit(entry)];
    if call.front.store.apply(changes, expects).await? {
        return Ok(HttpResponse::Ok().json(answer));
    }
    let message = "what waits has changed meanwhile; look at it again";
    Err(Problem::new(StatusCode::CONFLICT, "held-changed", message))
}

pub(crate) async fn approve(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &APPROVE)?;
    decide(call, HoldState::Approved, "members.approved").await
}

pub(crate) async fn refuse(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &REFUSE)?;
    decide(call, HoldState::Refused, "members.refused").await
}
