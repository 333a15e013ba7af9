//! Connections as people make, test and end them: who is asked, with what, and what comes of it.
//!
//! [`Forges`] makes a ready client out of a connection's credential, wherever that is kept. What is learnt through it
//! is decided here, purely where possible, and written by the store in one act.

mod forges;

pub use forges::{Forges, How, NotReady, Ready, Way, Ways};
