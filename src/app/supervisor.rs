//! What systemd is told: that the daemon is ready, that it still answers, that it ends. Without systemd nothing happens.

use std::net::SocketAddr;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::cli::health::{Question, ask};

/// Tells it. Nobody listens outside of systemd, and what cannot be told changes nothing.
pub(super) fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

/// Tells that the daemon is alive for as long as `/livez` says so, three times as often as the unit asks for.
pub(super) async fn keep_telling(ops: SocketAddr) {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    let every = within.checked_div(3).unwrap_or(within);
    loop {
        beat(ops, every, || tell(NotifyState::Watchdog)).await;
        tokio::time::sleep(every).await;
    }
}

/// Asks over the network, as a balancer would: a thread that hangs does not answer, and then nothing is told.
async fn beat(ops: SocketAddr, at_most: Duration, tell: impl FnOnce()) {
    let alive = tokio::time::timeout(at_most, ask(ops, Question::Alive)).await;
    if matches!(alive, Ok(Ok(true))) {
        tell();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn r49_a_daemon_that_does_not_answer_is_not_called_alive() {
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let told = Cell::new(false);
        beat(mute.local_addr().unwrap(), Duration::from_millis(200), || told.set(true)).await;
        assert!(!told.get(), "it takes connections and says nothing");
        let gone = mute.local_addr().unwrap();
        drop(mute);
        beat(gone, Duration::from_secs(5), || told.set(true)).await;
        assert!(!told.get(), "nobody is there");
    }
}
