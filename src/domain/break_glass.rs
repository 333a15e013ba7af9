//! The admin whom the operator's file names: for the day on which a forge, or what it says, cannot be trusted (e-49).
//!
//! They are outside of every sync. No list, no event and no other admin takes the standing away, and nobody counts on it:
//! the last admin of the forge's own stays all the same. It ends when the file names them no more.

use serde::{Deserialize, Serialize};

use super::organization::{BREAK_GLASS, Member};
use super::{Host, id_of};

/// The person whom a file names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// What to call them, as long as no forge has said it.
    pub login: String,
    /// The forge that knows them; [`Host::local`] for an account of the operator's own, which no forge knows.
    pub host: Host,
    /// Their number there.
    pub external_id: u64,
}

impl BreakGlass {
    /// An account that no forge knows. Another name is another account.
    #[must_use]
    pub fn local(login: &str) -> Self {
        let digits = id_of(&["break-glass admin", login]);
        let external_id = u64::from_str_radix(digits.get(..15).unwrap_or_default(), 16).unwrap_or_default();
        Self { login: login.to_owned(), host: Host::local(), external_id }
    }

    /// Whether it is the same person, whatever they are called.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (&self.host, self.external_id) == (&other.host, other.external_id)
    }

    /// Whether this is the person's record.
    #[must_use]
    pub fn is_of(&self, member: &Member) -> bool {
        (&self.host, self.external_id) == (&member.host, member.external_id)
    }
}

impl Member {
    /// Whether the operator's file gives the role.
    #[must_use]
    pub fn is_break_glass(&self) -> bool {
        self.role_source == BREAK_GLASS
    }
}
