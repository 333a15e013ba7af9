//! GitHub: github.com and GitHub Enterprise Server.

pub mod hook;
pub mod read;
mod wire;
