//! The one binary of tests that look at the product from outside.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what it expects, and what it found"
)]

mod canary;
mod ci;
mod commands;
mod connect;
mod crash;
mod damage;
mod edge;
mod forge;
mod fuzz;
mod harness;
mod keep;
mod linking;
mod operate;
mod outbound;
mod peers;
mod replicas;
mod ssrf;
mod tidy;
mod walk;
