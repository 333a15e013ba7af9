//! How a connection begins, and what its reasons make of it.

use std::collections::BTreeMap;

use super::health::Health;
use super::organization::{Account, Connection, ConnectionState, Kind};
use super::project::Proof;
use super::{ConnectionKey, Host, OrganizationSlug, SourceKey, Timestamp};

/// What a connection is made with.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// As [`Connection::key`].
    pub key: ConnectionKey,
    /// As [`Connection::organization`].
    pub organization: OrganizationSlug,
    /// As [`Connection::kind`].
    pub kind: Kind,
    /// As [`Connection::host`].
    pub host: Host,
    /// As [`Connection::url`].
    pub url: url::Url,
    /// As [`Connection::account`].
    pub account: Account,
    /// As [`Connection::source`].
    pub source: SourceKey,
    /// As [`Connection::created_by`].
    pub created_by: String,
    /// As [`Connection::created_at`].
    pub created_at: Timestamp,
}

impl Connection {
    /// A connection without a credential, of which nothing else is known yet.
    #[must_use]
    pub fn begin(with: Beginning) -> Self {
        let Beginning { key, organization, kind, host, url, account, source, created_by, created_at } = with;
        Self {
            key,
            organization,
            kind,
            host,
            url,
            account,
            source,
            credential: "none".into(),
            installation: None,
            authority: false,
            reasons: Vec::new(),
            repository_selection: None,
            permissions: BTreeMap::new(),
            installation_seen_at: None,
            roster_stale_since: None,
            last_event_at: None,
            last_sync_at: None,
            members_read_at: None,
            created_by,
            created_at,
            proof: Proof::Proven,
            rejected_at: None,
            paused_at: None,
            health: Health::default(),
        }
    }

    /// Whether it keeps its account from other organizations: not by a claim, and not when it was rejected.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.proof == Proof::Proven && self.rejected_at.is_none()
    }

    /// Whether it is switched off or gone: the forge is not asked through it.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let off = [ConnectionState::Suspended, ConnectionState::Uninstalled];
        self.reasons.iter().any(|reason| off.contains(reason))
    }

    /// The one state to show: the worst of its reasons.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        let paused = self.paused_at.map(|_| ConnectionState::Suspended);
        self.reasons.iter().copied().chain(paused).min().unwrap_or(ConnectionState::Connected)
    }

    /// Adds a reason, once.
    pub fn add_reason(&mut self, reason: ConnectionState) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
            self.reasons.sort_unstable();
        }
    }

    /// Takes reasons away.
    pub fn clear_reasons(&mut self, gone: &[ConnectionState]) {
        self.reasons.retain(|reason| !gone.contains(reason));
    }
}
