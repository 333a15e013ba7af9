//! CI jobs against the real program: ID tokens by a published issuer, first contact, tokens for one project.

mod check_in;
mod hooked;
pub(crate) mod issuer;
mod office;
mod report;
pub(crate) mod scanner;
mod semgrep;
mod template;
