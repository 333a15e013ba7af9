//! Builds what the HTTP edge needs out of the config.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use url::Url;

use super::follow::Accounts;
use super::jobs::Jobs;
use super::linking::Linked;
use super::{chance, random, token};
use crate::cli::Failure;
use crate::config::Config;
use crate::connect::{Connections, Forges};
use crate::domain::Clock;
use crate::follow::{Desk, Follower, Reach};
use crate::store::Store;
use crate::telemetry::metric::Exporter;
use crate::web::{Budget, Certificate, Front, Health, Limits, Peers, RefusedLog, Throttle};

/// The address people use: as configured, with the real port when any was asked for.
pub(super) fn public_url(config: &Config, public: SocketAddr) -> Result<Url, Failure> {
    let mut url = config.public_url.clone();
    if url.port() == Some(0) {
        url.set_port(Some(public.port())).map_err(|()| Failure::usage("public_url cannot have a port"))?;
    }
    Ok(url)
}

/// The certificate that the config names, when TLS is configured.
pub(super) fn certificate(config: &Config) -> Result<Option<Certificate>, Failure> {
    let Some(tls) = &config.listen.tls else { return Ok(None) };
    let read = |path: &std::path::Path| {
        std::fs::read(path)
            .map_err(|error| Failure::usage(format!("listen.tls: cannot read {}: {error}", path.display())))
    };
    let parsed = Certificate::parse(&read(&tls.cert)?, &read(&tls.key)?);
    parsed.map(Some).map_err(|error| Failure::usage(format!("listen.tls: {error}")))
}

/// Names the config in force without giving anything away.
pub(super) fn config_hash(config: &Config, store: &dyn Store, clock: &Clock) -> Result<String, Failure> {
    let cipher = store
        .keyring()
        .cipher("instance", clock().ms())
        .map_err(|error| Failure::failed(error.to_string()))?;
    Ok(config.hash(&cipher.fingerprint("config", b"hash")))
}

/// What connections are asked about with.
pub(super) fn connections(
    forges: Arc<Forges>,
    store: Arc<dyn Store>,
    clock: &Clock,
    public_url: &Url,
) -> Connections {
    let secret = |bytes: &mut [u8]| getrandom::fill(bytes).is_ok();
    Connections::new(forges, store, Arc::clone(clock), Arc::new(chance), Arc::new(secret), public_url.clone())
}

/// What stands behind the edge, beside the store.
pub(super) struct Parts<'a> {
    pub(super) connections: &'a Arc<Connections>,
    pub(super) jobs: &'a Jobs,
    pub(super) linked: &'a Linked,
}

/// Whether forges reach this daemon.
pub(super) const fn reach(config: &Config) -> Reach {
    if config.catch_up.polling { Reach::Polling } else { Reach::Reached }
}

/// Everything the edge shares between requests.
pub(super) fn front(
    config: &Config,
    parts: Parts<'_>,
    store: Arc<dyn Store>,
    exporter: Arc<Exporter>,
    clock: &Clock,
    public_url: Url,
) -> Result<Arc<Front>, Failure> {
    let Parts { connections, jobs, linked } = parts;
    let limits = Limits {
        body_bytes_max: usize::try_from(config.limits.body_bytes_max).unwrap_or(usize::MAX),
        report_bytes_max: usize::try_from(config.limits.report_bytes_max).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let config_hash = Mutex::new(config_hash(config, store.as_ref(), clock)?);
    let accounts = Accounts::new(
        Arc::clone(connections.forges()),
        Arc::clone(&store),
        Arc::clone(clock),
        public_url.clone(),
    );
    let follower = Follower::new(Arc::clone(&store), Arc::clone(clock)).with_reach(reach(config));
    let members = Arc::new(Desk::new(follower, Arc::new(accounts)));
    Ok(Arc::new(Front {
        members,
        doors: Arc::clone(&linked.doors),
        store,
        clock: Arc::clone(clock),
        random: Arc::new(random),
        limits,
        public_url,
        health: Arc::new(Health::new(Arc::clone(clock))),
        refused: RefusedLog::default(),
        metrics: Arc::new(move || exporter.render()),
        trusted_proxies: config.listen.trusted_proxies.clone(),
        config_hash,
        started_at: clock(),
        token_check: Arc::new(token::check),
        token_mint: Arc::new(token::mint),
        check_ins: Arc::clone(&jobs.check_ins),
        linking: Arc::clone(&linked.linking),
        scans: Arc::clone(&jobs.scans),
        connections: Arc::clone(connections),
        budget: Budget::new(limits.inflight_bytes_max),
        peers: Peers::default(),
        throttle: Throttle::new(limits.failures_burst, limits.failures_per_minute),
    }))
}
