//! How a connection begins, and what its reasons make of it.

use std::collections::BTreeMap;

use super::health::{Channel, Health};
use super::organization::{Account, Connection, ConnectionState, Kind};
use super::project::Proof;
use super::task::{TaskKind, Wish};
use super::{ConnectionKey, Host, OrganizationSlug, SourceKey, Timestamp};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Of a connection that is off nobody is confirmed. So long its members still come in (e-57, e-58).
pub const GRACE_MS: i64 = 7 * DAY_MS;
/// So long after its end a GitHub App's secrets are kept for a new installation; of other credentials, the grace.
pub const APP_KEPT_MS: i64 = 30 * DAY_MS;

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
            waiting_app: None,
            credential_last4: None,
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
            projects_read_at: None,
            projects_lag: false,
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

    /// Whether there is something that its forge can be asked by: an App that is installed nowhere is nothing yet.
    #[must_use]
    pub fn is_believed(&self) -> bool {
        match self.credential.as_str() {
            "app" => self.installation.is_some(),
            credential => credential != "none",
        }
    }

    /// Since when nothing is asked of its forge, so that nobody can be confirmed.
    #[must_use]
    pub fn off_since(&self) -> Option<Timestamp> {
        self.health.off_since().into_iter().chain(self.paused_at).min()
    }

    /// When the members of a connection that is off can come in no more. `None`: it is on, or was rejected.
    #[must_use]
    pub fn access_ends_at(&self) -> Option<Timestamp> {
        let since = self.off_since().filter(|_| self.rejected_at.is_none())?;
        Some(since.plus_ms(GRACE_MS)).max(self.health.access_until)
    }

    /// When what it is believed by is erased, unless its account comes back (S34).
    #[must_use]
    pub fn erased_at(&self) -> Option<Timestamp> {
        let since = self.health.since.get(&ConnectionState::Uninstalled)?;
        match self.credential.as_str() {
            "none" => None,
            "app" => Some(since.plus_ms(APP_KEPT_MS)),
            _ => Some(since.plus_ms(GRACE_MS)),
        }
    }

    /// That its forge be asked about all of it: what it may do, its repositories, and, where it manages them, the
    /// members. Wished for whenever nothing was told for a while, or another credential may see other things (e-46).
    /// Nothing is wished where nobody could ask.
    #[must_use]
    pub fn read_anew(&self, by: &str, at: Timestamp) -> Vec<Wish> {
        if self.credential == "none" {
            return Vec::new();
        }
        let members = self.authority.then_some(TaskKind::SyncMembers);
        let kinds = [TaskKind::CheckConnection, TaskKind::SyncConnection].into_iter().chain(members);
        kinds.map(|kind| Wish::now(kind, &self.organization, &self.key, by, at)).collect()
    }

    /// That the logs of its source be looked through for what was missed.
    #[must_use]
    pub fn missed(&self, by: &str, at: Timestamp) -> Wish {
        let wish = Wish::now(TaskKind::CatchUp, &self.organization, &self.key, by, at);
        Wish { subject: self.source.to_string(), ..wish }
    }

    /// Whether its hook tells who comes and goes, and which repositories there are. A hook that somebody else has set up
    /// may tell anything.
    #[must_use]
    pub fn is_told(&self) -> bool {
        let is_app = self.credential == "app" && self.installation.is_some();
        is_app || matches!(self.health.channel, Channel::GroupHook | Channel::OrganizationHook)
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
