//! The published Semgrep command line as a child process, in a repository of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::peers;

/// A repository with a file in it.
pub(crate) struct Checkout(tempfile::TempDir);

impl Checkout {
    pub(crate) fn new(origin: &str) -> Self {
        let checkout = Self(tempfile::tempdir().unwrap());
        for words in [
            &["init", "-q", "-b", "main"][..],
            &["config", "user.email", "somebody@example.com"],
            &["config", "user.name", "Somebody"],
            &["remote", "add", "origin", origin],
        ] {
            checkout.git(words);
        }
        checkout
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    fn git(&self, words: &[&str]) -> String {
        let output = Command::new("git").current_dir(self.path()).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn commit(&self, text: &str) -> String {
        std::fs::write(self.path().join("app.py"), text).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

/// A job of `acme/web` at GitLab.com, as its runner describes it.
pub(crate) fn gitlab_job(sha: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("GITLAB_CI", "true"),
        ("CI", "true"),
        ("CI_SERVER_URL", "https://gitlab.com"),
        ("CI_PROJECT_PATH", "acme/web"),
        ("CI_PROJECT_URL", "https://gitlab.com/acme/web"),
        ("CI_PROJECT_ID", "20"),
        ("CI_COMMIT_REF_NAME", "main"),
        ("CI_COMMIT_BRANCH", "main"),
        ("CI_PIPELINE_SOURCE", "push"),
        ("CI_JOB_URL", "https://gitlab.com/acme/web/-/jobs/1"),
        ("CI_COMMIT_TITLE", "change"),
        ("CI_COMMIT_SHA", sha),
    ]
}

/// `semgrep ci` in this repository, against the daemon at this address.
pub(crate) fn run(base: &str, checkout: &Checkout, token: &str, variables: &[(&str, &str)]) -> Output {
    let own = checkout.path().join(".git/semgrep-home");
    let mut command = prepared("python3", &own);
    command.arg(program()).args(["ci", "--oss-only", "--metrics=off"]).current_dir(checkout.path());
    command.env("SEMGREP_URL", base).env("SEMGREP_APP_TOKEN", token).envs(variables.iter().copied());
    command.output().unwrap()
}

/// Where it is.
pub(super) fn program() -> PathBuf {
    peers::home().join("semgrep/bin/semgrep")
}

/// A program that finds the command line and its Python, and nothing of this machine's user; `own` is its home.
pub(super) fn prepared(program: &str, own: &Path) -> Command {
    let home: PathBuf = peers::home().join("semgrep");
    std::fs::create_dir_all(own).unwrap();
    let found = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = vec![home.join("bin"), python_path()];
    paths.extend(std::env::split_paths(&found));
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::join_paths(paths).unwrap())
        .env("PYTHONPATH", &home)
        .env("HOME", own)
        .env("SEMGREP_ENABLE_VERSION_CHECK", "0")
        .env("SEMGREP_SEND_METRICS", "off");
    command
}

/// Where the Python lies for which the packages were installed.
fn python_path() -> PathBuf {
    let found = Command::new("python3").args(["-c", "import sys; print(sys.exec_prefix + '/bin')"]).output();
    PathBuf::from(String::from_utf8(found.unwrap().stdout).unwrap().trim())
}
