//! What the operator wants: defaults, then the file, then the environment; the later wins.
//!
//! Everything is read into values that cannot be wrong any more, and checked whole, before anything starts. A config
//! with a mistake is refused whole, with every mistake in it. Paths are relative to where the program is started.
//! Nothing here reads the process's environment: it is an argument.

mod check;
mod cold;
mod declared;
mod environment;
mod file;
mod forge;
mod keys;
mod member;
mod outbound;
mod problem;
mod reader;
mod report;
mod secret;
mod section;
#[cfg(test)]
mod tests;
mod value;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use url::Url;

pub use forge::{App, CaFile, Connection, Organization, Source};
pub use problem::{ConfigError, Problem};
pub use secret::{Secret, Whence};
pub use section::{CatchUp, Ci, Issuer, Limits, Listen, Retention, Tls};
pub use value::{Period, StoreUrl};

use crate::domain::Timestamp;
use problem::Place;
use reader::{Log, Reader};

/// The whole config.
#[derive(Debug, Clone)]
pub struct Config {
    /// How forges and browsers reach us.
    pub public_url: Url,
    /// Where we listen.
    pub listen: Listen,
    /// Where everything is kept.
    pub store: StoreUrl,
    /// The file that holds the master key.
    pub key_file: PathBuf,
    /// How much is taken.
    pub limits: Limits,
    /// What CI jobs may do.
    pub ci: Ci,
    /// Tenants.
    pub organizations: Vec<Organization>,
    /// Sources that serve many connections.
    pub sources: Vec<Source>,
    /// How long things are kept.
    pub retention: Retention,
    /// How deliveries come that did not come by themselves.
    pub catch_up: CatchUp,
    /// Accounts at forges.
    pub connections: Vec<Connection>,
}

impl Config {
    /// Reads the file, if there is one, and lays the environment over it.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::load_part(file, environment, None)
    }

    /// What a command needs to find the daemon that runs by this file: where its store is, and where it listens. Nothing
    /// else is looked at, so that no secret has to be there.
    ///
    /// # Errors
    /// What is wrong with that much of it.
    pub fn of_daemon(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::load_part(file, environment, Some(keys::OF_DAEMON))
    }

    fn load_part(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        part: Option<&[&str]>,
    ) -> Result<Self, ConfigError> {
        let Some(path) = file else { return Self::parse_part("defaults", "", environment, part) };
        let text = file::read(path).map_err(|problem| ConfigError { problems: vec![problem] })?;
        Self::parse_part(&path.display().to_string(), &text, environment, part)
    }

    /// Reads the text of a file named `file`, and lays the environment over it.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(
        file: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::parse_part(file, text, environment, None)
    }

    fn parse_part(
        file: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        part: Option<&[&str]>,
    ) -> Result<Self, ConfigError> {
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let mut tree = file::parse(file, text).map_err(|problem| ConfigError { problems: vec![problem] })?;
        let mut problems = Vec::new();
        environment::overlay(&mut tree, &environment, &mut problems);
        tree.retain(|name, _| part.is_none_or(|part| part.contains(&name.as_str())));
        let log = Log { file: file.to_owned(), environment, problems: RefCell::new(problems) };
        let place = Place { file: file.to_owned(), ..Place::default() };
        let config = Self::read(Reader::new(&log, place, String::new(), tree, keys::ROOT));
        let mut problems = log.problems.into_inner();
        // Sections that could not be read would only cause more, misleading findings.
        if let (Some(config), true) = (&config, problems.is_empty()) {
            problems = check::check(config);
        }
        problems.sort_by_key(|problem| problem.line);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(ConfigError { problems }),
        }
    }

    fn read(mut root: Reader<'_>) -> Option<Self> {
        let listen = section::listen(root.section("listen", keys::LISTEN));
        let public_url = section::own_url(&mut root, &listen);
        let store = section::store(root.section("store", keys::STORE));
        let key_file = section::key_file(root.section("keys", keys::KEYS), &store);
        let limits = section::limits(root.section("limits", keys::LIMITS));
        let http = limits.allow_http_forges;
        let ci = section::ci(root.section("ci", keys::CI), http);
        let retention = section::retention(root.section("retention", keys::RETENTION));
        let catch_up = section::catch_up(root.section("catch_up", keys::CATCH_UP));
        let organizations = root.tables("organizations", keys::ORGANIZATION);
        let sources = root.tables("sources", keys::SOURCE);
        let connections = root.tables("connections", keys::CONNECTION);
        Some(Self {
            organizations: organizations.into_iter().filter_map(forge::organization).collect(),
            sources: sources.into_iter().filter_map(|table| forge::source(table, http)).collect(),
            connections: connections.into_iter().filter_map(|table| forge::connection(table, http)).collect(),
            public_url: public_url?,
            listen,
            store,
            key_file,
            limits,
            ci,
            retention,
            catch_up,
        })
    }

    /// What works, and yet should be looked at: secrets that are short or over.
    #[must_use]
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        self.proofs().filter_map(|secret| secret.warning(now)).collect()
    }

    /// The secrets that prove deliveries.
    fn proofs(&self) -> impl Iterator<Item = &Secret> {
        let sources = self.sources.iter().flat_map(|it| it.webhook_secrets.iter().chain(&it.signing_tokens));
        let own = self.connections.iter().flat_map(|it| it.webhook_secrets.iter().chain(&it.signing_tokens));
        sources.chain(own)
    }
}
