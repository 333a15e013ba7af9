//! The one binary of tests that look at the product from outside.

#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

mod fuzz;
mod peers;
mod tidy;
