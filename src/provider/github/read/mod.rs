//! What a proven delivery of GitHub's means.

mod ci;
mod installation;
mod membership;
mod repository;

use std::borrow::Cow;

use crate::domain::Timestamp;
use crate::domain::delivery::{Delivery, Encoding};
use crate::domain::event::{About, AccountRef, Event, Fact, Person};
use crate::provider::Unreadable;
use crate::provider::github::wire::{Account, Body};

/// Reads a delivery. Pure.
///
/// # Errors
/// When the body is no JSON object, or lacks the number that its event is about.
pub fn read(delivery: &Delivery) -> Result<Event, Unreadable> {
    let envelope = delivery.envelope();
    let json = document(envelope.encoding, delivery.body())?;
    understand(&envelope.event, &json)
}

/// The JSON text inside of the body.
fn document(encoding: Encoding, body: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    match encoding {
        Encoding::Json => std::str::from_utf8(body)
            .map(Cow::Borrowed)
            .map_err(|wrong| unreadable(&format!("no UTF-8 after byte {}", wrong.valid_up_to()))),
        Encoding::Form => url::form_urlencoded::parse(body)
            .find(|(name, _)| name == "payload")
            .map(|(_, json)| json)
            .ok_or_else(|| unreadable("a form without the field payload")),
    }
}

fn understand(event: &str, json: &str) -> Result<Event, Unreadable> {
    let json = json.trim_ascii();
    if !json.starts_with('{') {
        return Err(unreadable("no JSON object"));
    }
    let body: Body = serde_json::from_str(json).map_err(|wrong| {
        unreadable(&format!("no valid JSON at line {}, column {}", wrong.line(), wrong.column()))
    })?;
    let Statement { fact, at } = match statement(event, &body) {
        Err(_) if is_made_up(json) => Fact::Unwanted.into(),
        told => told?,
    };
    Ok(Event { name: event.to_owned(), action: body.action.clone(), about: about(&body), at, fact })
}

/// No number at GitHub is negative, so a body with such an id was made by a tool from the schema. It is no dead letter:
/// there is nothing in it that a better reader could find.
fn is_made_up(json: &str) -> bool {
    json.match_indices("\"id\"").any(|(at, name)| {
        let rest = json.get(at.saturating_add(name.len())..).unwrap_or_default().trim_ascii_start();
        rest.strip_prefix(':').is_some_and(|value| value.trim_ascii_start().starts_with('-'))
    })
}

/// A fact with the forge's own time of it.
struct Statement {
    fact: Fact,
    at: Option<Timestamp>,
}

impl From<Fact> for Statement {
    fn from(fact: Fact) -> Self {
        Self { fact, at: None }
    }
}

fn statement(event: &str, body: &Body) -> Result<Statement, Unreadable> {
    match event {
        "ping" => Ok(Fact::Ping.into()),
        "meta" => hook(body),
        "installation" => installation::lifecycle(body),
        "installation_repositories" => installation::selection(body),
        "installation_target" => installation::target(body),
        "github_app_authorization" => installation::authorization(body),
        "organization" => membership::organization(body),
        "membership" => membership::membership(body),
        "team" | "team_add" => membership::team(body),
        "member" => membership::collaborator(body),
        "repository" => repository::repository(body),
        "public" => repository::public(body),
        "push" => repository::push(body),
        "pull_request" => repository::pull_request(body),
        "workflow_run" => ci::workflow_run(body),
        "workflow_job" => ci::workflow_job(body),
        "check_suite" => ci::check_suite(body),
        _ => Ok(Fact::Unwanted.into()),
    }
}

fn hook(body: &Body) -> Result<Statement, Unreadable> {
    match action(body) {
        "deleted" => Ok(Fact::HookDeleted { hook: needed(*body.hook_id, "the hook's number")? }.into()),
        _ => Ok(Fact::Unwanted.into()),
    }
}

/// Whom the body is about. The owner is named in several places; the first that is told wins.
fn about(body: &Body) -> About {
    let installation = body.installation.as_ref();
    let repository = body.repository.as_ref();
    let account = [
        body.organization.as_ref(),
        repository.and_then(|repository| repository.owner.as_ref()),
        installation.and_then(|installation| installation.account.as_ref()),
        body.account.as_ref(),
    ];
    About {
        installation: installation.and_then(|installation| *installation.id),
        account: account.into_iter().flatten().find_map(account_ref),
        project: repository.and_then(|repository| *repository.id),
        group: None,
    }
}

fn account_ref(account: &Account) -> Option<AccountRef> {
    let login = login(account);
    (account.id.is_some() || login.is_some())
        .then(|| AccountRef { id: *account.id, login: login.unwrap_or_default() })
}

/// Enterprises have a slug where others have a login.
fn login(account: &Account) -> Option<String> {
    account.login.clone().or_else(|| account.slug.clone())
}

fn person(account: &Account) -> Option<Person> {
    let login = account.login.clone().unwrap_or_default();
    let bot = account.kind.as_deref() == Some("Bot");
    account.id.map(|id| Person { id, login, bot })
}

fn action(body: &Body) -> &str {
    body.action.as_deref().unwrap_or_default()
}

/// What the fact cannot do without.
fn needed<T>(value: Option<T>, what: &str) -> Result<T, Unreadable> {
    value.ok_or_else(|| unreadable(&format!("{what} is missing or malformed")))
}

fn unreadable(why: &str) -> Unreadable {
    Unreadable(why.to_owned())
}

#[cfg(test)]
mod tests;
