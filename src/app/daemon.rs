//! One running daemon, from an opened store to a clean end.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use url::Url;

use super::folder::Folder;
use super::jobs::Jobs;
use super::linking::Linked;
use super::notice::Reporter;
use super::tasks::Performers;
use super::{chance, declare, doors, edge, forges, store_dir, tasks, watch};
use crate::cli::{Exit, Failure};
use crate::config::{Config, StoreUrl};
use crate::connect::Forges;
use crate::domain::Clock;
use crate::seal::token::{Bearer, Token};
use crate::store::{Page, Retention, Store};
use crate::telemetry::metric::Exporter;
use crate::telemetry::{Fault, report};
use crate::web::{self, Certificate, ControlSocket, Front, Listeners, Running};
use crate::worker::{self, Workers};

/// How long the one-time link of the first start works.
const SETUP_MS: i64 = 24 * 60 * 60 * 1000;
/// Shares of the ten seconds that a stop may take (reliability R42).
const REQUESTS_WITHIN: Duration = Duration::from_secs(3);
const WORKERS_WITHIN: Duration = Duration::from_secs(2);
const STORE_WITHIN: Duration = Duration::from_secs(3);

/// How a daemon is started, beside its config.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Where a socket goes whose path would be too long in the store's folder.
    pub runtime_dir: PathBuf,
    /// Handle deliveries; a command that only asks the store does not.
    pub works: bool,
    /// The keys of every issuer of ID tokens, in place of their own: the demo is a forge to itself.
    pub stand_in_keys: Option<&'static str>,
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    front: Arc<Front>,
    jobs: Jobs,
    linked: Linked,
    store: Arc<dyn Store>,
    running: Running,
    workers: Option<Workers>,
    reporter: Arc<Reporter>,
    control: Option<ControlSocket>,
    /// Of the control socket, when it is this daemon's alone.
    _folder: Option<Folder>,
    certificate: Option<Arc<Certificate>>,
    /// With which it was started.
    config: Config,
    /// What goes on beside the requests and the workers.
    attendants: Vec<tokio::task::JoinHandle<()>>,
    declared_doors: doors::Declared,
    /// Where the public listener really is; the port may have been 0.
    pub public: SocketAddr,
    /// Where the ops listener really is.
    pub ops: SocketAddr,
    /// The one-time link of the first start, as long as there is no organization.
    pub setup_link: Option<Url>,
}

fn bind(what: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        let real = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        Ok((listener, real))
    });
    bound.map_err(|error| Failure::failed(format!("cannot listen on {address} (listen.{what}): {error}")))
}

/// Opens the store that the config names; the embedded one away from the runtime's threads, as replay may take a while.
pub(super) async fn open(config: &Config, clock: &Clock) -> Result<Arc<dyn Store>, Failure> {
    let (key, now) = (config.key_file.clone(), clock());
    let dir = match &config.store {
        StoreUrl::Postgres(url) => return Ok(Arc::new(crate::store::postgres::open(url, &key, now).await?)),
        StoreUrl::Sled(dir) => dir.clone(),
    };
    let opened = tokio::task::spawn_blocking(move || crate::store::sled::open(&dir, &key, now)).await;
    // sled panics where the disk answers it with an error.
    let opened = opened.map_err(|_| Failure {
        exit: Exit::Store,
        message: "the store cannot be opened: the disk refused to be read or written; the log says where"
            .into(),
    })?;
    Ok(Arc::new(opened?))
}

/// The control socket lies with the embedded store, which one process owns. Of the processes on a database none is
/// asked in the others' place; a command's own daemon has its socket in a folder that is gone with it.
fn control(config: &Config, manner: &Manner) -> Result<(Option<ControlSocket>, Option<Folder>), Failure> {
    let folder = match (store_dir(config), manner.works) {
        (Some(_), _) => None,
        (None, true) => return Ok((None, None)),
        (None, false) => Some(Folder::new(&manner.runtime_dir, "command")?),
    };
    let place = folder.as_ref().map(Folder::path).or_else(|| store_dir(config));
    let bound = place.map(|place| web::bind_control(place, &manner.runtime_dir)).transpose();
    let bound =
        bound.map_err(|error| Failure::failed(format!("the control socket cannot be made: {error}")))?;
    Ok((bound, folder))
}

