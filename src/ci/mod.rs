//! What a CI job says to us, and how it is proven.

pub mod id_token;
pub mod keys;
