//! scm-connect.

pub mod cli;
pub mod config;
pub mod domain;
pub mod handler;
pub mod provider;
pub mod seal;
pub mod store;
pub mod telemetry;
