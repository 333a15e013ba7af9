//! Members and projects as the forge has them: read whole, planned, weighed, done; and deliveries that nobody took.
//!
//! ```text
//!  Directory ──▶ kept pages ──▶ Roster ──▶ plan ──▶ brake ──▶ asked again, singly ──▶ store.apply
//! ```
//!
//! Whatever ends half-way is gone on from: pages are kept with the reading, and a plan is made anew from them. Nobody
//! is put out by a list alone: whoever is missing in it is asked about once more.

mod catch_up;
mod desk;
mod events;
mod lamp;
mod members;
mod person;
mod projects;
mod read;
mod refusal;
mod silence;
mod switch;
mod task;
#[cfg(test)]
mod tests;
mod timer;

pub use catch_up::{CaughtUp, forge_name, gaps};
pub use desk::{Desk, NoPlan};
pub use events::EventsSeen;
pub use lamp::light;
pub use person::PersonSynced;
pub use switch::Switch;
pub use task::{Directories, NoDirectory, missed, single, whole};
pub use timer::{look, look_for_missed};

use std::sync::Arc;

use crate::domain::health::Channel;
use crate::domain::organization::{Connection, Organization};
use crate::domain::roster::{Hold, Plan};
use crate::domain::{Clock, Timestamp};
use crate::provider::ProviderError;
use crate::store::{Store, StoreError};

/// Rows of the store read at once.
const ROWS: usize = 1_000;
/// Steps in one act.
const STEPS_MAX: usize = 256;

/// Why a sync did not come to its end. What was done stays done.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The forge gave no answer, or none that may be acted upon.
    #[error("{0}")]
    Forge(#[from] ProviderError),
    /// Another worker has gone on with the same reading.
    #[error("another worker reads the same lists")]
    Overtaken,
    /// A page that was read is not there any more.
    #[error("what was read is not kept any more; it is read anew")]
    Lost,
}

/// Whether forges reach this daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// They tell us of what happens.
    Reached,
    /// None does: their logs and lists are read the more often.
    Polling,
}

impl Reach {
    /// How it is with one connection: where no hook can be made, nobody tells of what happens there.
    pub(super) fn of(self, connection: &Connection) -> Self {
        if connection.health.channel == Channel::Polling { Self::Polling } else { self }
    }
}

/// Whether a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Apply,
    /// It is only shown.
    DryRun,
}

/// What came of a sync of members.
#[derive(Debug, Clone, Default)]
pub struct MembersSynced {
    /// Pages of the lists.
    pub pages: u32,
    /// The whole difference.
    pub plan: Plan,
    /// The steps that were done; in a dry run, those that would be.
    pub done: usize,
    /// Steps that were left because their member changed meanwhile.
    pub left: usize,
    /// Whom the forge still knew when it was asked again.
    pub still_there: usize,
    /// What waits for a person.
    pub hold: Option<Hold>,
    /// Nothing was read whole before, so that no difference is drift.
    pub is_first: bool,
}

impl MembersSynced {
    /// In a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let held = match &self.hold {
            Some(hold) if self.waits() => format!("; {} wait for an admin's yes", hold.people.len()),
            _ => String::new(),
        };
        let last = match self.plan.last_admin() {
            Some(person) => format!("; {} stays as the last admin", person.login),
            None => String::new(),
        };
        let left = if self.left > 0 { format!(", {} left for later", self.left) } else { String::new() };
        let (listed, pages) = (self.plan.listed, self.pages);
        format!("{listed} people on {pages} pages: {} steps done{left}{held}{last}", self.done)
    }
}

/// What came of a sync of projects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectsSynced {
    /// Pages of the list.
    pub pages: u32,
    /// Repositories on them.
    pub listed: usize,
    /// Not known before.
    pub found: usize,
    /// Changed, or back.
    pub changed: usize,
    /// Not there any more.
    pub gone: usize,
    /// Steps that were left because their project changed meanwhile.
    pub left: usize,
    /// Nothing was read whole before, so that no difference is drift.
    pub is_first: bool,
}

impl ProjectsSynced {
    /// In a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { pages, listed, found, changed, gone, left, is_first: _ } = self;
        let left = if *left > 0 { format!(", {left} left for later") } else { String::new() };
        format!("{listed} repositories on {pages} pages: {found} new, {changed} changed, {gone} gone{left}")
    }
}

/// Whose members or projects, and through which connection.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// The organization.
    pub organization: &'a Organization,
    /// The connection whose account is read.
    pub connection: &'a Connection,
}

/// Keeps members and projects as the forges have them.
pub struct Follower {
    store: Arc<dyn Store>,
    clock: Clock,
    reach: Reach,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Follower")
    }
}

impl Follower {
    /// On this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock, reach: Reach::Reached }
    }

    /// For a daemon that is or is not reached.
    #[must_use]
    pub fn with_reach(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
