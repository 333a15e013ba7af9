//! The embedded store.
pub mod journal;
