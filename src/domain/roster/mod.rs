//! Who belongs, as a forge says it: read whole, compared as plain data, done step by step.
//!
//! ```text
//!  pages ──▶ Reading ──▶ Roster ──▶ plan() ──▶ Plan ──▶ Brake ──▶ steps
//!  kept      whole?      only then  pure       data     held?     applied
//! ```
//!
//! A [`Roster`] is made only of a reading whose every list was read to its end, and of all of its pages. So what is
//! missing in it is missing at the forge, as far as lists can tell; nobody is put out because a page did not come.

mod brake;
mod plan;
mod reading;
mod role;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use brake::{BRAKE, Brake, HeldPerson, Hold, HoldCause, HoldState, Pressure, Weighed};
pub use plan::{Kept, Plan, Step, What, Why, plan, plan_one};
pub use reading::{Endless, KeptPage, List, Next, PageRead, Reading, Rows, Subject};
pub use role::{MemberRules, RoleMap, Standing};

use super::Timestamp;

/// A person in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The number at the forge: what the person is.
    #[serde(rename = "i")]
    pub id: u64,
    /// The name today: what the person is called.
    #[serde(rename = "l")]
    pub login: String,
    /// The place in the account.
    #[serde(rename = "s")]
    pub standing: Standing,
}

/// A person with every place that the lists give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name today.
    pub login: String,
    /// All places, each once.
    pub standings: Vec<Standing>,
}

/// Why there is no roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// A list was not read to its end.
    #[error("a list was not read to its end")]
    Unfinished,
    /// A page that was read is not there.
    #[error("a page that was read is not kept any more")]
    PageMissing,
}

/// Everybody in an account: made of a whole reading alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    people: BTreeMap<u64, Entry>,
    began_at: Timestamp,
    counts_agree: bool,
}

impl Roster {
    /// Puts the pages of a reading together.
    ///
    /// # Errors
    /// When a list was not read to its end, or a page is missing: then nothing may be concluded.
    pub fn of(reading: &Reading, pages: impl IntoIterator<Item = KeptPage>) -> Result<Self, Incomplete> {
        if !reading.is_whole() {
            return Err(Incomplete::Unfinished);
        }
        let mut people: BTreeMap<u64, Entry> = BTreeMap::new();
        let mut seen: u32 = 0;
        for page in pages {
            seen = seen.saturating_add(1);
            if page.number != seen {
                return Err(Incomplete::PageMissing);
            }
            let Rows::People(rows) = page.rows else { continue };
            for Listed { id, login, standing } in rows {
                let entry = people.entry(id).or_insert_with(|| Entry { login, standings: Vec::new() });
                if !entry.standings.contains(&standing) {
                    entry.standings.push(standing);
                }
            }
        }
        if seen != reading.pages() {
            return Err(Incomplete::PageMissing);
        }
        Ok(Self { people, began_at: reading.began_at, counts_agree: reading.counts_agree() })
    }

    /// Everybody, by number.
    #[must_use]
    pub const fn people(&self) -> &BTreeMap<u64, Entry> {
        &self.people
    }

    /// When the reading began.
    #[must_use]
    pub const fn began_at(&self) -> Timestamp {
        self.began_at
    }

    /// Whether the forge counts as many rows as it gave. If not, nobody is put out because of it.
    #[must_use]
    pub const fn counts_agree(&self) -> bool {
        self.counts_agree
    }
}