impl Daemon {
    /// Starts everything. When it returns, deliveries are taken.
    ///
    /// # Errors
    /// With one sentence, and the code to end with.
    pub async fn start(
        config: &Config,
        exporter: Arc<Exporter>,
        clock: Clock,
        manner: &Manner,
    ) -> Result<Self, Failure> {
        let certificate = edge::certificate(config)?.map(Arc::new);
        // The store first: when another process owns it, that is what there is to say.
        let store = open(config, &clock).await?;
        refuse_unfinished(store.as_ref()).await?;
        let (public_socket, public) = bind("public", config.listen.public)?;
        let (ops_socket, ops) = bind("ops", config.listen.ops)?;
        if manner.works {
            declare::declare(config, store.as_ref(), clock()).await?;
        }
        let public_url = edge::public_url(config, public)?;
        let setup_link =
            if manner.works { setup_link(store.as_ref(), &public_url, &clock).await? } else { None };
        let (control, folder) = control(config, manner)?;
        let aside = config.key_file.with_file_name("aside");
        let forges = Arc::new(Forges::new(Arc::clone(&store), forges::ways(config, &clock)));
        let kept = Arc::clone(&store);
        let jobs = Jobs::new(config, kept, &forges, &clock, &public_url, &aside, manner.stand_in_keys)?;
        let linked = Linked::new(config, &forges, &store, &clock, &public_url)?;
        let connections = Arc::new(edge::connections(forges, Arc::clone(&store), &clock, &public_url));
        let parts = edge::Parts { connections: &connections, jobs: &jobs, linked: &linked };
        let front = edge::front(config, parts, Arc::clone(&store), exporter, &clock, public_url)?;
        let declared_doors = doors::open(&front, config).await?;
        let reporter = Arc::new(Reporter::new(Arc::clone(&front.health)));
        let listeners = Listeners {
            public: if manner.works { vec![public_socket] } else { Vec::new() },
            ops: ops_socket,
            control: control.as_ref().map(clone).transpose()?,
            tls: certificate.clone().map(web::server_config).transpose().map_err(io)?,
        };
        let running = web::start(Arc::clone(&front), listeners).map_err(io)?;
        front.health.set_replayed();
        let attendants = attend(config, manner, &front, &clock, &declared_doors);
        let workers = manner.works.then(|| {
            let keep = Retention {
                payload_ms: config.retention.payload.ms(),
                metadata_ms: config.retention.metadata.ms(),
            };
            let notice = Arc::clone(&reporter);
            let parts =
                worker::Parts::new(Arc::clone(&store), Arc::clone(&clock), keep, notice, Arc::new(chance));
            let performers = Performers {
                store: Arc::clone(&store),
                connections: Arc::clone(&connections),
                members: Arc::clone(&front.members),
                health: Arc::clone(&front.health),
            };
            worker::start(parts.with_performer(Arc::new(performers)), &CancellationToken::new())
        });
        Ok(Self {
            front,
            jobs,
            linked,
            store,
            running,
            workers,
            reporter,
            control,
            _folder: folder,
            certificate,
            config: config.clone(),
            attendants,
            declared_doors,
            public,
            ops,
            setup_link,
        })
    }

    /// The control socket's path. A daemon that serves a database has none.
    #[must_use]
    pub fn control(&self) -> Option<&Path> {
        self.control.as_ref().map(|control| control.path.as_path())
    }

    /// Returns when the store has stopped for good, with the reason.
    pub async fn failed(&self) -> String {
        self.reporter.failed().await
    }

    /// Puts another config in force: doors, certificate and declared records. All of it, or nothing.
    ///
    /// # Errors
    /// When something in it cannot be used; everything is as before then.
    pub async fn reload(&self, config: &Config, clock: &Clock) -> Result<(), Failure> {
        let cold = self.config.needs_restart(config);
        if !cold.is_empty() {
            let keys = cold.join(", ");
            return Err(Failure::usage(format!("only a restart can change {keys}; nothing was changed")));
        }
        let declared = doors::declared(config)?;
        let stored = doors::all(declared.clone(), self.store.as_ref()).await;
        let doors = stored.map_err(|error| Failure { exit: Exit::Store, message: error.to_string() })?;
        let put_jobs = self.jobs.reload(config, clock)?;
        let fresh = edge::certificate(config)?;
        let hash = edge::config_hash(config, self.store.as_ref(), clock)?;
        declare::declare(config, self.store.as_ref(), clock()).await?;
        // From here on nothing can fail.
        if let Some((certificate, fresh)) = self.certificate.as_ref().zip(fresh) {
            certificate.replace(fresh);
        }
        *self.declared_doors.lock().unwrap_or_else(PoisonError::into_inner) = declared;
        self.front.doors.swap(doors);
        put_jobs();
        self.linked.reload(config);
        let changed = self.front.connections.forges().set_ways(forges::ways(config, clock));
        self.front.set_config_hash(hash);
        // A store that is away does not make the config another one: the next turn reads them.
        if let Err(error) = self.front.connections.read_anew(&changed, "config").await {
            tracing::debug!(%error, "connections with another credential wait for their next turn");
        }
        declare::notice(&self.front.connections, self.store.as_ref(), clock).await;
        Ok(())
    }

