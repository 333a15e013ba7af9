//! The real program as a child process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Whether a daemon is ready is looked at so often: a minute, and longer where the machine stands still for both.
const START_LOOKS_MAX: u32 = 3_000;
const LOOK_EVERY: Duration = Duration::from_millis(20);

static STARTS: AtomicU32 = AtomicU32::new(0);

/// How to start one.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    config: PathBuf,
    store: PathBuf,
    logs: PathBuf,
    before: Vec<String>,
    environment: Vec<(String, String)>,
    fault: String,
}

impl Start {
    pub(super) fn new(config: &Path, store: &Path, logs: &Path) -> Self {
        let (config, store, logs) = (config.to_owned(), store.to_owned(), logs.to_owned());
        Self { config, store, logs, before: Vec::new(), environment: Vec::new(), fault: String::new() }
    }

    /// With a planted fault (`src/fault.rs`).
    pub(crate) fn fault(mut self, spec: &str) -> Self {
        spec.clone_into(&mut self.fault);
        self
    }

    /// With a variable in its environment.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its own fault, and the one that `tests/bars` plants to see a test fail.
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    fn faults(&self) -> String {
        let planted = std::env::var("SCM_CONNECT_PLANT").unwrap_or_default();
        format!("{planted},{}", self.fault)
    }

    /// With a variable of its own.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Run by another program (`strace -D …`, `prlimit …`) that becomes or leaves it our own child.
    pub(crate) fn under(mut self, program: &[String]) -> Self {
        self.before = program.to_vec();
        self
    }

    /// Starts it and does not wait for anything.
    pub(crate) fn spawn(&self) -> Daemon {
        let log = self.logs.join(format!("log-{}.txt", STARTS.fetch_add(1, Ordering::Relaxed)));
        let output = File::create(&log).unwrap();
        let mut words = self.before.clone();
        words.push(env!("CARGO_BIN_EXE_scm-connect").to_owned());
        let (program, rest) = words.split_first().unwrap();
        let child = Command::new(program)
            .args(rest)
            .args(["serve", "--config"])
            .arg(&self.config)
            .env("SCM_CONNECT_FAULT", self.faults())
            .env("RUST_BACKTRACE", "0")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        // Each question on a connection of its own, that none is left open when the daemon is stopped.
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2));
        let http = http.pool_max_idle_per_host(0).build().unwrap();
        Daemon { child, log, store: self.store.clone(), http, public: String::new(), ops: String::new() }
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn ready(&self) -> Daemon {
        let mut daemon = self.spawn();
        assert!(daemon.await_ready().await, "the daemon did not become ready:\n{}", daemon.output());
        daemon
    }
}

/// A running (or ended) program. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
    store: PathBuf,
    http: reqwest::Client,
    /// `host:port` of the public listener.
    pub(crate) public: String,
    /// `host:port` of the ops listener.
    pub(crate) ops: String,
}

impl Daemon {
    /// The store's folder.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// All that it has written.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until it takes deliveries; `false` when it ended instead, or took too long.
    pub(crate) async fn await_ready(&mut self) -> bool {
        for _ in 0..START_LOOKS_MAX {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.find_addresses() && self.ops_status("/readyz").await == Some(200) {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// The same, ready or not: whose store cannot be written to is not.
    pub(crate) async fn await_listening(&mut self) -> bool {
        for _ in 0..START_LOOKS_MAX {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.find_addresses() {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// The ports are chosen by the kernel and written into the line that says "ready".
    fn find_addresses(&mut self) -> bool {
        if self.public.is_empty()
            && let Some(line) = self.output().lines().find(|line| line.contains("\"ready\""))
        {
            self.public = field(line, "public");
            self.ops = field(line, "ops");
        }
        !self.public.is_empty()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end; `None` when it does not come in time.
    pub(crate) async fn ended_within(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() >= until {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// SIGTERM, and its clean end within the ten seconds that R42 allows. Says how long it took.
    pub(crate) async fn stop(mut self) -> Duration {
        let began = Instant::now();
        self.signal(Signal::TERM);
        let ended = self.ended_within(Duration::from_secs(10)).await;
        let code = ended.map(|status| status.code());
        assert_eq!(code, Some(Some(0)), "not a clean end within 10 s:\n{}", self.output());
        began.elapsed()
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        let _ = self.child.kill();
        self.ended_within(Duration::from_secs(30)).await.unwrap();
    }

    /// The status of a GET at the ops listener; `None` when nobody answers.
    pub(crate) async fn ops_status(&self, path: &str) -> Option<u16> {
        let answer = self.http.get(format!("http://{}{path}", self.ops)).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    /// Waits for a status at the ops listener; says how long it took, `None` when it did not come.
    pub(crate) async fn await_ops(&self, path: &str, wanted: u16, within: Duration) -> Option<Duration> {
        let began = Instant::now();
        while began.elapsed() < within {
            if self.ops_status(path).await == Some(wanted) {
                return Some(began.elapsed());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        None
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A text field of a JSON line, wherever in the line it is.
fn field(line: &str, name: &str) -> String {
    let after = line.split_once(&format!("\"{name}\":\"")).map(|(_, rest)| rest);
    after.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}
