//! What is known of a connection's health: since when which reason holds, what each feature needs and has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::organization::ConnectionState;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The end of a credential is announced when it is so many days away.
pub const NOTICES_DAYS: [u8; 3] = [1, 7, 30];

/// What is said of a connection while [`Health::secret_differs`].
pub const SECRET_DIFFERS: &str = "the forge's deliveries are refused: it signs with another secret than the one known here; \
     enter the same one on both sides";

/// A hook that has told nothing for so long, though a reading has found what it should have told, is silent (e-56).
pub const SILENT_MS: i64 = DAY_MS;

/// Whether a hook is silent that last told something at `heard`, when a reading has found at `unheard` what it should have
/// told.
#[must_use]
pub fn is_silent(heard: Timestamp, unheard: Option<Timestamp>, now: Timestamp) -> bool {
    unheard.is_some_and(|at| at > heard) && now.since(heard) >= SILENT_MS
}

/// Which announcement the end of a credential is due for.
#[must_use]
pub fn notice_days(end: Timestamp, now: Timestamp) -> Option<u8> {
    NOTICES_DAYS.into_iter().find(|days| end.since(now) <= i64::from(*days).saturating_mul(DAY_MS))
}

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
    /// `group`, `project` or `organization`.
    pub place: String,
    /// The group's, project's or organization's number.
    pub of: u64,
    /// The hook's number there.
    pub id: u64,
    /// The forge's word: `executable`, `temporarily_disabled`, `disabled`; empty where it says none.
    pub alert_status: String,
    /// When the secret was made that it has from us; `None`: nobody knows which it has.
    #[serde(default)]
    pub given: Option<Timestamp>,
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
    /// One hook of the organization.
    OrganizationHook,
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
    /// The last of [`NOTICES_DAYS`] that the credential's end has come within.
    pub notice_days: Option<u8>,
    /// An admin has let members of an account that is off come in until then.
    pub access_until: Option<Timestamp>,
    /// What each feature needs and has.
    pub capabilities: Vec<Capability>,
    /// Hooks that we made.
    pub hooks: Vec<MadeHook>,
    /// How events reach us.
    pub channel: Channel,
    /// When a reading has last found something that a hook should have told, and had not.
    pub unheard_at: Option<Timestamp>,
    /// The secret of its hooks was replaced; the one before still counts until then.
    pub old_secret_until: Option<Timestamp>,
    /// Our door refuses what the forge sends: it signs with another secret than the one known here.
    pub secret_differs: bool,
    /// The last thing that was wrong, in a sentence for people.
    pub last_error: Option<String>,
}

impl Health {
    /// Brings `since` in line with the reasons that hold now. What was allowed while the account was off ends with it.
    pub fn note(&mut self, reasons: &[ConnectionState], now: Timestamp) {
        let was_off = self.off_since().is_some();
        self.since.retain(|state, _| reasons.contains(state));
        if was_off && self.off_since().is_none() {
            self.access_until = None;
        }
        for reason in reasons {
            self.since.entry(*reason).or_insert(now);
        }
    }

    /// Whether the forge has switched off a hook that we made.
    #[must_use]
    pub fn has_hook_off(&self) -> bool {
        self.hooks.iter().any(|hook| !matches!(hook.alert_status.as_str(), "" | "executable"))
    }

    /// Since when the account is switched off or gone at the forge.
    #[must_use]
    pub fn off_since(&self) -> Option<Timestamp> {
        let off = [ConnectionState::Suspended, ConnectionState::Uninstalled];
        off.iter().filter_map(|state| self.since.get(state)).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_announced_a_month_a_week_and_a_day_before() {
        let end = Timestamp::from_ms(40 * DAY_MS);
        let days_before = |days: i64| notice_days(end, end.plus_ms(-days * DAY_MS));
        assert_eq!(
            [31, 30, 8, 7, 2, 1, 0].map(days_before),
            [None, Some(30), Some(30), Some(7), Some(7), Some(1), Some(1)]
        );
        assert_eq!(days_before(-3), Some(1), "it is over");
    }

    #[test]
    fn a_hook_is_silent_after_a_day_in_which_something_happened() {
        let heard = Timestamp::from_ms(DAY_MS);
        let silent = |unheard: Option<i64>, now: i64| {
            is_silent(heard, unheard.map(|ms| heard.plus_ms(ms)), heard.plus_ms(now))
        };
        assert!(!silent(None, 30 * DAY_MS), "nothing happened, so nothing had to be told");
        assert!(!silent(Some(5), DAY_MS - 1), "it may be late");
        assert!(silent(Some(5), DAY_MS));
        assert!(!silent(Some(-5), 30 * DAY_MS), "it has told something since");
        assert!(!silent(Some(0), 30 * DAY_MS));
    }

    #[test]
    fn what_was_allowed_while_an_account_was_off_ends_with_it() {
        let (now, until) = (Timestamp::from_ms(1_000), Some(Timestamp::from_ms(9_000)));
        let mut health = Health::default();
        health.note(&[ConnectionState::Suspended], now);
        health.access_until = until;
        health.note(&[ConnectionState::Suspended, ConnectionState::Uninstalled], now.plus_ms(5));
        assert_eq!((health.off_since(), health.access_until), (Some(now), until));
        health.note(&[ConnectionState::Limited], now.plus_ms(9));
        assert_eq!((health.off_since(), health.access_until), (None, None));
    }
}
