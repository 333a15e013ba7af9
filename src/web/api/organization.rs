//! Organizations: a token sees its own, the operator all and makes new ones.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, parse, shown};
use crate::domain::OrganizationSlug;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::RecordKey;
use crate::domain::organization::{Forge, Organization};
use crate::domain::roster::MemberRules;
use crate::domain::task::{TaskKind, Wish};
use crate::store::Paged;
use crate::web::auth::{Admin, Call, OperatorOnly, Reader};
use crate::web::describe::{self, Body, Name, Operation, Shape, Slug};
use crate::web::error::Problem;
use crate::web::name;

/// A tenant of this product.
#[derive(Serialize, ToSchema)]
#[schema(as = Organization)]
struct OrganizationView {
    /// The same as `slug`.
    #[schema(examples("acme"))]
    id: String,
    /// Names it for ever.
    #[schema(examples("acme"))]
    slug: String,
    /// Its name for people.
    #[schema(examples("Acme"))]
    name: String,
    home: Option<Forge>,
    /// The key of the connection that manages its members.
    #[schema(examples("acme-github"))]
    authority: Option<String>,
    /// Which place at the forge gives which role.
    #[schema(value_type = Object)]
    members: MemberRules,
    /// Who made it: `config`, `cli` or `setup`.
    #[schema(examples("config"))]
    created_by: String,
    /// When.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    created_at: String,
}

pub(crate) const LIST: Operation = Operation::list(
    "listOrganizations",
    "List organizations",
    &[describe::page::<OrganizationView>("One page of organizations; a token sees its own only.")],
    &[describe::ORGANIZATION],
);
pub(crate) const SHOW: Operation = Operation::new(
    "showOrganization",
    "Show an organization",
    &[describe::json::<OrganizationView>(200, "The organization.")],
);
pub(crate) const CHANGE: Operation = Operation::new(
    "changeOrganization",
    "Change an organization's name, its role map, or where its founder signs in",
    &[describe::json::<OrganizationView>(200, "It is so now; other roles follow with the next reading of the members.")],
)
.help("What is not given stays. Where the founder signs in is said once. What other roles would do is shown by `members/sync`.")
.body(Body::Json(Shape::of::<ChangedOrganization>()))
.codes(&["declared-in-config", "home-set", "name-invalid"]);
pub(crate) const CREATE: Operation = Operation::new(
    "createOrganization",
    "Make an organization",
    &[describe::json::<OrganizationView>(201, "It was made.")],
)
.body(Body::Json(Shape::of::<NewOrganization>()))
.codes(&["name-invalid", "organization-exists"]);

fn view(record: &Organization) -> OrganizationView {
    OrganizationView {
        id: record.slug.to_string(),
        slug: record.slug.to_string(),
        name: record.name.clone(),
        home: record.home,
        authority: record.authority.as_ref().map(ToString::to_string),
        members: record.members.clone(),
        created_by: record.created_by.clone(),
        created_at: record.created_at.rfc3339(),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let paged = match super::scope(&call, &query).await? {
        None => call.front.store.organizations(&page).await?,
        Some(slug) => {
            let own = call.front.store.organization(&slug).await?;
            Paged { items: own.into_iter().collect(), next: None }
        }
    };
    Ok(listed(&query, paged, view))
}

/// The organization that a request's path names, unless it is none for its caller.
pub(crate) fn named<G>(call: &Call<G>) -> Result<OrganizationSlug, Problem> {
    let slug = OrganizationSlug::parse(&call.id).map_err(|_| Problem::not_found())?;
    if call.caller.sees(Some(&slug)) { Ok(slug) } else { Err(Problem::not_found()) }
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &SHOW)?;
    let slug = named(&call)?;
    shown(call.front.store.organization(&slug).await?, view)
}

/// An organization to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    /// Names it for ever: 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit.
    #[schema(value_type = Slug)]
    slug: OrganizationSlug,
    #[schema(value_type = Name)]
    name: String,
    home: Option<Forge>,
}

