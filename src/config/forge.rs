//! The sections that are about forges: organizations, sources, connections.

use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

use super::problem::Place;
use super::reader::Reader;
use super::secret::{self, Secret, check_signing_token};
use super::section::secure_url;
use super::value::{PRIVATE_ALLOWED, account, path, private_network, quoted, web_url};
use super::{keys, member};
use crate::domain::break_glass::BreakGlass;
use crate::domain::organization::{Forge, Kind};
use crate::domain::roster::MemberRules;
use crate::domain::{ConnectionKey, Host, OrganizationSlug, SourceKey};
use crate::outbound::Authority;

const SLUG_ALLOWED: &str = "1 to 63 of a-z, 0-9 and -";
const FORGES: &str = "\"github\" or \"gitlab\"";
const URL_ALLOWED: &str = "a web address such as https://gitlab.example.com";

/// An organization of the file.
#[derive(Debug, Clone)]
pub struct Organization {
    /// Its name in URLs.
    pub slug: OrganizationSlug,
    /// Its name for people.
    pub name: String,
    /// Where its founder signs in.
    pub home: Option<Forge>,
    /// The connection that manages its members.
    pub authority: Option<ConnectionKey>,
    /// Rules for the scanner.
    pub rules: Option<PathBuf>,
    /// Who counts as a member, where the file says it.
    pub members: Option<MemberRules>,
    /// An admin whatever the forges say.
    pub break_glass: Option<BreakGlass>,
    pub(super) places: Places,
}

/// A source of the file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Part of the hook URL.
    pub key: SourceKey,
    /// Whom it may speak for.
    pub organizations: Vec<OrganizationSlug>,
    /// Its forge's language.
    pub forge: Forge,
    /// Its forge's base URL.
    pub url: Url,
    /// The same as a name.
    pub host: Host,
    /// What proves its deliveries.
    pub webhook_secrets: Vec<Secret>,
    /// GitLab's better proof.
    pub signing_tokens: Vec<Secret>,
    /// The GitHub App behind it.
    pub app: Option<App>,
    pub(super) places: Places,
}

/// A connection of the file.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its name.
    pub key: ConnectionKey,
    /// Whose it is.
    pub organization: OrganizationSlug,
    /// Which of the four.
    pub kind: Kind,
    /// The account's name.
    pub account: String,
    /// Its forge's base URL.
    pub url: Url,
    /// The same as a name.
    pub host: Host,
    /// Where its forge's API is, when that is another place.
    pub api_url: Option<Url>,
    /// The source it names; `None`: it is its own.
    pub source: Option<SourceKey>,
    /// What proves its deliveries, when it is its own source.
    pub webhook_secrets: Vec<Secret>,
    /// GitLab's better proof.
    pub signing_tokens: Vec<Secret>,
    /// How we speak to the forge.
    pub app: Option<App>,
    /// Or so.
    pub access_token: Option<Secret>,
    /// The authority that signed the forge's certificate.
    pub ca_file: Option<CaFile>,
    /// The way there.
    pub proxy: Option<Url>,
    /// Private networks that its forge may resolve to.
    pub allow_private: Vec<IpNet>,
    pub(super) places: Places,
}

/// A certificate authority of the operator's own.
#[derive(Debug, Clone)]
pub struct CaFile {
    /// Where it was read.
    pub path: PathBuf,
    /// What was read.
    pub authority: Authority,
}

/// A GitHub App, or an installation of the source's.
#[derive(Debug, Clone)]
pub struct App {
    /// The App's number.
    pub id: Option<u64>,
    /// Its name for sign-in.
    pub client_id: Option<String>,
    /// Its key, PEM.
    pub private_key: Option<Secret>,
    /// Its secret for sign-in.
    pub client_secret: Option<Secret>,
    /// The installation at the connection's account.
    pub installation_id: Option<u64>,
}

/// Where the keys stand that are checked against other sections.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Vec<(&'static str, Place)>);

