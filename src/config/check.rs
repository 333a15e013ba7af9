//! What must hold between sections. Each finding is one sentence; all of them are reported together.

use std::collections::BTreeMap;

use super::Config;
use super::forge::{Connection, Organization, Places, Source};
use super::problem::Problem;
use crate::domain::organization::Forge;
use crate::outbound::{Allowed, check_url};

/// Everything that does not fit together.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let mut found = unique(config);
    found.extend(config.organizations.iter().filter_map(|organization| authority(config, organization)));
    found.extend(config.sources.iter().flat_map(|source| one_source(config, source)));
    found.extend(config.connections.iter().flat_map(|connection| one_connection(config, connection)));
    // In the order of the file, so that they are read top to bottom.
    found.sort_by_key(|problem| problem.line);
    found
}

fn unique(config: &Config) -> Vec<Problem> {
    let mut found = Vec::new();
    let slugs = config.organizations.iter().map(|it| (it.slug.as_str(), &it.places));
    found.extend(twice("slug", "an organization", slugs));
    let keys = config.sources.iter().map(|it| (it.key.as_str(), &it.places));
    found.extend(twice("key", "a source", keys));
    let keys = config.connections.iter().map(|it| (it.key.as_str(), &it.places));
    found.extend(twice("key", "a connection", keys));
    found
}

fn twice<'a>(key: &str, what: &str, names: impl Iterator<Item = (&'a str, &'a Places)>) -> Vec<Problem> {
    let mut first = BTreeMap::new();
    let mut found = Vec::new();
    for (name, places) in names {
        let place = places.get(key);
        match first.get(name) {
            None => {
                first.insert(name, place.line);
            }
            Some(line) => {
                let line = line.map(|line| format!(" in line {line}")).unwrap_or_default();
                found.push(place.problem(format!("\"{name}\" is already the name of {what}{line}"), None));
            }
        }
    }
    found
}

fn slugs(config: &Config) -> String {
    let all: Vec<&str> = config.organizations.iter().map(|it| it.slug.as_str()).collect();
    if all.is_empty() { "a declared organization; there is none yet".into() } else { all.join(", ") }
}

fn authority(config: &Config, organization: &Organization) -> Option<Problem> {
    let key = organization.authority.as_ref()?;
    let place = organization.places.get("authority");
    let slug = &organization.slug;
    let own = config.connections.iter().filter(|it| it.organization == *slug);
    let allowed: Vec<&str> = own.map(|it| it.key.as_str()).collect();
    let allowed = if allowed.is_empty() {
        format!("a connection of {slug}; there is none yet")
    } else {
        allowed.join(", ")
    };
    let Some(connection) = config.connections.iter().find(|it| it.key == *key) else {
        return Some(place.problem(format!("there is no connection \"{key}\""), Some(allowed)));
    };
    if connection.organization != *slug {
        let message = format!(
            "\"{key}\" is a connection of {}, which cannot say who belongs to {slug}",
            connection.organization
        );
        return Some(place.problem(message, Some(allowed)));
    }
    let (home, forge) = (organization.home?, connection.kind.forge());
    if home == forge {
        return None;
    }
    let message = format!(
        "is {}, but the authority \"{key}\" is at {}: who founded the organization could not be among its members",
        home.as_str(),
        forge.as_str()
    );
    Some(organization.places.get("home").problem(message, Some(format!("\"{}\"", forge.as_str()))))
}

fn one_source(config: &Config, source: &Source) -> Vec<Problem> {
    let mut found =
        wrong_proof(&source.places, source.forge, !source.signing_tokens.is_empty(), source.app.is_some());
    for slug in &source.organizations {
        if !config.organizations.iter().any(|it| it.slug == *slug) {
            let message = format!("there is no organization \"{slug}\"");
            found.push(source.places.get("organizations").problem(message, Some(slugs(config))));
        }
    }
    if source.webhook_secrets.is_empty() && source.signing_tokens.is_empty() {
        found.push(no_secret(&source.places, source.key.as_str(), source.forge));
    }
    if source.app.as_ref().is_some_and(|app| app.installation_id.is_some()) {
        let message = "installation_id belongs to a connection: a source serves many installations";
        found.push(source.places.get("app").problem(message, None));
    }
    found
}

fn no_secret(places: &Places, key: &str, forge: Forge) -> Problem {
    let allowed = match forge {
        Forge::Github => "webhook_secrets",
        Forge::Gitlab => "webhook_secrets or signing_tokens",
    };
    places.get("key").problem(
        format!("\"{key}\" has no secret, so that anybody could send its deliveries"),
        Some(allowed.into()),
    )
}

