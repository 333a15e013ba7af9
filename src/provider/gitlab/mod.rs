//! GitLab: GitLab.com and GitLab Self-Managed.

pub mod hook;
pub mod read;
mod wire;