impl Places {
    fn of(table: &Reader<'_>, keys: &'static [keys::Key]) -> Self {
        Self(keys::names(keys).map(|name| (name, table.place_of(name))).collect())
    }

    pub(super) fn get(&self, key: &str) -> Place {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, place)| place.clone()).unwrap_or_default()
    }
}

fn forge(text: &str) -> Result<Forge, String> {
    match text {
        "github" => Ok(Forge::Github),
        "gitlab" => Ok(Forge::Gitlab),
        other => Err(format!("{} is no forge that is known here", quoted(other))),
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| format!("{} is no kind of connection", quoted(text)))
}

pub(super) fn organization(mut table: Reader<'_>) -> Option<Organization> {
    let places = Places::of(&table, keys::ORGANIZATION);
    let slug = table.needed("slug", SLUG_ALLOWED, OrganizationSlug::parse);
    let name = table.text("name");
    let home = table.parsed("home", FORGES, forge);
    let authority = table.parsed("authority", "the key of a connection", ConnectionKey::parse);
    let rules = table.parsed("rules", "a file or folder", path);
    let slug = slug?;
    let name = name.unwrap_or_else(|| slug.as_str().to_owned());
    let members = member::rules(&mut table);
    let break_glass = member::break_glass(&mut table);
    Some(Organization { slug, name, home, authority, rules, members, break_glass, places })
}

pub(super) fn source(mut table: Reader<'_>, http: bool) -> Option<Source> {
    let places = Places::of(&table, keys::SOURCE);
    let key = table.needed("key", SLUG_ALLOWED, SourceKey::parse);
    let organizations = table.list("organizations", "slugs of organizations", OrganizationSlug::parse);
    let forge = table.needed("provider", FORGES, forge);
    let url = table.parsed("url", URL_ALLOWED, |text| secure_url(text, http));
    let webhook_secrets = secrets(&mut table, "webhook_secrets");
    let signing_tokens = signing_tokens(&mut table);
    let app = app(&mut table, AppPart::Whole);
    if organizations.is_empty() {
        let message = "names nobody, so that every delivery would be refused";
        table.log.add(places.get("organizations").problem(message, Some("slugs of organizations".into())));
    }
    let forge = forge?;
    let url = url.or_else(|| cloud_url(forge))?;
    let host = host(&table, &url)?;
    Some(Source { key: key?, organizations, forge, url, host, webhook_secrets, signing_tokens, app, places })
}

pub(super) fn connection(mut table: Reader<'_>, http: bool) -> Option<Connection> {
    let places = Places::of(&table, keys::CONNECTION);
    let key = table.needed("key", SLUG_ALLOWED, ConnectionKey::parse);
    let organization = table.needed("organization", "the slug of an organization", OrganizationSlug::parse);
    let kinds = Kind::ALL.map(Kind::as_str).join(", ");
    let kind = table.needed("kind", &kinds, kind);
    let account = table.needed("account", "the account's login, or a group's path", account);
    let source_named = table.take("source");
    let app_part = if source_named.is_some() { AppPart::Installation } else { AppPart::Whole };
    let source = source_named.and_then(|found| table.parse_found(found, SLUG_ALLOWED, SourceKey::parse));
    let url = forge_url(&mut table, kind, http);
    let api_url = table.parsed("api_url", URL_ALLOWED, |text| secure_url(text, http));
    let webhook_secrets = secrets(&mut table, "webhook_secrets");
    let signing_tokens = signing_tokens(&mut table);
    let app = app(&mut table, app_part);
    let access_token = table.table("access_token", keys::SECRET).and_then(secret::read);
    let ca_file = table.parsed("ca_file", "a PEM file with the certificates of an authority", ca_file);
    let proxy = table.parsed("proxy", "a web address such as http://proxy:3128", web_url);
    let allow_private = table.list("allow_private", PRIVATE_ALLOWED, private_network);
    let url = url?;
    let host = host(&table, &url)?;
    Some(Connection {
        key: key?,
        organization: organization?,
        kind: kind?,
        account: account?,
        url,
        host,
        api_url,
        source,
        webhook_secrets,
        signing_tokens,
        app,
        access_token,
        ca_file,
        proxy,
        allow_private,
        places,
    })
}

