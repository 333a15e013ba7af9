//! What the proofs from outside share.

pub(crate) mod dice;

/// Whether the full campaigns are asked for (`SCM_CONNECT_FULL=1`); else they are bounded.
#[expect(clippy::disallowed_methods, reason = "a test's own setting")]
pub(crate) fn is_full() -> bool {
    std::env::var("SCM_CONNECT_FULL").is_ok_and(|value| value == "1")
}
