//! The dialler's guard: names are resolved here, and what is dialled is exactly what was checked.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::error::{Forbidden, Stopped};
use super::range::Allowed;

/// Resolves a name anew for each connection, and refuses it when *any* of its addresses is not allowed: a name that
/// leads to a public and to a private machine at once is an attack or a mistake.
pub(super) struct Guard(pub(super) Allowed);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &found {
                if let Err(what) = allowed.admit(address.ip()) {
                    return Err(Stopped(Forbidden::Address(what)).into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
