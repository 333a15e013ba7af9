//! The HTTP edge: what forges, people and operators may send, and who may call what.
//!
//! `route` names the whole URL space in one screen. Every caller of the API comes in through a gate of `auth`, which
//! is a type, so a handler without one cannot stand in the table.

mod api;
mod auth;
mod body;
mod ci;
mod control;
mod describe;
mod docs;
mod door;
mod error;
mod form;
mod health;
mod hook;
mod linking;
mod metric;
mod name;
mod ops;
mod page;
mod peer;
mod person;
mod refused;
mod route;
mod serve;
mod setup;
mod throttle;
mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

pub use body::Budget;
pub use control::{ControlSocket, bind as bind_control};
pub use describe::document as openapi;
pub use door::{Doors, Doorway, ReadDoor};
pub use health::{Health, Part};
pub use peer::Peers;
pub use refused::{Refusal, RefusedLog};
pub use serve::{Listeners, Running, start};
pub use setup::setup_code_hash;
pub use throttle::Throttle;
pub use tls::{Certificate, server_config};

use crate::ci::CheckIns;
use crate::ci::scan::Scans;
use crate::connect::Connections;
use crate::domain::access::TokenKind;
use crate::domain::{Clock, Timestamp};
use crate::follow::Desk;
use crate::linking::Linking;
use crate::store::Store;

/// Reads a token's text: its kind and the SHA-256 by which its record is found. `None`: the checksum is wrong.
pub type TokenCheck = Arc<dyn Fn(&str) -> Option<(TokenKind, [u8; 32])> + Send + Sync>;

/// Makes a new token: its text, to be shown once, and the SHA-256 to keep. `None`: the system gives no random bytes.
pub type TokenMint = Arc<dyn Fn(TokenKind) -> Option<(String, [u8; 32])> + Send + Sync>;

/// Fills a slice with randomness.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Renders the metrics as Prometheus text.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// How much a stranger may ask of us.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest body of a delivery.
    pub body_bytes_max: usize,
    /// The largest report of a scanner.
    pub report_bytes_max: usize,
    /// The largest body of any other request.
    pub form_bytes_max: usize,
    /// All unfinished bodies together.
    pub inflight_bytes_max: usize,
    /// A whole request, from its headers to its answer.
    pub request_deadline: Duration,
    /// How long a body may take its time before the least speed counts.
    pub slow_grace: Duration,
    /// Bytes per second below which a body is cut off.
    pub slow_bytes_per_second: u64,
    /// Requests that one peer may have open at once.
    pub peer_requests_max: usize,
    /// Failed proofs that one peer has at once …
    pub failures_burst: u32,
    /// … and how many more it gets per minute.
    pub failures_per_minute: u32,
    /// Threads that serve the public listener.
    pub workers: usize,
    /// Open connections per thread.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 26 * 1024 * 1024,
            report_bytes_max: 64 * 1024 * 1024,
            form_bytes_max: 64 * 1024,
            inflight_bytes_max: 64 * 1024 * 1024,
            request_deadline: Duration::from_secs(10),
            slow_grace: Duration::from_secs(2),
            slow_bytes_per_second: 1024,
            peer_requests_max: 256,
            failures_burst: 60,
            failures_per_minute: 60,
            workers: 2,
            connections_max: 4096,
        }
    }
}

/// Everything the edge shares between requests; built once by `app.rs`.
pub struct Front {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// Who proves deliveries, by source; swapped whole on reload.
    pub doors: Arc<Doors>,
    /// Tells the time.
    pub clock: Clock,
    /// For ids and nonces.
    pub random: Random,
    /// How much a stranger may ask.
    pub limits: Limits,
    /// The address under which people and forges reach us.
    pub public_url: url::Url,
    /// What `/readyz` and `/healthz` say.
    pub health: Arc<Health>,
    /// The last refused requests.
    pub refused: RefusedLog,
    /// For `/metrics`.
    pub metrics: Render,
    /// Proxies whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Names the config in force.
    pub config_hash: std::sync::Mutex<String>,
    /// When the process began.
    pub started_at: Timestamp,
    /// Reads tokens.
    pub token_check: TokenCheck,
    /// Makes tokens.
    pub token_mint: TokenMint,
    /// Takes what CI jobs say.
    pub check_ins: Arc<CheckIns>,
    /// Leads browsers through a connection.
    pub linking: Arc<Linking>,
    /// Takes what scanners say.
    pub scans: Arc<Scans>,
    /// Reads members, and shows what would follow.
    pub members: Arc<Desk>,
    /// Asks forges, and knows what to make of their answers.
    pub connections: Arc<Connections>,
    /// Bytes of unfinished bodies.
    pub budget: Budget,
    /// Open requests per peer.
    pub peers: Peers,
    /// Failed proofs per peer.
    pub throttle: Throttle,
}

impl Front {
    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Names the config that is in force from now on.
    pub fn set_config_hash(&self, hash: String) {
        *self.config_hash.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = hash;
    }

    pub(crate) fn config_hash(&self) -> String {
        self.config_hash.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// A fresh id of 24 hex digits.
    pub(crate) fn fresh_id(&self) -> String {
        let mut bytes = [0_u8; 12];
        (self.random)(&mut bytes);
        hex::encode(bytes)
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("limits", &self.limits).finish_non_exhaustive()
    }
}