fn wrong_proof(places: &Places, forge: Forge, signing: bool, app: bool) -> Vec<Problem> {
    let mut found = Vec::new();
    if forge == Forge::Github && signing {
        found.push(
            places.get("signing_tokens").problem("are GitLab's; GitHub signs with webhook_secrets", None),
        );
    }
    if forge == Forge::Gitlab && app {
        found.push(places.get("app").problem("is GitHub's; GitLab takes an access_token", None));
    }
    found
}

fn one_connection(config: &Config, connection: &Connection) -> Vec<Problem> {
    let places = &connection.places;
    let signing = !connection.signing_tokens.is_empty();
    let forge = connection.kind.forge();
    let mut found = wrong_proof(places, forge, signing, connection.app.is_some());
    if !config.organizations.iter().any(|it| it.slug == connection.organization) {
        let message = format!("there is no organization \"{}\"", connection.organization);
        found.push(places.get("organization").problem(message, Some(slugs(config))));
    }
    if connection.app.is_some() && connection.access_token.is_some() {
        let message = "app and access_token are both set, and it would be unclear who acts";
        found.push(places.get("access_token").problem(message, Some("one of the two".into())));
    }
    found.extend(foreign_key(config, connection));
    found.extend(forbidden(config, connection));
    match &connection.source {
        Some(_) => found.extend(named_source(config, connection)),
        None if connection.webhook_secrets.is_empty() && !signing => {
            found.push(no_secret(places, connection.key.as_str(), forge));
        }
        None => {}
    }
    found
}

/// An address that the dialler would refuse is refused here, where its line can be named.
fn forbidden(config: &Config, connection: &Connection) -> Vec<Problem> {
    let networks = connection.allow_private.iter().chain(&config.limits.allow_private_forges).copied();
    let allowed = Allowed::new(networks);
    let http = config.limits.allow_http_forges;
    let urls = [
        ("url", Some(&connection.url), http),
        ("api_url", connection.api_url.as_ref(), http),
        ("proxy", connection.proxy.as_ref(), true),
    ];
    let mut found = Vec::new();
    for (name, url, http) in urls {
        if let Some(Err(why)) = url.map(|url| check_url(url, &allowed, http)) {
            let message = format!("would never be called: {why}");
            found.push(connection.places.get(name).problem(message, None));
        }
    }
    found
}

/// `/hooks/{key}` must lead to one door only.
fn foreign_key(config: &Config, connection: &Connection) -> Option<Problem> {
    let key = connection.key.as_str();
    let own = connection.source.as_ref().is_some_and(|source| source.as_str() == key);
    let source = config.sources.iter().find(|source| source.key.as_str() == key).filter(|_| !own)?;
    let line = source.places.get("key").line.map(|line| format!(" in line {line}")).unwrap_or_default();
    let message =
        format!("\"{key}\" is already the key of a source{line}, and both would answer at /hooks/{key}");
    Some(connection.places.get("key").problem(message, None))
}

fn named_source(config: &Config, connection: &Connection) -> Vec<Problem> {
    let Some(key) = &connection.source else { return Vec::new() };
    let place = connection.places.get("source");
    let Some(source) = config.sources.iter().find(|source| source.key == *key) else {
        let known: Vec<&str> = config.sources.iter().map(|source| source.key.as_str()).collect();
        let allowed =
            if known.is_empty() { "a declared source; there is none yet".into() } else { known.join(", ") };
        return vec![place.problem(format!("there is no source \"{key}\""), Some(allowed))];
    };
    let mut found = Vec::new();
    let (theirs, ours) = (source.forge, connection.kind.forge());
    if theirs != ours || source.host != connection.host {
        let message = format!(
            "\"{key}\" speaks for {} at {}, and this connection is {} at {}",
            theirs.as_str(),
            source.host,
            ours.as_str(),
            connection.host
        );
        found.push(place.problem(message, Some("a source of the same forge".into())));
    }
    if !source.organizations.contains(&connection.organization) {
        let message = format!("\"{key}\" may not speak for {}", connection.organization);
        found.push(place.problem(message, Some("a source whose organizations name it".into())));
    }
    for (name, given) in [
        ("webhook_secrets", !connection.webhook_secrets.is_empty()),
        ("signing_tokens", !connection.signing_tokens.is_empty()),
    ] {
        if given {
            let message = format!("prove nothing here: the deliveries come through the source \"{key}\"");
            found.push(connection.places.get(name).problem(message, Some(format!("{name} of that source"))));
        }
    }
    let partial = connection.app.as_ref().is_some_and(|app| app.id.is_none() || app.private_key.is_none());
    if partial && source.app.is_none() {
        let message = format!("names no App of its own, and neither does the source \"{key}\"");
        found.push(connection.places.get("app").problem(message, Some("id and private_key".into())));
    }
    found
}
