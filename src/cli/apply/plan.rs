//! What makes a daemon have what a file says, as plain data. Pure.
//!
//! A file owns what it has made, and nothing else: what it no longer names is ended only when an earlier run of it has made
//! it, and only in organizations that it still names, so that two files do not end each other's.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::config::{Config, Connection, Organization, Source};
use crate::domain::SourceKey;

/// Who is written down as the maker of what a file has made.
const BY_FILE: &str = "apply";

/// What is done with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// It is there as the file says.
    Keep,
    /// It is not there.
    Make,
    /// It is there otherwise, and can be made so.
    Change,
    /// An earlier run has made it, and the file does not name it any more.
    End,
    /// It is there otherwise; a person has to decide.
    Differs,
}

/// How a step is asked for; the body may hold secrets, so it is never shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// Make it, inside of an organization if it is in one.
    Post(Option<String>, Vec<String>, Value),
    /// Change it.
    Patch(Vec<String>, Value),
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// `organization`, `source` or `connection`.
    pub kind: &'static str,
    /// Its slug or key.
    pub name: String,
    /// Why.
    pub why: String,
    #[serde(skip)]
    pub(super) wish: Option<Wish>,
}

impl Step {
    fn new(act: Act, kind: &'static str, name: &str, why: impl Into<String>, wish: Option<Wish>) -> Self {
        Self { act, kind, name: name.to_owned(), why: why.into(), wish }
    }
}

/// What the daemon has.
#[derive(Debug, Clone, Copy)]
pub struct There<'a> {
    /// Its organizations.
    pub organizations: &'a [Value],
    /// Their connections.
    pub connections: &'a [Value],
    /// The sources that its own config declares, as far as that is known.
    pub sources: &'a [SourceKey],
}

/// Plans it: organizations, sources, then what is to end, then connections.
#[must_use]
pub fn plan(config: &Config, there: There<'_>) -> Vec<Step> {
    let There { organizations, connections, sources } = there;
    let named = |all: &[Value], key: &str, name: &str| all.iter().find(|it| it[key] == name).cloned();
    let mut steps: Vec<Step> = config
        .organizations
        .iter()
        .flat_map(|it| organization(it, named(organizations, "slug", it.slug.as_str()).as_ref()))
        .collect();
    steps.extend(config.sources.iter().map(|it| source(it, connections, sources)));
    steps.extend(connections.iter().filter(|known| is_left(config, known)).map(ended));
    for it in &config.connections {
        let known = named(connections, "key", it.key.as_str());
        let other = connections.iter().find(|known| known["key"] != it.key.as_str() && is_account(it, known));
        steps.push(match (&known, other) {
            (None, Some(other)) => renamed(it, other),
            (known, _) => connection(it, config, known.as_ref()),
        });
    }
    steps
}

/// What the file says of an organization, beside its slug.
fn said(it: &Organization) -> Map<String, Value> {
    let mut said = Map::new();
    // Without a name it is called as its slug, which says nothing.
    if it.name != it.slug.as_str() {
        said.insert("name".into(), json!(it.name));
    }
    said.extend(it.home.map(|home| ("home".to_owned(), json!(home))));
    said.extend(it.members.as_ref().map(|members| ("members".to_owned(), json!(members))));
    said
}

fn organization(it: &Organization, known: Option<&Value>) -> Vec<Step> {
    let slug = it.slug.as_str();
    let step = |act, why: &str, wish| Step::new(act, "organization", slug, why, wish);
    let patch = |body: Map<String, Value>| {
        Some(Wish::Patch(vec!["organizations".into(), slug.to_owned()], Value::Object(body)))
    };
    let mut said = said(it);
    let Some(known) = known else {
        let members = said.remove("members");
        let body = json!({ "slug": slug, "name": it.name, "home": it.home });
        let make = Wish::Post(None, vec!["organizations".into()], body);
        let made = step(Act::Make, "it is not there", Some(make));
        let roles = members.map(|members| {
            let body = Map::from_iter([("members".to_owned(), members)]);
            step(Act::Change, "its role map is to be the file's", patch(body))
        });
        return std::iter::once(made).chain(roles).collect();
    };
    let other = |name: &str| said.get(name).is_some_and(|told| known.get(name) != Some(told));
    if other("home") && known.get("home").is_some_and(|home| !home.is_null()) {
        return vec![step(Act::Differs, "its founder signs in at another forge, which never changes", None)];
    }
    let changed: Vec<String> = said.keys().filter(|name| other(name)).cloned().collect();
    if changed.is_empty() {
        return vec![step(Act::Keep, "it is there", None)];
    }
    let why = format!("other: {}", changed.join(", "));
    said.retain(|name, _| changed.contains(name));
    vec![step(Act::Change, &why, patch(said))]
}

/// A daemon reads the secrets of a declared source out of its own config, and keeps them nowhere: nobody else can declare
/// one for it.
fn source(it: &Source, connections: &[Value], declared: &[SourceKey]) -> Step {
    let key = it.key.as_str();
    let is_there = declared.contains(&it.key)
        || connections.iter().any(|known| known["source"] == key && known["created_by"] == "config");
    let (act, why) = match is_there {
        true => (Act::Keep, "it is declared in the daemon's config, which alone may change it"),
        false => (
            Act::Differs,
            "only the daemon's own config can declare a source: write it there, and send SIGHUP",
        ),
    };
    Step::new(act, "source", key, why, None)
}

