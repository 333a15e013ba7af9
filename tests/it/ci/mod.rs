//! CI jobs against the real program: ID tokens by a published issuer, first contact, tokens for one project.

mod check_in;
mod issuer;
mod office;
mod semgrep;
mod template;
