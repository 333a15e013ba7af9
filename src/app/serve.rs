//! `serve`: the daemon until a signal ends it.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Daemon, Manner, clock, runtime_dir, supervisor};
use crate::cli::{Environment, Exit, Failure, Terminal};
use crate::config::{Config, ConfigError};
use crate::domain::Clock;
use crate::telemetry::log::{self, Format};
use crate::telemetry::{Fault, metric, report};

/// The variable that says how much is logged (`info`, `scm_connect=debug`).
const LOG_VARIABLE: &str = "SCM_CONNECT_LOG";
/// A stop that takes longer is ended hard, which is as safe as a kill.
const STOP_WITHIN: Duration = Duration::from_millis(9_500);

/// Sets up logs, once per process.
pub(super) fn start_logs(environment: &Environment, clock: &Clock) -> Result<(), Failure> {
    let format = Format::of_terminal(std::io::stderr().is_terminal());
    log::install(format, environment.get(LOG_VARIABLE).map(String::as_str), Arc::clone(clock))
        .map_err(Failure::usage)
}

/// Runs until a signal or a store that has stopped.
pub(super) async fn serve(
    load: impl Fn() -> Result<Config, ConfigError>,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let clock = clock();
    let config = load()?;
    start_logs(environment, &clock)?;
    let exporter = Arc::new(metric::install().map_err(Failure::failed)?);
    let mut signals =
        Signals::new().map_err(|error| Failure::failed(format!("no signals can be heard: {error}")))?;
    let manner = Manner { runtime_dir: runtime_dir(environment), works: true, stand_in_keys: None };
    let started = Daemon::start(&config, Arc::clone(&exporter), Arc::clone(&clock), &manner).await;
    let daemon = started.inspect_err(|failure| {
        // A person reads the sentence that follows; a collector of logs wants a line with a code.
        if !std::io::stderr().is_terminal() {
            report!(Fault::StartRefused, reason = %failure, "the daemon cannot start");
        }
    })?;
    tracing::info!(public = %daemon.public, ops = %daemon.ops, version = env!("CARGO_PKG_VERSION"), "ready");
    if let Some(link) = &daemon.setup_link {
        terminal.line(&format!("make the first admin here, once, within a day: {link}"))?;
    }
    let upkeep = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            exporter.tidy();
        }
    });
    let beat = tokio::spawn(supervisor::keep_telling(daemon.ops));
    supervisor::tell(NotifyState::Ready);
    let ended = wait(&daemon, &mut signals, &load, &clock).await;
    supervisor::tell(NotifyState::Stopping);
    upkeep.abort();
    std::thread::spawn(|| {
        std::thread::sleep(STOP_WITHIN);
        report!(
            Fault::StopTooSlow,
            "the stop took too long and is ended hard; everything acknowledged is kept"
        );
        std::process::exit(Exit::Failed as i32);
    });
    daemon.stop().await;
    beat.abort();
    tracing::info!("stopped");
    ended
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn wait(
    daemon: &Daemon,
    signals: &mut Signals,
    load: &impl Fn() -> Result<Config, ConfigError>,
    clock: &Clock,
) -> Result<Exit, Failure> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(Exit::Done),
            _ = signals.interrupt.recv() => return Ok(Exit::Done),
            why = daemon.failed() => return Err(Failure { exit: Exit::Store, message: why }),
            _ = signals.hangup.recv() => reload(daemon, load, clock).await,
        }
    }
}

/// All of the new config or nothing of it.
async fn reload(daemon: &Daemon, load: &impl Fn() -> Result<Config, ConfigError>, clock: &Clock) {
    let read = load().map_err(Failure::from);
    let applied = match read {
        Ok(config) => daemon.reload(&config, clock).await,
        Err(failure) => Err(failure),
    };
    match applied {
        Ok(()) => tracing::info!(code = "config-reloaded", "the config was read again and is in force"),
        Err(failure) => {
            report!(Fault::ConfigRefused, "the new config is refused, the old one stays: {failure}");
        }
    }
}
