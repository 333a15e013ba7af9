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
use crate::store::Paged;
use crate::web::auth::{Call, OperatorOnly, Reader};
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
