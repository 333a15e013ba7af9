//! `demo` and `send`: recorded deliveries, through a real front door.

use crate::cli::{Environment, Exit, Failure, Terminal, arguments};

/// Sends one recorded delivery.
pub(super) async fn send(
    _send: &arguments::Send,
    _environment: &Environment,
    _terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    Err(Failure::failed("not yet"))
}

/// Plays the story.
pub(super) async fn demo(
    _once: bool,
    _environment: &Environment,
    _terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    Err(Failure::failed("not yet"))
}
