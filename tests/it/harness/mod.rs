//! What the proofs from outside share: the real program as a child, a client that signs, a ledger of what was
//! acknowledged, and the comparison of the two.

pub(crate) mod bench;
pub(crate) mod certificate;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod daemon;
pub(crate) mod dice;
pub(crate) mod inside;
pub(crate) mod ledger;
pub(crate) mod parcel;

use std::path::PathBuf;
use std::process::Command;

/// Whether the full campaigns are asked for (`SCM_CONNECT_FULL=1`); else they are bounded.
#[expect(clippy::disallowed_methods, reason = "a test's own setting")]
pub(crate) fn is_full() -> bool {
    std::env::var("SCM_CONNECT_FULL").is_ok_and(|value| value == "1")
}

/// Where `tests/tools` puts the programs that it installs.
pub(crate) fn tools() -> PathBuf {
    let tools = std::env::var_os("SCM_CONNECT_TOOLS").map(PathBuf::from);
    tools.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/scm-connect/tools"))
}

/// The program itself, to be run as its user would.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_scm-connect"))
}

/// The bounded or the full number.
pub(crate) fn sized<T>(bounded: T, full: T) -> T {
    if is_full() { full } else { bounded }
}
