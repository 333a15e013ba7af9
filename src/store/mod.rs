//! What is kept.
pub mod sled;
