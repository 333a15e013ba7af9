//! The published Semgrep command line, unchanged, as a GitLab job and as a GitHub job.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::office::Office;
use crate::peers;

const RULES: &str = "rules:
  - id: no-eval
    pattern: eval(...)
    message: do not use eval
    languages: [python]
    severity: ERROR
  - id: no-exec
    pattern: exec(...)
    message: do not use exec
    languages: [python]
    severity: WARNING
";

/// A repository with a file in it.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn new(origin: &str) -> Self {
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

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn git(&self, words: &[&str]) -> String {
        let output = Command::new("git").current_dir(self.path()).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, text: &str) -> String {
        std::fs::write(self.path().join("app.py"), text).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

fn semgrep(office: &Office, checkout: &Checkout, token: &str, variables: &[(&str, &str)]) -> Output {
    let home: PathBuf = peers::home().join("semgrep");
    let own = checkout.path().join(".git/semgrep-home");
    std::fs::create_dir_all(&own).unwrap();
    Command::new("python3")
        .arg(home.join("bin/semgrep"))
        .args(["ci", "--oss-only", "--metrics=off"])
        .current_dir(checkout.path())
        .env_clear()
        .env("PATH", format!("{}:{}:/usr/local/bin:/usr/bin:/bin", home.join("bin").display(), python_path()))
        .env("PYTHONPATH", &home)
        .env("HOME", &own)
        .env("SEMGREP_URL", format!("http://{}", office.daemon.public))
        .env("SEMGREP_APP_TOKEN", token)
        .env("SEMGREP_ENABLE_VERSION_CHECK", "0")
        .env("SEMGREP_SEND_METRICS", "off")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// Where the Python lies for which the packages were installed.
fn python_path() -> String {
    let found = Command::new("python3").args(["-c", "import sys; print(sys.exec_prefix + '/bin')"]).output();
    String::from_utf8(found.unwrap().stdout).unwrap().trim().to_owned()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn office() -> (Office, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
    let rules = folder.path().display();
    let more = format!("\n[[organizations]]\nslug = \"scanned\"\nname = \"Scanned\"\nrules = \"{rules}\"\n");
    (Office::open_with("", &more).await, folder)
}

async fn findings(office: &Office, read: &str, project: &str) -> Vec<(String, String)> {
    let answer = office.get(&format!("/orgs/scanned/findings?repo={project}&ref=main"), read).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let items = answer.body["items"].as_array().unwrap();
    let mut all: Vec<_> = items.iter().map(|item| (text(item, "rule"), text(item, "state"))).collect();
    all.sort();
    all
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(rule, state)| ((*rule).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test]
async fn semgrep_ci_scans_as_a_gitlab_job() {
    let (office, _rules) = office().await;
    let (ci, read) = (office.token("scanned", "ci"), office.token("scanned", "read"));
    let checkout = Checkout::new("https://gitlab.com/acme/web.git");
    let sha = checkout.commit("eval(input())\nexec(input())\n");
    let job = |sha: &str| -> Vec<(&'static str, String)> {
        [
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
        ]
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .chain([("CI_COMMIT_SHA", sha.to_owned())])
        .collect()
    };
    let run = |token: &str, sha: &str| {
        let job = job(sha);
        let variables: Vec<(&str, &str)> = job.iter().map(|(name, value)| (*name, value.as_str())).collect();
        semgrep(&office, &checkout, token, &variables)
    };
    let output = run(&ci, &sha);
    assert_eq!(output.status.code(), Some(1), "blocking findings:\n{}", said(&output));
    assert!(said(&output).contains("/orgs/scanned/findings"), "{}", said(&output));
    let both = pairs(&[("no-eval", "open"), ("no-exec", "open")]);
    assert_eq!(findings(&office, &read, "acme/web").await, both);
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!((&projects[0]["full_path"], &projects[0]["proof"]), (&json!("acme/web"), &json!("claimed")));
    // The job proves itself, and scans with the token that it got: the same project, and one finding less.
    let proven = office.prove(Some(&ci), &office.issuer.gitlab("acme/web", 20, 72, 1)).await;
    assert_eq!(proven.body["project"]["id"], projects[0]["id"], "{:?}", proven.body);
    let own = proven.body["token"]["value"].as_str().unwrap();
    let sha = checkout.commit("exec(input())\n");
    let output = run(own, &sha);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let one = pairs(&[("no-eval", "fixed"), ("no-exec", "open")]);
    assert_eq!(findings(&office, &read, "acme/web").await, one);
}

#[tokio::test]
async fn semgrep_ci_scans_as_a_github_job() {
    let (office, _rules) = office().await;
    let (ci, read) = (office.token("scanned", "ci"), office.token("scanned", "read"));
    let checkout = Checkout::new("https://github.com/octo/site.git");
    let sha = checkout.commit("print(1)\n");
    let event = checkout.path().join(".git/event.json");
    std::fs::write(&event, "{}").unwrap();
    let event = event.display().to_string();
    let workspace = checkout.path().display().to_string();
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("CI", "true"),
        ("GITHUB_REPOSITORY", "octo/site"),
        ("GITHUB_REPOSITORY_ID", "456"),
        ("GITHUB_REPOSITORY_OWNER_ID", "123"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_API_URL", "http://127.0.0.1:9"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_EVENT_PATH", event.as_str()),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_SHA", sha.as_str()),
        ("GITHUB_RUN_ID", "9"),
        ("GITHUB_WORKSPACE", workspace.as_str()),
    ];
    let output = semgrep(&office, &checkout, &ci, &variables);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!(
        (&projects[0]["full_path"], &projects[0]["host"]),
        (&json!("octo/site"), &json!("github.com"))
    );
}
