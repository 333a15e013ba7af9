//! Commands that ask: the daemon that holds the store, one far away, or the store itself when no daemon runs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{Daemon, Manner, clock, runtime_dir, store_dir};
use crate::cli::apply as plans;
use crate::cli::arguments::{Apply, OrganizationsCommand};
use crate::cli::{Ask, Client, Environment, Exit, Failure, Terminal, ask as questions};
use crate::config::{Config, ConfigError, StoreUrl};
use crate::domain::{Clock, SourceKey};
use crate::store::sled::Examined;
use crate::telemetry::metric;

/// So long a daemon that starts is waited for: ten seconds.
const STARTING_LOOKS: u32 = 50;
const STARTING_LOOK_EVERY: Duration = Duration::from_millis(200);

/// Asks whoever can answer.
pub(super) async fn ask(
    what: Ask,
    url: Option<&Url>,
    file: Option<&Path>,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let clock = clock();
    if url.is_some() {
        let client = Client::find(url, None, environment).await?;
        let client = client.ok_or_else(|| Failure::usage("--url names no daemon"))?;
        return questions::ask(what, &client, terminal, clock()).await;
    }
    let makes_one = matches!(what, Ask::Organizations(OrganizationsCommand::Create { .. }));
    let load = || Config::load(file, environment.clone());
    let answering = Answering::by_file(file, load, environment, &clock, makes_one).await?;
    let answer = questions::ask(what, answering.client(), terminal, clock()).await;
    answering.end().await;
    answer
}

/// Makes what a file says, by whoever can.
pub(super) async fn apply(
    what: &Apply,
    url: Option<&Url>,
    file: Option<&Path>,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let wanted = Config::load(Some(&what.file), environment.clone())?;
    let manner = |sources| plans::Manner { dry_run: what.dry_run, json: what.json.json, sources };
    if url.is_some() {
        let client = Client::find(url, None, environment).await?;
        let client = client.ok_or_else(|| Failure::usage("--url names no daemon"))?;
        return plans::apply(&wanted, manner(&[]), &client, terminal).await;
    }
    let own = Config::load(file, environment.clone());
    // What it declares is only good to know; without its secrets here, it is not known.
    let sources: Vec<SourceKey> =
        own.iter().flat_map(|own| &own.sources).map(|source| source.key.clone()).collect();
    let answering = Answering::by_file(file, || own, environment, &clock(), false).await?;
    let done = plans::apply(&wanted, manner(&sources), answering.client(), terminal).await;
    answering.end().await;
    done
}

/// That there is no store at this address; where a relative one is looked for depends on where the command runs.
pub(super) fn absent(store: &StoreUrl) -> String {
    match store {
        StoreUrl::Sled(dir) if dir.is_relative() => {
            let place = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
            format!(
                "there is no store in {}; a relative store.url counts from the folder in which a command runs: run \
                 this where `scm-connect serve` runs, or begin with that one",
                place.display()
            )
        }
        _ => format!("there is no store at {store}: run `scm-connect serve` first"),
    }
}

/// The daemon that holds the store, once it can be asked; `None` when nobody holds it, or that takes too long.
async fn started(config: &Config, environment: &Environment) -> Result<Option<Client>, Failure> {
    let Some(dir) = store_dir(config) else { return Ok(None) };
    for _ in 0..STARTING_LOOKS {
        if !matches!(crate::store::sled::examine(dir), Ok(Examined::Held)) {
            return Ok(None);
        }
        if let Some(client) = Client::find(None, Some(dir), environment).await? {
            return Ok(Some(client));
        }
        tokio::time::sleep(STARTING_LOOK_EVERY).await;
    }
    Ok(None)
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
        match Client::find(None, store_dir(config), environment).await? {
            Some(client) => Ok(Self { client, own: None }),
            None => Self::open(config, environment, clock, false).await,
        }
    }

    /// The same by the config's file, which is read whole only when no daemon runs: its secrets are none of a client's
    /// business.
    async fn by_file(
        file: Option<&Path>,
        load: impl FnOnce() -> Result<Config, ConfigError>,
        environment: &Environment,
        clock: &Clock,
        makes_one: bool,
    ) -> Result<Self, Failure> {
        let place = Config::of_daemon(file, environment.clone())?;
        match Client::find(None, store_dir(&place), environment).await? {
            Some(client) => Ok(Self { client, own: None }),
            None => Self::open(&load()?, environment, clock, makes_one).await,
        }
    }

    /// Opens the store itself, for one command.
    async fn open(
        config: &Config,
        environment: &Environment,
        clock: &Clock,
        makes_one: bool,
    ) -> Result<Self, Failure> {
        if !makes_one && !exists(&config.store, &config.key_file).await? {
            return Err(Failure { exit: Exit::Store, message: absent(&config.store) });
        }
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut quiet = config.clone();
        (quiet.listen.public, quiet.listen.ops, quiet.listen.tls) = (nowhere, nowhere, None);
        let exporter = Arc::new(metric::install().map_err(Failure::failed)?);
        let manner = Manner { runtime_dir: runtime_dir(environment), works: false, stand_in_keys: None };
        let daemon = match Daemon::start(&quiet, exporter, Arc::clone(clock), &manner).await {
            Ok(daemon) => daemon,
            Err(failure) => {
                // A daemon that starts holds its store before it can be asked.
                let client = started(config, environment).await?.ok_or(failure)?;
                return Ok(Self { client, own: None });
            }
        };
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