    /// Takes no more requests, lets what is under way end, and closes the store; ten seconds at most in all.
    pub async fn stop(self) {
        self.attendants.iter().for_each(tokio::task::JoinHandle::abort);
        self.running.stop(REQUESTS_WITHIN).await;
        if let Some(workers) = &self.workers {
            let stopped = workers.stop(WORKERS_WITHIN).await;
            tracing::debug!(?stopped, "the workers have ended");
        }
        // A store that hangs while it closes must not hold the exit: the log has everything.
        if tokio::time::timeout(STORE_WITHIN, self.store.close()).await.is_err() {
            report!(Fault::StoreSlowClose, "the store did not close in time; the next start replays its log");
        }
    }
}

/// Begins what goes on beside the requests and the workers: a look at disk and clock, doors kept as the store has them,
/// and checks and syncs kept going.
fn attend(
    config: &Config,
    manner: &Manner,
    front: &Arc<Front>,
    clock: &Clock,
    declared: &doors::Declared,
) -> Vec<tokio::task::JoinHandle<()>> {
    let dir = store_dir(config).map(Path::to_owned);
    let mut attendants = vec![
        tokio::spawn(watch::watch(Arc::clone(&front.health), dir, Arc::clone(clock))),
        tokio::spawn(doors::keep(Arc::clone(front), Arc::clone(declared))),
    ];
    if manner.works {
        attendants.push(tokio::spawn(tasks::rotate(Arc::clone(&front.store), Arc::clone(clock))));
        attendants.push(tokio::spawn(tasks::sweep(Arc::clone(&front.connections))));
        for attendant in [tasks::Attendant::Members, tasks::Attendant::Lamp, tasks::Attendant::Missed] {
            attendants.push(tokio::spawn(attendant.attend(
                Arc::clone(&front.store),
                edge::reach(config),
                Arc::clone(clock),
            )));
        }
        let (front, clock) = (Arc::clone(front), Arc::clone(clock));
        attendants.push(tokio::spawn(async move {
            declare::notice(&front.connections, front.store.as_ref(), &clock).await;
        }));
    }
    attendants
}

fn io(error: std::io::Error) -> Failure {
    Failure::failed(error.to_string())
}

fn clone(control: &ControlSocket) -> Result<std::os::unix::net::UnixListener, Failure> {
    let listener = control.listener.try_clone().map_err(io)?;
    listener.set_nonblocking(true).map_err(io)?;
    Ok(listener)
}

/// A store with half of what it should hold is not served.
async fn refuse_unfinished(store: &dyn Store) -> Result<(), Failure> {
    let mark = store.import_mark().await;
    let message = match mark {
        Ok(None) => return Ok(()),
        Ok(Some(mark)) => format!(
            "the store holds an unfinished import ({} items so far): run the same import again, or remove the store and begin anew",
            mark.items
        ),
        Err(error) => error.to_string(),
    };
    Err(Failure { exit: Exit::Store, message })
}

/// Makes a new link as long as nobody has made an organization.
async fn setup_link(store: &dyn Store, public_url: &Url, clock: &Clock) -> Result<Option<Url>, Failure> {
    let failure = |why: String| Failure { exit: Exit::Store, message: why };
    let any = store
        .organizations(&Page { limit: 1, cursor: None })
        .await
        .map_err(|error| failure(error.to_string()))?;
    if !any.items.is_empty() {
        return Ok(None);
    }
    let code = Token::generate(Bearer::Setup).map_err(|error| failure(error.to_string()))?;
    let until = clock().plus_ms(SETUP_MS);
    store.put_setup_code(code.hash(), until).await.map_err(|error| failure(error.to_string()))?;
    let mut link = public_url.clone();
    link.set_path("/setup");
    link.query_pairs_mut().append_pair("code", code.reveal());
    Ok(Some(link))
}
