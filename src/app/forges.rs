//! From the operator's file to the ways by which forges are called, with the secrets that open them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{App, Config, Connection};
use crate::connect::{How, Way, Ways};
use crate::domain::Clock;
use crate::outbound::Outbound;
use secrecy::SecretString;

/// All ways that the file tells.
pub(super) fn ways(config: &Config, clock: &Clock) -> Ways {
    let outbound = Outbound::new(config.outbound_rules(Arc::clone(clock)));
    let way = |it: &Connection| Way { endpoint: config.endpoint(it), how: how(config, it) };
    let declared: HashMap<_, _> = config.connections.iter().map(|it| (it.key.clone(), way(it))).collect();
    let hosts = config.connections.iter().map(|it| (it.host.clone(), config.endpoint(it))).collect();
    Ways { outbound, declared, hosts }
}

/// How a declared connection is believed: by its token, else as an installation of its own App or its source's.
fn how(config: &Config, connection: &Connection) -> Option<How> {
    if let Some(token) = &connection.access_token {
        return Some(How::Token(SecretString::from(token.expose())));
    }
    let of_source = config.sources.iter().find(|source| Some(&source.key) == connection.source.as_ref());
    let apps = [connection.app.as_ref(), of_source.and_then(|source| source.app.as_ref())];
    apps.into_iter().flatten().find_map(app)
}

fn app(app: &App) -> Option<How> {
    let issuer = app.id.map(|id| id.to_string()).or_else(|| app.client_id.clone())?;
    let key = SecretString::from(app.private_key.as_ref()?.expose());
    Some(How::App { issuer, key })
}
