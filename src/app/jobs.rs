//! Builds what CI jobs are met with: who may sign ID tokens, where the keys are, what the operator allows.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use super::token::mint;
use crate::ci::CheckIns;
use crate::ci::id_token::{FetchKeys, Issuer, Recorded, Verifier};
use crate::ci::scan::{Rules, Scans, Spool};
use crate::cli::Failure;
use crate::config::{Config, Connection};
use crate::connect::Forges;
use crate::domain::access::TokenKind;
use crate::domain::ci::{Counts, Policy};
use crate::domain::organization::Kind;
use crate::domain::{Clock, OrganizationSlug};
use crate::outbound::{Endpoint, Outbound, Request};
use crate::store::Store;

/// Whoever signs by the operator's word, and the way to the keys of each.
#[derive(Debug)]
struct Known {
    outbound: Outbound,
    ways: HashMap<String, Endpoint>,
    /// The demo's keys, in place of everybody's.
    stand_in: Option<&'static str>,
}

/// Fetches key sets over the one builder of HTTP clients.
#[derive(Debug)]
pub(super) struct Keys {
    known: RwLock<Arc<Known>>,
    /// The ways to forges that organizations have connected themselves.
    forges: Arc<Forges>,
}

#[async_trait]
impl FetchKeys for Keys {
    async fn fetch(&self, issuer: &Issuer) -> Result<Bytes, String> {
        let known = Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(keys) = known.stand_in {
            return Ok(Bytes::from_static(keys.as_bytes()));
        }
        let way = match (known.ways.get(&issuer.name), &issuer.counts) {
            (Some(way), _) => way.clone(),
            (None, Counts::Everywhere) => return Err("the issuer is no longer in the config".into()),
            // As everything else goes there: with the authority, proxy and networks that the file tells of the host.
            (None, Counts::In(_)) => {
                self.forges.endpoint(issuer.forge, &issuer.url).at(issuer.jwks_url.clone())
            }
        };
        let words = |error: crate::outbound::OutboundError| error.to_string();
        let client = known.outbound.open(way, issuer.forge.as_str()).map_err(words)?;
        let answer = client.send(Request::get(issuer.jwks_url.clone())).await.map_err(words)?;
        if answer.is_success() { Ok(answer.body) } else { Err(format!("it answers with {}", answer.status)) }
    }
}

/// The issuers that count for everybody, each with the way to its keys: those of the config, the declared forges of
/// one's own, and the public ones that the config does not send elsewhere.
fn known(config: &Config, clock: &Clock) -> Result<(Vec<Issuer>, Known), Failure> {
    let outbound = Outbound::new(config.outbound_rules(Arc::clone(clock)));
    let mut ways: HashMap<String, Endpoint> = HashMap::new();
    let mut issuers = Vec::new();
    for told in &config.ci.issuers {
        let issuer = Issuer::new(&told.issuer, told.jwks_url.clone())
            .map_err(|error| Failure::usage(format!("ci.issuers: {error}")))?;
        // Keys at a declared forge are reached as the forge is.
        let is_there = |it: &&Connection| it.url.origin() == issuer.jwks_url.origin();
        let way = match config.connections.iter().find(is_there) {
            Some(connection) => config.endpoint(connection).at(issuer.jwks_url.clone()),
            None => outbound.declared(issuer.jwks_url.clone(), None, None, &[]),
        };
        ways.insert(issuer.name.clone(), way);
        issuers.push(issuer);
    }
    let own = |kind: Kind| matches!(kind, Kind::GitlabSelfManaged | Kind::GithubEnterpriseServer);
    for connection in config.connections.iter().filter(|connection| own(connection.kind)) {
        let issuer = Issuer::of_forge(connection.kind.forge(), &connection.url)
            .map_err(|error| Failure::usage(format!("connection {}: {error}", connection.key)))?;
        if !ways.contains_key(&issuer.name) {
            let way = config.endpoint(connection).at(issuer.jwks_url.clone());
            ways.insert(issuer.name.clone(), way);
            issuers.push(issuer);
        }
    }
    for issuer in Issuer::public() {
        if !ways.contains_key(&issuer.name) {
            ways.insert(issuer.name.clone(), outbound.declared(issuer.jwks_url.clone(), None, None, &[]));
            issuers.push(issuer);
        }
    }
    Ok((issuers, Known { outbound, ways, stand_in: None }))
}

fn policy(config: &Config) -> Policy {
    Policy {
        auto_connect: config.ci.auto_connect,
        accounts: config.ci.auto_connect_accounts.clone(),
        require_proof: config.ci.require_proof,
    }
}

/// Each organization's rules.
fn rules(config: &Config) -> Result<HashMap<OrganizationSlug, Arc<Rules>>, Failure> {
    let mut all = HashMap::new();
    for organization in &config.organizations {
        let Some(path) = &organization.rules else { continue };
        let rules = Rules::read(path)
            .map_err(|error| Failure::usage(format!("organization {}: rules: {error}", organization.slug)))?;
        all.insert(organization.slug.clone(), Arc::new(rules));
    }
    Ok(all)
}

/// Takes check-ins, and what it needs to be given another config.
pub(super) struct Jobs {
    pub(super) check_ins: Arc<CheckIns>,
    pub(super) scans: Arc<Scans>,
    keys: Arc<Keys>,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("check_ins", &self.check_ins).finish_non_exhaustive()
    }
}

impl Jobs {
    pub(super) fn new(
        config: &Config,
        store: Arc<dyn Store>,
        forges: &Arc<Forges>,
        clock: &Clock,
        public_url: &Url,
        aside: &Path,
        stand_in: Option<&'static str>,
    ) -> Result<Self, Failure> {
        let (issuers, mut known) = known(config, clock)?;
        known.stand_in = stand_in;
        let keys = Arc::new(Keys { known: RwLock::new(Arc::new(known)), forges: Arc::clone(forges) });
        let own = Arc::new(Recorded(Arc::clone(&store)));
        let verifier = Verifier::new(public_url, issuers, own, Arc::clone(&keys) as Arc<dyn FetchKeys>);
        let mint = Arc::new(|| mint(TokenKind::Ci));
        let shared = Arc::clone(&store);
        let check_ins = Arc::new(CheckIns::new(shared, verifier, policy(config), mint, Arc::clone(clock)));
        let spool = Spool::new(aside.to_owned())
            .map_err(|error| Failure::failed(format!("{}: {error}", aside.display())))?;
        let with = Arc::clone(&check_ins);
        let scans = Arc::new(Scans::new(store, with, rules(config)?, spool, Arc::clone(clock)));
        Ok(Self { check_ins, scans, keys })
    }

    /// Puts another config in force; checked whole before anything changes.
    pub(super) fn reload(&self, config: &Config, clock: &Clock) -> Result<impl FnOnce(), Failure> {
        let (issuers, known) = known(config, clock)?;
        let (policy, rules) = (policy(config), rules(config)?);
        Ok(move || {
            self.scans.set_rules(rules);
            *self.keys.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
            self.check_ins.verifier().set_issuers(issuers);
            self.check_ins.set_policy(policy);
        })
    }
}