pub(crate) async fn create(call: Call<OperatorOnly>) -> Answer {
    Query::of(&call.query, &CREATE)?;
    let wish: NewOrganization = parse(&call.body)?;
    if !name::is_fine(&wish.name) {
        return Err(Problem::bad("name-invalid", name::WRONG));
    }
    let now = call.front.now();
    let organization = Organization {
        slug: wish.slug.clone(),
        name: wish.name.trim().to_owned(),
        home: wish.home,
        authority: None,
        created_by: "cli".to_owned(),
        created_at: now,
        members: Default::default(),
        break_glass: None,
    };
    let answer = view(&organization);
    let audit = AuditEntry {
        at: now,
        organization: Some(wish.slug.clone()),
        actor: call.caller.actor(),
        action: "organization.created".to_owned(),
        subject: wish.slug.to_string(),
        detail: String::new(),
        ..AuditEntry::default()
    };
    let changes = vec![Change::PutOrganization(organization), Change::Audit(audit)];
    let fresh = vec![(RecordKey::Organization(wish.slug), 0)];
    if call.front.store.apply(changes, fresh).await? {
        return Ok(HttpResponse::Created().json(answer));
    }
    Err(Problem::new(StatusCode::CONFLICT, "organization-exists", "there is an organization with this slug"))
}

/// What is to be another in an organization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangedOrganization {
    #[schema(value_type = Option<Name>)]
    name: Option<String>,
    /// Where its founder signs in, as long as nobody has said it.
    home: Option<Forge>,
    /// Which place at the forge gives which role: all of it.
    #[schema(value_type = Option<Object>)]
    members: Option<MemberRules>,
}

/// Others that write the same organization are waited for so often.
const TRIES_MAX: usize = 4;

pub(crate) async fn change(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &CHANGE)?;
    let slug = named(&call)?;
    let wish: ChangedOrganization = parse(&call.body)?;
    if wish.name.as_ref().is_some_and(|name| !name::is_fine(name)) {
        return Err(Problem::bad("name-invalid", name::WRONG));
    }
    for _ in 0..TRIES_MAX {
        let found = call.front.store.versioned_organization(&slug).await?.ok_or_else(Problem::not_found)?;
        let new = changed(&found.value, &wish)?;
        let answer = view(&new);
        if new == found.value {
            return Ok(HttpResponse::Ok().json(answer));
        }
        let changes = written(&call, &found.value, new);
        let expects = vec![(RecordKey::Organization(slug.clone()), found.version)];
        if call.front.store.apply(changes, expects).await? {
            return Ok(HttpResponse::Ok().json(answer));
        }
    }
    Err(Problem::busy())
}

fn changed(old: &Organization, wish: &ChangedOrganization) -> Result<Organization, Problem> {
    if old.created_by == "config" {
        let message = "the organization is declared in the config file, which alone may change it";
        return Err(Problem::new(StatusCode::CONFLICT, "declared-in-config", message));
    }
    if wish.home.is_some() && old.home.is_some() && wish.home != old.home {
        let message = "the founder signs in at the other forge, which never changes";
        return Err(Problem::new(StatusCode::CONFLICT, "home-set", message));
    }
    Ok(Organization {
        name: wish.name.as_ref().map_or_else(|| old.name.clone(), |name| name.trim().to_owned()),
        home: wish.home.or(old.home),
        members: wish.members.clone().unwrap_or_else(|| old.members.clone()),
        ..old.clone()
    })
}

/// The record, a line for the log, and a reading of the members when other roles follow from it.
fn written(call: &Call<Admin>, old: &Organization, new: Organization) -> Vec<Change> {
    let (now, actor) = (call.front.now(), call.caller.actor());
    let roles = |of: &Organization| serde_json::to_string(&of.members).ok();
    let reads = (old.members != new.members).then_some(new.authority.as_ref()).flatten();
    let reads = reads.map(|key| Wish::now(TaskKind::SyncMembers, &new.slug, key, &actor, now));
    let mut changes: Vec<Change> = reads.into_iter().map(|wish| Change::Wish(Box::new(wish))).collect();
    changes.push(Change::Audit(AuditEntry {
        at: now,
        organization: Some(new.slug.clone()),
        actor,
        action: "organization.changed".to_owned(),
        subject: new.slug.to_string(),
        before: roles(old).filter(|_| old.members != new.members),
        after: roles(&new).filter(|_| old.members != new.members),
        ..AuditEntry::default()
    }));
    changes.push(Change::PutOrganization(new));
    changes
}
