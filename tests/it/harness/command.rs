//! One command of the real program, run to its end.

use std::process::{Command, Stdio};

use super::bench::Bench;

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed, and what it said besides.
    pub(crate) said: String,
}

impl Ended {
    /// Fails unless it ended with this code and said all of these.
    pub(crate) fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "no \"{word}\" in: {}", self.said);
        }
    }
}

/// Runs it with the bench's config, and with a planted fault (`src/fault.rs`) unless that is empty.
pub(crate) async fn run(bench: &Bench, fault: &str, words: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scm-connect"));
    command.arg("--config").arg(bench.config()).args(words).stdin(Stdio::null());
    command.env("SCM_CONNECT_FAULT", fault).env("RUST_BACKTRACE", "0");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), said: text(&output.stdout) + &text(&output.stderr) }
}