/// What the file says of a connection and only the daemon's own config can say: the way to its forge.
fn way(it: &Connection) -> Option<String> {
    let said = [
        ("api_url", it.api_url.is_some()),
        ("ca_file", it.ca_file.is_some()),
        ("proxy", it.proxy.is_some()),
        ("allow_private", !it.allow_private.is_empty()),
    ];
    let said: Vec<&str> = said.into_iter().filter(|(_, is_said)| *is_said).map(|(name, _)| name).collect();
    (!said.is_empty()).then(|| format!("only the daemon's own config can say {}", said.join(", ")))
}

/// Whether an earlier run has made the connection and the file has let go of it.
fn is_left(config: &Config, known: &Value) -> bool {
    let text = |key: &str| known.get(key).and_then(Value::as_str).unwrap_or_default();
    // Under another key the file still means the same account, and nothing of it is ended.
    let is_renamed = config.connections.iter().any(|it| is_account(it, known));
    let is_ours = text("created_by") == BY_FILE && !has_ended(known) && !is_renamed;
    let is_inside = config.organizations.iter().any(|it| it.slug.as_str() == text("organization"));
    is_ours && is_inside && config.connections.iter().all(|it| it.key.as_str() != text("key"))
}

/// Whether it is about the same account of the same organization.
fn is_account(it: &Connection, known: &Value) -> bool {
    let login = known.pointer("/account/login").and_then(Value::as_str).unwrap_or_default();
    known["organization"] == it.organization.as_str()
        && known["kind"] == it.kind.as_str()
        && known["host"] == it.host.as_str()
        && login.eq_ignore_ascii_case(&it.account)
}

/// A key never changes: it is part of the address to which a forge sends.
fn renamed(it: &Connection, known: &Value) -> Step {
    let old = known.get("key").and_then(Value::as_str).unwrap_or_default();
    let why = format!("its account is known as \"{old}\", and a key never changes: name it so in the file");
    Step::new(Act::Differs, "connection", it.key.as_str(), why, None)
}

/// Whether a connection, as the API shows it, was disconnected.
pub(in super::super) fn has_ended(known: &Value) -> bool {
    known["state"] == "uninstalled" && known["credential"] == "none"
}

fn ended(known: &Value) -> Step {
    let key = known.get("key").and_then(Value::as_str).unwrap_or_default();
    let path = ["connections", key, "disconnect"].map(str::to_owned).to_vec();
    let why = "the file does not name it any more: its credentials are destroyed, projects are kept";
    Step::new(Act::End, "connection", key, why, Some(Wish::Post(None, path, json!({}))))
}

fn connection(it: &Connection, config: &Config, known: Option<&Value>) -> Step {
    let key = it.key.as_str();
    let step = |act, why: &str, wish| Step::new(act, "connection", key, why, wish);
    let is_at = |source: &str| known.is_some_and(|known| known["source"] == source);
    if it.source.as_ref().is_some_and(|source| !is_at(source.as_str())) {
        let why = "it names a source, so that only the daemon's own config can declare it";
        return step(Act::Differs, why, None);
    }
    let Some((name, credential)) = credential(it) else {
        return match known {
            Some(known) if difference(it, known).is_none() => step(Act::Keep, "it is there", None),
            _ => {
                step(Act::Differs, "it has no credential of its own: declare it in the daemon's config", None)
            }
        };
    };
    let make = |why: &str| {
        let why = way(it).map_or_else(|| why.to_owned(), |way| format!("{why}; {way}"));
        // Who manages the members is the file's to say only where it says it.
        let of = config.organizations.iter().find(|of| of.slug == it.organization);
        let authority = of.and_then(|of| of.authority.as_ref()).map(|authority| *authority == it.key);
        let body = json!({
            "kind": it.kind, "url": it.url, "account": it.account, "key": it.key, "kept_by_file": true,
            "authority": authority, name: credential,
        });
        let wish = Wish::Post(Some(it.organization.to_string()), vec!["connections".into()], body);
        step(Act::Make, &why, Some(wish))
    };
    let Some(known) = known else { return make("it is not there") };
    if let Some(why) = difference(it, known) {
        return step(Act::Differs, why, None);
    }
    if known["created_by"] == "config" {
        return step(Act::Keep, "it is declared in the daemon's config, which alone may change it", None);
    }
    if has_ended(known) {
        return make("it was ended");
    }
    let promote = || {
        let path = ["connections", key, "promote"].map(str::to_owned).to_vec();
        Some(Wish::Post(None, path, json!({ name: credential, "kept_by_file": true })))
    };
    match known["credential"].as_str() {
        Some("none") => step(Act::Change, "it has no credential yet", promote()),
        Some("access_token") if name == "access_token" && !is_token(known, &credential) => {
            step(Act::Change, "the file has another token", promote())
        }
        Some(other) if other != name => step(Act::Differs, "it has a credential of another kind", None),
        _ => step(Act::Keep, "it is there", None),
    }
}

/// Whether the token that is kept ends as this one: nothing more of it is ever shown.
fn is_token(known: &Value, token: &Value) -> bool {
    let end = crate::domain::credential::last4(token.as_str().unwrap_or_default());
    known["credential_last4"].as_str() == end.as_deref()
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

/// What the forge is to believe it by, under the name that the API gives it.
fn credential(it: &Connection) -> Option<(&'static str, Value)> {
    if let Some(token) = &it.access_token {
        return Some(("access_token", Value::String(token.expose().to_owned())));
    }
    let app = it.app.as_ref()?;
    let secret = it.webhook_secrets.first().map(|secret| secret.expose());
    let value = json!({
        "id": app.id?, "private_key": app.private_key.as_ref()?.expose(), "client_id": app.client_id,
        "client_secret": app.client_secret.as_ref().map(|secret| secret.expose()),
        "webhook_secret": secret, "installation_id": app.installation_id,
    });
    Some(("app", value))
}
