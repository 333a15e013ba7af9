//! The one binary of tests that look at the product from outside.

#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

mod crash;
mod damage;
mod edge;
mod fuzz;
mod harness;
mod peers;
mod tidy;
