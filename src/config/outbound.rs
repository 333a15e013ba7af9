//! From the config to how forges are called.

use super::{Config, Connection, Source};
use crate::domain::time::Clock;
use crate::outbound::{Endpoint, Limits, Rules};
use crate::provider;

impl Config {
    /// What holds for every call.
    #[must_use]
    pub fn outbound_rules(&self, clock: Clock) -> Rules {
        Rules {
            plain_http: self.limits.allow_http_forges,
            private: self.limits.allow_private_forges.clone(),
            limits: Limits::default(),
            clock,
        }
    }

    /// Where a declared connection's API is, and the way there.
    #[must_use]
    pub fn endpoint(&self, connection: &Connection) -> Endpoint {
        let api = || provider::api_url(connection.kind, &connection.url);
        let base = connection.api_url.clone().unwrap_or_else(api);
        let authority = connection.ca_file.as_ref().map(|file| file.authority.clone());
        let private = connection.allow_private.iter().chain(&self.limits.allow_private_forges).copied();
        Endpoint::declared(base, authority, connection.proxy.clone(), private)
    }

    /// Where the API of a declared source's forge is, as far as the file tells the way.
    #[must_use]
    pub fn source_endpoint(&self, source: &Source) -> Endpoint {
        let base = provider::forge_api_url(source.forge, &source.url);
        Endpoint::declared(base, None, None, self.limits.allow_private_forges.iter().copied())
    }
}
