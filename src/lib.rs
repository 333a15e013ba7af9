//! scm-connect.
pub mod seal;
pub mod store;
