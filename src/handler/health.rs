//! What one look at the forge says of a connection: states with their precedence, and how many looks it takes.
//!
//! One refusal may be a clock, one silence a restart: it takes two of the first and three of the second (e-55). A state
//! that an event has told is not taken away by a look that saw nothing of it.

use std::collections::BTreeMap;

use crate::domain::Timestamp;
use crate::domain::capability::{is_limited, missing};
use crate::domain::health::{Capability, Channel, MadeHook, SECRET_DIFFERS, notice_days};
use crate::domain::organization::{Account, Connection, ConnectionState};

/// Looks without an answer before the forge counts as unreachable.
const MISSES_MAX: u32 = 3;
/// Refusals in a row before the credential counts as invalid.
const REFUSALS_MAX: u32 = 2;
/// Looks at an account that is not there before it counts as gone.
const GONE_MAX: u32 = 2;

/// What the forge said of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The account, by its name and number today.
    pub account: Account,
    /// What each feature needs and has.
    pub capabilities: Vec<Capability>,
    /// When the credential ends.
    pub expires_at: Option<Timestamp>,
    /// What an installation was granted.
    pub permissions: Option<BTreeMap<String, String>>,
    /// `all` or `selected`, of an installation.
    pub selection: Option<String>,
    /// Hooks that we made, as they are now; `None`: nobody looked.
    pub hooks: Option<(Channel, Vec<MadeHook>)>,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The forge answered, and this is what it said.
    Found(Box<Found>),
    /// It answered that the installation is suspended.
    Suspended,
    /// It does not accept the credential.
    Refused,
    /// It accepts the credential, and not for this; says what is missing.
    NotPermitted(String),
    /// The account or installation is not there.
    Gone,
    /// It asks us to wait.
    Throttled(String),
    /// It did not answer, or not as a forge does; says why.
    Silent(String),
    /// There is no credential that could be sent; says why.
    Unusable(String),
}

/// The connection after a look.
#[must_use]
pub fn judge(old: &Connection, look: &Look, now: Timestamp) -> Connection {
    use ConnectionState as S;
    let mut new = old.clone();
    new.health.checked_at = Some(now);
    match look {
        Look::Found(found) => well(&mut new, found, now),
        Look::Suspended => {
            answered(&mut new);
            new.add_reason(S::Suspended);
        }
        Look::Refused => {
            new.health.misses = 0;
            new.health.refusals = new.health.refusals.saturating_add(1);
            if new.health.refusals >= REFUSALS_MAX {
                new.add_reason(S::TokenInvalid);
            }
            new.health.last_error = Some("the forge does not accept the credential".into());
        }
        Look::NotPermitted(what) => {
            answered(&mut new);
            new.add_reason(S::PermissionMissing);
            new.health.last_error = Some(what.clone());
        }
        Look::Gone => {
            answered(&mut new);
            new.health.gone = old.health.gone.saturating_add(1);
            if new.health.gone >= GONE_MAX {
                new.add_reason(S::Uninstalled);
            }
            new.health.last_error = Some("the forge has no such account, or does not show it".into());
        }
        Look::Throttled(why) => {
            new.add_reason(S::RateLimited);
            new.health.last_error = Some(why.clone());
        }
        Look::Silent(why) => {
            new.health.misses = new.health.misses.saturating_add(1);
            if new.health.misses >= MISSES_MAX {
                new.add_reason(S::Unreachable);
            }
            new.health.last_error = Some(why.clone());
        }
        Look::Unusable(why) => {
            new.add_reason(S::TokenInvalid);
            new.health.last_error = Some(why.clone());
        }
    }
    let reasons = new.reasons.clone();
    new.health.note(&reasons, now);
    new
}

/// The forge answered somebody whom it believes.
fn answered(new: &mut Connection) {
    new.health.misses = 0;
    new.health.refusals = 0;
    new.health.gone = 0;
    new.clear_reasons(&[
        ConnectionState::Unreachable,
        ConnectionState::TokenInvalid,
        ConnectionState::RateLimited,
    ]);
}

fn well(new: &mut Connection, found: &Found, now: Timestamp) {
    use ConnectionState as S;
    answered(new);
    // That comes out at the door, and ends there.
    new.health.last_error = new.health.secret_differs.then(|| SECRET_DIFFERS.to_owned());
    new.clear_reasons(&[
        S::Suspended,
        S::PermissionMissing,
        S::TokenExpiring,
        S::Limited,
        S::AwaitingApproval,
    ]);
    // A number is for ever; a name is what the forge calls it today.
    if new.account.external_id.is_none_or(|id| found.account.external_id == Some(id)) {
        new.account = found.account.clone();
    }
    if let Some(permissions) = &found.permissions {
        new.permissions.clone_from(permissions);
    }
    if found.selection.is_some() {
        new.repository_selection.clone_from(&found.selection);
    }
    new.health.capabilities.clone_from(&found.capabilities);
    new.health.expires_at = found.expires_at;
    new.health.notice_days = found.expires_at.and_then(|end| notice_days(end, now));
    if !missing(&found.capabilities).is_empty() {
        new.add_reason(S::PermissionMissing);
    } else if is_limited(&found.capabilities) {
        new.add_reason(S::Limited);
    }
    match found.expires_at {
        Some(end) if end <= now => new.add_reason(S::TokenInvalid),
        Some(_) if new.health.notice_days.is_some() => new.add_reason(S::TokenExpiring),
        _ => {}
    }
    if let Some((channel, hooks)) = &found.hooks {
        new.health.channel = *channel;
        new.health.hooks.clone_from(hooks);
        new.clear_reasons(&[S::WebhookDisabled]);
        if new.health.has_hook_off() || new.health.secret_differs {
            new.add_reason(S::WebhookDisabled);
        }
        if *channel == Channel::Polling {
            new.add_reason(S::Limited);
        }
    }
}
