//! scm-connect.

pub mod demo;
pub mod domain;
pub mod handler;
pub mod provider;
pub mod seal;
pub mod store;
pub mod worker;
