//! Puts the parts together: reads the config, opens the store, starts workers and servers, and ends it all in time.
//!
//! The clock, randomness and signals are owned here; everything below gets them as arguments.

mod ask;
mod check;
mod daemon;
mod declare;
mod demo;
mod doors;
mod edge;
mod folder;
mod follow;
mod forges;
mod jobs;
mod keep;
mod linking;
mod logs;
mod notice;
mod serve;
mod supervisor;
mod tasks;
mod token;
mod watch;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub use daemon::{Daemon, Manner};
pub use follow::Accounts;

use crate::cli::{self, Arguments, Command, Environment, Exit, Failure, Terminal};
use crate::config::{Config, StoreUrl};
use crate::domain::{Clock, Timestamp};
use crate::store::OpenError;
use crate::telemetry::{Fault, report};

/// The real clock.
#[must_use]
pub fn clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system for the time")]
    let now = || Timestamp::from_ms(chrono::Utc::now().timestamp_millis());
    Arc::new(now)
}

/// Random bytes for ids and jitter; nothing secret depends on them alone.
fn random(bytes: &mut [u8]) {
    // A kernel without randomness has refused the master key already.
    let _ = getrandom::fill(bytes);
}

/// Any number, for the jitter of retries.
fn chance() -> u64 {
    let mut bytes = [0; 8];
    random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Runs one command and gives back the code to end with.
pub fn run(words: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    let arguments = match Arguments::read(words) {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    keep_secrets_in();
    log_panics();
    let mut terminal = Terminal::standard();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return end(Err(Failure::failed(format!("no threads can be started: {error}"))), &mut terminal);
        }
    };
    let outcome = runtime.block_on(dispatch(arguments, &environment, &mut terminal));
    let code = end(outcome, &mut terminal);
    // What still runs is safe to drop: everything acknowledged is on stable storage.
    runtime.shutdown_background();
    code
}

fn end(outcome: Result<Exit, Failure>, terminal: &mut Terminal) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // With nobody to read it, the code has to say it alone.
            if !failure.message.is_empty() {
                for line in format!("error: {failure}").lines() {
                    let _ = terminal.remark(line);
                }
            }
            failure.exit.into()
        }
    }
}

/// A panic is one log line, like every other fault; what it interrupted is answered by whoever waits for it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload().downcast_ref::<&str>().copied();
        let text =
            text.or_else(|| panic.payload().downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
        report!(Fault::Panic, place, text, "a thread met something that cannot be; what is stored is safe");
        if !tracing::dispatcher::has_been_set() {
            // A command without a log; with nobody to read it, the exit code has to say it alone.
            let told = format!("error: something that cannot be at {place}: {text}; what is stored is safe");
            let _ = writeln!(std::io::stderr(), "{}", crate::telemetry::escape::escape(&told));
        }
    }));
}

/// No core file and no debugger of the same user gets at keys in memory (security S50).
fn keep_secrets_in() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // Both only make it harder; a kernel that refuses them is no reason not to run.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

async fn dispatch(
    arguments: Arguments,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let file = arguments.config.as_deref();
    let load = || Config::load(file, environment.clone());
    match arguments.command {
        Command::Completions { shell } => cli::completions(shell, terminal),
        Command::Openapi => {
            terminal.out.write_all(&crate::web::openapi())?;
            terminal.line("")?;
            Ok(Exit::Done)
        }
        Command::CiTemplate { forge, scan } => {
            let public_url = Config::of_daemon(file, environment.clone())?.public_url;
            if crate::linking::is_here_only(&public_url) {
                terminal.remark(&format!(
                    "public_url is {public_url}, which only this machine can reach: set it to this server's address \
                     before a job runs this"
                ))?;
            }
            let template = crate::ci::Template::new(forge, &public_url, scan);
            terminal.out.write_all(template.content.as_bytes())?;
            Ok(Exit::Done)
        }
        Command::Version(json) => cli::version(json.json, terminal),
        Command::Send(send) => demo::send(&send, environment, terminal).await,
        Command::Demo(demo) => demo::demo(demo.once, environment, terminal).await,
        Command::Check(what) => {
            let manner = check::Manner { json: what.json.json, offline: what.offline };
            check::check(&load()?, environment, manner, terminal).await
        }
        Command::Serve => serve::serve(load, environment, terminal).await,
        Command::Healthcheck { live } => {
            let question = if live { cli::health::Question::Alive } else { cli::health::Question::Ready };
            let ops = Config::of_daemon(file, environment.clone())?.listen.ops;
            cli::health::healthcheck(ops, question, terminal).await
        }
        Command::Store(_) | Command::Backup(_) | Command::Restore(_) if arguments.url.is_some() => {
            Err(Failure::usage("this works on the machine of the store only: run it there, without --url"))
        }
        Command::Store(command) => keep::store(command, &load()?, environment, terminal).await,
        Command::Backup(place) => keep::backup(&place.to, &load()?, environment, terminal).await,
        Command::Restore(origin) => keep::restore(&origin.file, &load()?, terminal).await,
        Command::Apply(what) => ask::apply(&what, arguments.url.as_ref(), file, environment, terminal).await,
        Command::Ask(what) => ask::ask(what, arguments.url.as_ref(), file, environment, terminal).await,
    }
}

/// The folder of the embedded store; a database has none.
fn store_dir(config: &Config) -> Option<&Path> {
    match &config.store {
        StoreUrl::Sled(dir) => Some(dir),
        StoreUrl::Postgres(_) => None,
    }
}

/// Where a socket goes whose path in the store's folder would be too long.
fn runtime_dir(environment: &Environment) -> PathBuf {
    environment.get("XDG_RUNTIME_DIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self { exit: Exit::Store, message: error.to_string() }
    }
}
