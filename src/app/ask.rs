//! Commands that ask: the daemon that holds the store, one far away, or the store itself when no daemon runs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::{Daemon, Manner, clock, runtime_dir, store_dir};
use crate::cli::apply as plans;
use crate::cli::arguments::{Apply, OrganizationsCommand};
use crate::cli::{Ask, Client, Environment, Exit, Failure, Terminal, ask as questions};
use crate::config::{Config, ConfigError, StoreUrl};
use crate::domain::Clock;
use crate::telemetry::metric;

/// Asks whoever can answer.
pub(super) async fn ask(
    what: Ask,
    url: Option<&Url>,
    load: &impl Fn() -> Result<Config, ConfigError>,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let clock = clock();
    if url.is_some() {
        let client = Client::find(url, None, environment).await?;
        let client = client.ok_or_else(|| Failure::usage("--url names no daemon"))?;
        return questions::ask(what, &client, terminal, clock()).await;
    }
    let config = load()?;
    let makes_one = matches!(what, Ask::Organizations(OrganizationsCommand::Create { .. }));
    let answering = Answering::find_or_make(&config, environment, &clock, makes_one).await?;
    let answer = questions::ask(what, answering.client(), terminal, clock()).await;
    answering.end().await;
    answer
}

/// Makes what a file says, by whoever can.
pub(super) async fn apply(
    what: &Apply,
    url: Option<&Url>,
    load: &impl Fn() -> Result<Config, ConfigError>,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let wanted = Config::load(Some(&what.file), environment.clone())?;
    if url.is_some() {
        let client = Client::find(url, None, environment).await?;
        let client = client.ok_or_else(|| Failure::usage("--url names no daemon"))?;
        return plans::apply(&wanted, what.dry_run, what.json.json, &client, terminal).await;
    }
    let answering = Answering::find(&load()?, environment, &clock()).await?;
    let done = plans::apply(&wanted, what.dry_run, what.json.json, answering.client(), terminal).await;
    answering.end().await;
    done
}

/// Whether there is a store. Changes nothing.
pub(super) async fn exists(store: &StoreUrl, key_file: &Path) -> Result<bool, Failure> {
    match store {
        StoreUrl::Sled(dir) => Ok(dir.exists()),
        StoreUrl::Postgres(url) => Ok(crate::store::postgres::examine(url, key_file).await?.schema.is_some()),
    }
}

/// Whoever answers for the store on this machine: the daemon that holds it, or one that is started for this alone.
pub(super) struct Answering {
    client: Client,
    own: Option<Daemon>,
}

impl Answering {
    /// Finds it; the store must be there.
    pub(super) async fn find(
        config: &Config,
        environment: &Environment,
        clock: &Clock,
    ) -> Result<Self, Failure> {
        Self::find_or_make(config, environment, clock, false).await
    }

    async fn find_or_make(
        config: &Config,
        environment: &Environment,
        clock: &Clock,
        makes_one: bool,
    ) -> Result<Self, Failure> {
        if let Some(client) = Client::find(None, store_dir(config), environment).await? {
            return Ok(Self { client, own: None });
        }
        if !makes_one && !exists(&config.store, &config.key_file).await? {
            let message = format!("there is no store at {}: run `scm-connect serve` first", config.store);
            return Err(Failure { exit: Exit::Store, message });
        }
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut quiet = config.clone();
        (quiet.listen.public, quiet.listen.ops, quiet.listen.tls) = (nowhere, nowhere, None);
        let exporter = Arc::new(metric::install().map_err(Failure::failed)?);
        let manner = Manner { runtime_dir: runtime_dir(environment), works: false, stand_in_keys: None };
        let daemon = Daemon::start(&quiet, exporter, Arc::clone(clock), &manner).await?;
        let socket =
            daemon.control().ok_or_else(|| Failure::failed("the command's own daemon has no socket"))?;
        let client = Client::at_socket(socket)?.idle();
        Ok(Self { client, own: Some(daemon) })
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) async fn end(self) {
        if let Some(daemon) = self.own {
            daemon.stop().await;
        }
    }
}