/// The on-premise kinds name their instance; the cloud kinds have one.
fn forge_url(table: &mut Reader<'_>, kind: Option<Kind>, http: bool) -> Option<Url> {
    let on_premise = matches!(kind, Some(Kind::GithubEnterpriseServer | Kind::GitlabSelfManaged));
    let place = table.place_of("url");
    if !on_premise {
        let given = table.take("url");
        let kind = kind?;
        return match given {
            Some(found) => table.parse_found(found, URL_ALLOWED, |text| secure_url(text, http)),
            None => cloud_url(kind.forge()),
        };
    }
    let url = table.needed("url", URL_ALLOWED, |text| secure_url(text, http))?;
    let name = url.host_str().unwrap_or_default().trim_end_matches('.');
    if ["github.com", "www.github.com", "gitlab.com", "www.gitlab.com"].contains(&name) {
        let message = format!("is {name}, which is no instance of your own; its kind ends in _cloud");
        table.log.add(place.problem(message, Some("the base URL of your own instance".into())));
        return None;
    }
    let path = url.path().trim_end_matches('/');
    if path.ends_with("/api/v3") || path.ends_with("/api/v4") || path.ends_with("/api/graphql") {
        let message = "is the address of the API, where the base URL is meant";
        let allowed = "what people type to see the forge, such as https://git.example.com; or api_url";
        table.log.add(place.problem(message, Some(allowed.into())));
        return None;
    }
    Some(url)
}

fn cloud_url(forge: Forge) -> Option<Url> {
    let text = match forge {
        Forge::Github => "https://github.com",
        Forge::Gitlab => "https://gitlab.com",
    };
    Url::parse(text).ok()
}

fn host(table: &Reader<'_>, url: &Url) -> Option<Host> {
    match Host::of(url) {
        Ok(host) => Some(host),
        Err(error) => {
            table.log.add(table.place_of("url").problem(error.to_string(), Some(URL_ALLOWED.into())));
            None
        }
    }
}

fn ca_file(text: &str) -> Result<CaFile, String> {
    let path = path(text)?;
    let name = quoted(&path.display().to_string());
    let pem = std::fs::read(&path).map_err(|error| format!("the file {name} cannot be read: {error}"))?;
    let authority = Authority::parse(&pem).map_err(|why| format!("the file {name} {why}"))?;
    Ok(CaFile { path, authority })
}

fn secrets(table: &mut Reader<'_>, name: &str) -> Vec<Secret> {
    table.tables(name, keys::SECRET).into_iter().filter_map(secret::read).collect()
}

fn signing_tokens(table: &mut Reader<'_>) -> Vec<Secret> {
    let place = table.place_of("signing_tokens");
    let tokens = secrets(table, "signing_tokens");
    for token in &tokens {
        if let Some(problem) = check_signing_token(token, &place) {
            table.log.add(problem);
        }
    }
    tokens
}

/// How much of an App a section must name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AppPart {
    /// The App itself.
    Whole,
    /// Its source names the App; the installation is enough.
    Installation,
}

fn app(table: &mut Reader<'_>, part: AppPart) -> Option<App> {
    let mut table = table.table("app", keys::APP)?;
    let id = table.number("id", 1, u64::MAX);
    let client_id = table.text("client_id");
    let installation_id = table.number("installation_id", 1, u64::MAX);
    let private_key = app_secret(&mut table, "private_key");
    let client_secret = app_secret(&mut table, "client_secret");
    if part == AppPart::Whole {
        for name in ["id", "private_key"].into_iter().filter(|name| !table.has(name)) {
            table.missing(name, "the GitHub App's number and private key");
        }
    }
    Some(App { id, client_id, private_key, client_secret, installation_id })
}

fn app_secret(table: &mut Reader<'_>, name: &str) -> Option<Secret> {
    table.table(name, keys::SECRET).and_then(secret::read)
}
