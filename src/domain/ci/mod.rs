//! What a CI job says to us, and how far it is believed.
//!
//! Two types carry trust, and each can be made in one way only: a [`ProvenJob`] by the check of an ID token, a
//! [`ClaimedJob`] by whoever holds an organization's CI token. A function that needs proof asks for the first, so that a
//! claim in its place does not compile.

mod check_in;
mod job;
mod known;

pub use check_in::{CheckIn, Policy, Refused};
pub use job::{CiCaller, ClaimedJob, Counts, Facts, Job, ProveJob, ProvenJob, Stranger, Witness};
pub use known::{JobKnown, JobLookup, holders_version};
