//! Organizations and connections out of a file, made in a daemon that keeps them itself: the plan is data, is shown,
//! and is done after that. What is there already is never changed, and nothing is taken away.

use serde::Serialize;
use serde_json::{Value, json};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};
use crate::config::{Config, Connection};

/// More than one file holds.
const ALL: usize = 100_000;
const COLUMNS: &[Column] = &[("DO", "act"), ("WHAT", "kind"), ("NAME", "name"), ("WHY", "why")];

/// What is done with one thing of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// It is there as the file says.
    Keep,
    /// It is not there.
    Make,
    /// It is there otherwise; a person has to decide.
    Differs,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// `organization` or `connection`.
    pub kind: &'static str,
    /// Its slug or key.
    pub name: String,
    /// Why.
    pub why: String,
    /// What is sent; it may hold secrets, so it is never shown.
    #[serde(skip)]
    wish: Option<(Option<String>, Value)>,
}

/// Plans what makes the daemon have what the file says. Pure.
#[must_use]
pub fn plan(config: &Config, organizations: &[Value], connections: &[Value]) -> Vec<Step> {
    let of = |kind, name: &str, act, why: &str, wish| Step {
        act,
        kind,
        name: name.to_owned(),
        why: why.to_owned(),
        wish,
    };
    let named = |all: &[Value], key: &str, name: &str| all.iter().find(|it| it[key] == name).cloned();
    let mut steps = Vec::new();
    for it in &config.organizations {
        let slug = it.slug.as_str();
        steps.push(match named(organizations, "slug", slug) {
            Some(_) => of("organization", slug, Act::Keep, "it is there", None),
            None => {
                let body = json!({ "slug": slug, "name": it.name, "home": it.home });
                of("organization", slug, Act::Make, "it is not there", Some((None, body)))
            }
        });
    }
    for it in &config.connections {
        let key = it.key.as_str();
        let known = named(connections, "key", key);
        steps.push(match (known.as_ref().and_then(|known| difference(it, known)), known, wish(it, config)) {
            (Some(why), ..) => of("connection", key, Act::Differs, why, None),
            (None, Some(_), _) => of("connection", key, Act::Keep, "it is there", None),
            (None, None, None) => {
                let why = "it has no credential of its own: declare it in the daemon's config";
                of("connection", key, Act::Differs, why, None)
            }
            (None, None, Some(body)) => {
                let organization = Some(it.organization.to_string());
                of("connection", key, Act::Make, "it is not there", Some((organization, body)))
            }
        });
    }
    steps
}

/// In what a recorded connection is not the one of the file: a key never changes its owner.
fn difference(it: &Connection, known: &Value) -> Option<&'static str> {
    let same = |pointer: &str, value: &str| known.pointer(pointer).and_then(Value::as_str) == Some(value);
    if !same("/organization", it.organization.as_str()) {
        return Some("the name belongs to another organization's");
    }
    if !same("/kind", it.kind.as_str()) || !same("/host", it.host.as_str()) {
        return Some("it is at another forge");
    }
    (!same("/account/login", &it.account)).then_some("it is about another account")
}

/// What is asked of the daemon for a connection.
fn wish(it: &Connection, config: &Config) -> Option<Value> {
    let mut body = json!({
        "kind": it.kind, "url": it.url, "account": it.account, "key": it.key,
        "authority": config.organizations.iter().any(|of| of.authority.as_ref() == Some(&it.key)),
    });
    let credential = match (&it.access_token, &it.app) {
        (Some(token), _) => ("access_token", Value::String(token.expose().to_owned())),
        (None, Some(app)) => {
            let secret = it.webhook_secrets.first().map(|secret| secret.expose());
            let value = json!({
                "id": app.id?, "private_key": app.private_key.as_ref()?.expose(), "client_id": app.client_id,
                "client_secret": app.client_secret.as_ref().map(|secret| secret.expose()),
                "webhook_secret": secret, "installation_id": app.installation_id,
            });
            ("app", value)
        }
        (None, None) => return None,
    };
    body.as_object_mut()?.insert(credential.0.into(), credential.1);
    Some(body)
}

/// Shows the plan, then does it.
///
/// # Errors
/// When the daemon does not answer, or refuses a step; those before it are done.
pub async fn apply(
    config: &Config,
    dry_run: bool,
    json: bool,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let organizations = client.list(&["organizations"], &[], ALL, None).await?.items;
    let connections = client.list(&["connections"], &[], ALL, None).await?.items;
    let steps = plan(config, &organizations, &connections);
    let shown: Vec<Value> = steps.iter().filter_map(|step| serde_json::to_value(step).ok()).collect();
    if json {
        terminal.json(&json!({ "plan": shown, "dry_run": dry_run }))?;
    } else {
        terminal.rows(COLUMNS, &shown)?;
    }
    for step in steps.iter().filter(|_| !dry_run) {
        let Some((organization, body)) = &step.wish else { continue };
        let path: &[&str] = if step.kind == "organization" { &["organizations"] } else { &["connections"] };
        client.post_within(organization.as_deref(), path, body).await.map_err(|failure| Failure {
            message: format!("{} {}: {}", step.kind, step.name, failure.message),
            ..failure
        })?;
        terminal.remark(&format!("{} {} was made", step.kind, step.name))?;
    }
    let differs = steps.iter().any(|step| step.act == Act::Differs);
    Ok(if differs { Exit::Failed } else { Exit::Done })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_plan_makes_what_is_missing_and_changes_nothing_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("all.toml");
        let text = r#"
[[organizations]]
slug = "acme"
[[organizations]]
slug = "new"
[[connections]]
key = "there"
organization = "acme"
kind = "gitlab_cloud"
account = "acme"
access_token = { value = "glpat-canary-there" }
webhook_secrets = [{ value = "canary-hook-there" }]
[[connections]]
key = "other"
organization = "acme"
kind = "gitlab_cloud"
account = "elsewhere"
access_token = { value = "glpat-canary-other" }
webhook_secrets = [{ value = "canary-hook-other" }]
[[connections]]
key = "fresh"
organization = "acme"
kind = "gitlab_cloud"
account = "fresh"
access_token = { value = "glpat-canary-fresh" }
webhook_secrets = [{ value = "canary-hook-fresh" }]
"#;
        std::fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file), BTreeMap::new()).unwrap();
        let known = |key: &str, login: &str| {
            json!({ "key": key, "organization": "acme", "kind": "gitlab_cloud", "host": "gitlab.com",
                "account": { "login": login } })
        };
        let there = [known("there", "acme"), known("other", "acme")];
        let steps = plan(&config, &[json!({ "slug": "acme" })], &there);
        let acts: Vec<_> = steps.iter().map(|step| (step.name.as_str(), step.act)).collect();
        assert_eq!(
            acts,
            [
                ("acme", Act::Keep),
                ("new", Act::Make),
                ("there", Act::Keep),
                ("other", Act::Differs),
                ("fresh", Act::Make)
            ]
        );
        let shown = serde_json::to_string(&steps).unwrap();
        assert!(!shown.contains("canary"), "{shown}");
    }
}
