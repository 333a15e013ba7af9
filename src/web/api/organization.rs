//! Organizations: a token sees its own, the operator all and makes new ones.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::query::Query;
use super::{Answer, listed, parse, shown};
use crate::domain::OrganizationSlug;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::RecordKey;
use crate::domain::organization::{Forge, Organization};
use crate::store::Paged;
use crate::web::auth::{Call, OperatorOnly, Reader};
use crate::web::error::Problem;

#[derive(Serialize)]
struct OrganizationView {
    id: String,
    slug: String,
    name: String,
    home: Option<&'static str>,
    authority: Option<String>,
    created_by: String,
    created_at: String,
}

fn view(record: &Organization) -> OrganizationView {
    OrganizationView {
        id: record.slug.to_string(),
        slug: record.slug.to_string(),
        name: record.name.clone(),
        home: record.home.map(Forge::as_str),
        authority: record.authority.as_ref().map(ToString::to_string),
        created_by: record.created_by.clone(),
        created_at: record.created_at.rfc3339(),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of_list(&call.query, &["organization"])?;
    let page = query.page()?;
    let paged = match super::scope(&call, &query).await? {
        None => call.front.store.organizations(&page).await?,
        Some(slug) => {
            let own = call.front.store.organization(&slug).await?;
            Paged { items: own.into_iter().collect(), next: None }
        }
    };
    Ok(listed(paged, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &[])?;
    let slug = OrganizationSlug::parse(&call.id).map_err(|_| Problem::not_found())?;
    if !call.caller.sees(Some(&slug)) {
        return Err(Problem::not_found());
    }
    shown(call.front.store.organization(&slug).await?, view)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    slug: OrganizationSlug,
    name: String,
    home: Option<Forge>,
}

pub(crate) async fn create(call: Call<OperatorOnly>) -> Answer {
    Query::of(&call.query, &[])?;
    let wish: NewOrganization = parse(&call.body)?;
    if wish.name.trim().is_empty()
        || wish.name.chars().count() > 100
        || wish.name.chars().any(char::is_control)
    {
        return Err(Problem::bad("name-invalid", "the name must have 1 to 100 characters"));
    }
    let now = call.front.now();
    let organization = Organization {
        slug: wish.slug.clone(),
        name: wish.name.trim().to_owned(),
        home: wish.home,
        authority: None,
        created_by: "cli".to_owned(),
        created_at: now,
    };
    let answer = view(&organization);
    let audit = AuditEntry {
        at: now,
        organization: Some(wish.slug.clone()),
        actor: call.caller.actor(),
        action: "organization.created".to_owned(),
        subject: wish.slug.to_string(),
        detail: String::new(),
    };
    let changes = vec![Change::PutOrganization(organization), Change::Audit(audit)];
    let fresh = vec![(RecordKey::Organization(wish.slug), 0)];
    if call.front.store.apply(changes, fresh).await? {
        return Ok(HttpResponse::Created().json(answer));
    }
    Err(Problem::new(StatusCode::CONFLICT, "organization-exists", "there is an organization with this slug"))
}
