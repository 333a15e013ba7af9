//! A published issuer of ID tokens as a child process (tests/peers/issuer.mjs).

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::peers;

/// The `public_url` of the daemons of these tests.
const AUDIENCE: &str = "http://127.0.0.1:8080";

/// Signs whatever claims it is given.
#[derive(Debug)]
pub(crate) struct Issuer {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    /// Where its keys are.
    pub(crate) keys: String,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let mut child = Command::new("node")
            .current_dir(peers::home().join("node"))
            .args(["--input-type=module", "-e", include_str!("../../peers/issuer.mjs")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let keys = line(&mut output);
        Self { child, pipes: Mutex::new((input, output)), keys }
    }

    /// A token with these claims and nothing else.
    pub(super) fn mint(&self, claims: &Value) -> String {
        let mut pipes = self.pipes.lock().unwrap();
        writeln!(pipes.0, "{claims}").unwrap();
        line(&mut pipes.1)
    }

    /// A token of a job at GitLab.com: `job` in the project `number`, whose group has the number `group`.
    pub(crate) fn gitlab(&self, path: &str, number: u64, group: u64, job: u64) -> String {
        self.gitlab_with(path, number, group, job, json!({}))
    }

    pub(super) fn gitlab_with(&self, path: &str, number: u64, group: u64, job: u64, more: Value) -> String {
        let namespace = path.rsplit_once('/').unwrap().0;
        let mut claims = json!({
            "iss": "https://gitlab.com", "jti": format!("jti-{job}"), "sub": format!("project_path:{path}"),
            "namespace_id": group.to_string(), "namespace_path": namespace, "project_id": number.to_string(),
            "project_path": path, "user_login": "somebody", "pipeline_id": "574", "pipeline_source": "push",
            "job_id": job.to_string(), "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
            "ref_protected": "true", "runner_id": 1, "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        });
        merge(&mut claims, more);
        self.now(claims)
    }

    /// A token of a run at github.com.
    pub(super) fn github(&self, path: &str, number: u64, owner: u64, run: u64, more: Value) -> String {
        let mut claims = json!({
            "iss": "https://token.actions.githubusercontent.com", "jti": format!("run-{run}"),
            "sub": format!("repo:{path}:ref:refs/heads/main"), "repository": path,
            "repository_id": number.to_string(), "repository_owner": path.split('/').next().unwrap(),
            "repository_owner_id": owner.to_string(), "run_id": run.to_string(), "run_attempt": "1",
            "event_name": "push", "ref": "refs/heads/main", "actor": "octocat", "actor_id": "1",
        });
        merge(&mut claims, more);
        self.now(claims)
    }

    fn now(&self, mut claims: Value) -> String {
        let now = scm_connect::app::clock()().ms() / 1000;
        merge(&mut claims, json!({"aud": AUDIENCE, "iat": now, "nbf": now - 5, "exp": now + 600}));
        self.mint(&claims)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "the issuer has ended");
    line.trim_end().to_owned()
}

fn merge(claims: &mut Value, more: Value) {
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
}
