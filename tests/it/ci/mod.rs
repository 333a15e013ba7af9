//! CI jobs against the real program: ID tokens by a published issuer, first contact, tokens for one project.

mod check_in;
mod hooked;
mod issuer;
mod office;
mod semgrep;
mod template;
