//! What is known of a connection's health: since when which reason holds, what each feature needs and has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::organization::ConnectionState;

/// What one feature needs, and what was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// The feature, as a stable word.
    pub feature: String,
    /// The permission or scope, as the forge calls it.
    pub needs: String,
    /// What was granted of it; `None`: nothing, or the forge does not say.
    pub granted: Option<String>,
    /// Whether that is enough.
    pub ok: bool,
}

/// A hook that we made, and how it fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeHook {
    /// `group` or `project`.
    pub place: String,
    /// The group's or project's number.
    pub of: u64,
    /// The hook's number there.
    pub id: u64,
    /// The forge's word: `executable`, `temporarily_disabled`, `disabled`; empty where it says none.
    pub alert_status: String,
}

/// How events reach us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Nobody has looked, or whoever set it up outside knows.
    #[default]
    Unknown,
    /// One hook of the group.
    GroupHook,
    /// A hook of each project.
    ProjectHooks,
    /// By asking from time to time.
    Polling,
}

/// What the checks have found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// When the forge was last asked, whatever it said.
    pub checked_at: Option<Timestamp>,
    /// Checks in a row without an answer.
    pub misses: u32,
    /// Checks in a row in which the credential was refused.
    pub refusals: u32,
    /// Checks in a row in which the account or installation was not there.
    pub gone: u32,
    /// Since when each reason holds.
    pub since: BTreeMap<ConnectionState, Timestamp>,
    /// When the credential ends.
    pub expires_at: Option<Timestamp>,
    /// What each feature needs and has.
    pub capabilities: Vec<Capability>,
    /// Hooks that we made.
    pub hooks: Vec<MadeHook>,
    /// How events reach us.
    pub channel: Channel,
    /// The last thing that was wrong, in a sentence for people.
    pub last_error: Option<String>,
}

impl Health {
    /// Brings `since` in line with the reasons that hold now.
    pub fn note(&mut self, reasons: &[ConnectionState], now: Timestamp) {
        self.since.retain(|state, _| reasons.contains(state));
        for reason in reasons {
            self.since.entry(*reason).or_insert(now);
        }
    }
}
