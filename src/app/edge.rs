//! Builds what the HTTP edge needs out of the config.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use url::Url;

use super::follow::Accounts;
use super::jobs::Jobs;
use super::linking::Linked;
use super::random;
use crate::cli::Failure;
use crate::config::Config;
use crate::connect::{Connections, Forges};
use crate::domain::access::TokenKind;
use crate::domain::organization::Forge;
use crate::domain::{Clock, SourceKey};
use crate::follow::{Desk, Follower, Reach};
use crate::provider::{Door, Secrets};
use crate::seal::token::{self, Bearer, Presented, Token};
use crate::store::Store;
use crate::telemetry::metric::{self, Exporter};
use crate::web::{Budget, Certificate, Doorway, Front, Health, Limits, Peers, RefusedLog, Throttle};

/// The doors of all declared sources.
pub(super) fn doors(config: &Config) -> Result<HashMap<SourceKey, Doorway>, Failure> {
    let mut table = HashMap::new();
    for (source, (forge, _, secrets)) in config.doors() {
        begin(forge, &source, &secrets);
        let door = Door::new(forge, source.clone(), secrets).map_err(Failure::usage)?;
        table.insert(source, Doorway::new(door));
    }
    Ok(table)
}

fn begin(forge: Forge, source: &SourceKey, secrets: &Secrets) {
    let slots = u8::try_from(secrets.webhook.len().saturating_add(secrets.signing.len())).unwrap_or(u8::MAX);
    metric::begin_source(forge.as_str(), source, slots);
}

/// The door of a source that was made here. `None`: what was kept of it proves nothing.
pub(super) fn doorway(forge: Forge, source: &SourceKey, secrets: Secrets) -> Option<Doorway> {
    begin(forge, source, &secrets);
    Door::new(forge, source.clone(), secrets).ok().map(Doorway::new)
}

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

pub(super) fn mint(kind: TokenKind) -> Option<(String, [u8; 32])> {
    let token = Token::generate(Bearer::Api(kind)).ok()?;
    Some((token.reveal().to_owned(), *token.hash()))
}

fn check(text: &str) -> Option<(TokenKind, [u8; 32])> {
    match token::parse(text)? {
        Presented { bearer: Bearer::Api(kind), hash } => Some((kind, hash)),
        Presented { .. } => None,
    }
}

/// What connections are asked about with.
pub(super) fn connections(
    forges: Arc<Forges>,
    store: Arc<dyn Store>,
    clock: &Clock,
    public_url: &Url,
) -> Connections {
    let chance = || {
        let mut bytes = [0; 8];
        random(&mut bytes);
        u64::from_le_bytes(bytes)
    };
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
        token_check: Arc::new(check),
        token_mint: Arc::new(mint),
        check_ins: Arc::clone(&jobs.check_ins),
        linking: Arc::clone(&linked.linking),
        scans: Arc::clone(&jobs.scans),
        connections: Arc::clone(connections),
        budget: Budget::new(limits.inflight_bytes_max),
        peers: Peers::default(),
        throttle: Throttle::new(limits.failures_burst, limits.failures_per_minute),
    }))
}
