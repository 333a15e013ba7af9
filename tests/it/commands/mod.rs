//! The commands against a daemon that runs: how they end, what they print for people, for pipes and for programs, and
//! what they say of mistakes. A story for each family.

mod apply;
mod audit;
mod connections;
mod deliveries;
mod lists;
mod members;
mod templates;
mod tokens;

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;

use crate::forge::{BEGIN_S, FakeGitlab};
use crate::harness::bench::Bench;
use crate::harness::daemon::Daemon;

/// What a command came to.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    /// For pipes.
    out: String,
    /// For people.
    err: String,
}

impl Said {
    /// Fails unless it ended so, and said each of these to people.
    fn ends(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no \"{word}\" in {self:?}");
        }
        self
    }

    /// What it printed for a program.
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The cells of the table's lines; the first line is its head.
    fn cells(&self) -> Vec<Vec<&str>> {
        self.out.lines().map(|line| line.split('\t').collect()).collect()
    }
}

/// A daemon, a GitLab that it may call, and somebody who types.
struct Desk {
    bench: Bench,
    daemon: Daemon,
    gitlab: Arc<FakeGitlab>,
    group: u64,
}

impl Desk {
    async fn open() -> Self {
        let gitlab = FakeGitlab::cloud();
        gitlab.book.pass_s(scm_connect::app::clock()().ms() / 1000 - BEGIN_S);
        let group = gitlab.group("acme");
        for name in ["site", "shop", "tools"] {
            gitlab.project(group, name);
        }
        let bench = Bench::new();
        let limits = "[limits]\nallow_http_forges = true\nallow_private_forges = [\"127.0.0.0/8\"]\n";
        fs::write(bench.config(), bench.text(limits)).unwrap();
        let daemon = bench.daemon().await;
        Self { bench, daemon, gitlab, group }
    }

    /// Types a line to the daemon of this machine.
    async fn types(&self, line: &str) -> Said {
        self.typed(line, &[]).await
    }

    /// The same, with more in the environment.
    async fn typed(&self, line: &str, environment: &[(&str, &str)]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scm-connect"));
        command.args(line.split_whitespace()).stdin(Stdio::null());
        command.envs(environment.iter().copied());
        if !line.contains("--url") {
            command.arg("--config").arg(self.bench.config());
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// A file with this in it; gives its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.bench.file(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Connects the group with a token of its owner; gives the token.
    async fn connects(&self, more: &str) -> String {
        let token = self.gitlab.group_token(self.group, 50, &["api"]);
        let file = self.file("token", &token);
        let site = self.gitlab.site();
        let line = format!(
            "connections add --organization acme --kind gitlab_self_managed --forge {site} --account acme --key acme --token-file {file} {more}"
        );
        let said = self.types(&line).await.ends(0, &["it is "]);
        assert_eq!(said.out, "acme\n", "the key alone can be piped: {said:?}");
        token
    }
}
