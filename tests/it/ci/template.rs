//! The CI files that we hand out: judged by others, and run for real.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;

use super::office::Office;
use super::scanner::{Checkout, prepared};
use super::semgrep;
use crate::forge::{Answers, Asked, Reply, serve};
use crate::peers;

fn written(folder: &Path, forge: &str, scans: bool, url: &str) -> std::path::PathBuf {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scm-connect"));
    command.args(["ci-template", forge]).env("SCM_CONNECT__PUBLIC_URL", url).current_dir(folder);
    if scans {
        command.arg("--scan");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let place = match forge {
        "github" => folder.join(".github/workflows/semgrep.yml"),
        _ => folder.join(".gitlab-ci.yml"),
    };
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, output.stdout).unwrap();
    place
}

fn judged(program: &str, words: &[&str], folder: &Path) {
    let home = peers::home().join("lint");
    let output = Command::new(home.join("bin").join(program))
        .args(words)
        .env("PYTHONPATH", &home)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program} {words:?}:\n{}", String::from_utf8_lossy(&said));
}

#[test]
fn every_ci_file_passes_the_forges_schema_and_the_linter() {
    for scans in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let url = "https://scm.example.com";
        let github = written(folder.path(), "github", scans, url);
        judged("actionlint", &[github.to_str().unwrap()], folder.path());
        let github = github.to_str().unwrap();
        judged("check-jsonschema", &["--builtin-schema", "vendor.github-workflows", github], folder.path());
        let gitlab = written(folder.path(), "gitlab", scans, url);
        let gitlab = gitlab.to_str().unwrap();
        judged("check-jsonschema", &["--builtin-schema", "vendor.gitlab-ci", gitlab], folder.path());
    }
}

/// A repository of `acme/web` at GitLab with our file in it; its URL is the daemon's own.
fn checkout(office: &Office, scans: bool) -> Checkout {
    let checkout = Checkout::new("https://gitlab.com/acme/web.git");
    let file = written(checkout.path(), "gitlab", scans, &office.base());
    // Here a failure counts.
    let text = std::fs::read_to_string(&file).unwrap().replace("allow_failure: true", "allow_failure: false");
    std::fs::write(&file, text).unwrap();
    checkout.commit("eval(input())\nexec(input())\n");
    checkout
}

/// The job of our file, run as GitLab's runner would in a shell; says whether it ended well, and its log.
fn runs(checkout: &Checkout, id_token: &str, more: &[&str]) -> (bool, String) {
    let path = checkout.path();
    let output = prepared("node", &path.join(".git/home"))
        .arg(peers::home().join("node/node_modules/.bin/gitlab-ci-local"))
        .args(["--force-shell-executor", "--variable", &format!("SCM_CONNECT_ID_TOKEN={id_token}")])
        // It says of itself that it is none, and the command line looks at that.
        .args(["--variable", "GITLAB_CI=true"])
        .args(more)
        .arg("scm-connect")
        .current_dir(path)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn the_gitlab_file_makes_the_connection_when_it_runs() {
    let office = Office::open("").await;
    let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
    let token = office.issuer.gitlab("acme/web", 20, 72, 1);
    let with = format!("SCM_CONNECT_TOKEN={ci}");
    let (is_well, said) = runs(&checkout(&office, false), &token, &["--variable", &with]);
    assert!(is_well && said.contains("checked in as acme/web"), "{said}");
    assert!(!said.contains("scmc_ci_"), "a token stands in the job's log:\n{said}");
    let connections = office.list("/api/v1/connections", &read).await;
    assert_eq!((connections.len(), &connections[0]["kind"]), (1, &json!("gitlab_cloud")));
}

#[tokio::test]
async fn the_gitlab_file_with_a_scan_leaves_findings_of_a_proven_project() {
    let (office, _rules) = semgrep::office().await;
    let (ci, read) = (office.token("scanned", "ci"), office.token("scanned", "read"));
    // The organization's own token brings the group in; the job then needs none.
    let first = office.prove(Some(&ci), &office.issuer.gitlab("acme/web", 20, 72, 1)).await;
    assert_eq!(first.status, 201, "{:?}", first.body);
    let (is_well, said) = runs(&checkout(&office, true), &office.issuer.gitlab("acme/web", 20, 72, 2), &[]);
    assert!(!is_well, "blocking findings end the job:\n{said}");
    assert!(said.contains("checked in as acme/web") && !said.contains("scmc_ci_"), "{said}");
    let both = semgrep::pairs(&[("no-eval", "open"), ("no-exec", "open")]);
    assert_eq!(semgrep::findings(&office, &read, "acme/web").await, both, "{said}");
    let projects = office.list("/api/v1/projects", &read).await;
    assert_eq!((projects.len(), &projects[0]["proof"]), (1, &json!("proven")));
}

/// What a developer reads who has no account here: what is wrong, and what to do.
#[tokio::test]
async fn a_refused_gitlab_job_ends_with_the_answers_code_message_and_help_in_its_log() {
    let office = Office::open("").await;
    for scans in [false, true] {
        let checkout = checkout(&office, scans);
        let (is_well, said) = runs(&checkout, &office.issuer.gitlab("acme/web", 20, 72, 1), &[]);
        assert!(!is_well, "{said}");
        for line in [
            "scm-connect: the check-in is refused: 403 project-unknown",
            "scm-connect: nothing is recorded under this project's number or its group's",
            "scm-connect: help: send the organization's CI token along with the first check-in",
        ] {
            assert!(said.contains(line), "no \"{line}\" in:\n{said}");
        }
        assert!(!said.contains("Traceback"), "{said}");
    }
}

/// The endpoint of GitHub's runner that gives a job its ID token, to whoever asks as documented.
struct Runner {
    audience: String,
    token: String,
}

impl Answers for Runner {
    fn answer(&self, asked: &Asked) -> Reply {
        let is_right = asked.header("authorization") == "Bearer runner-token"
            && asked.query("audience") == Some(&self.audience)
            && asked.query("api-version") == Some("2.0");
        let told = json!({"value": self.token});
        if is_right { Reply::json(200, &told) } else { Reply::json(401, &json!({"message": "not so"})) }
    }

    fn begin(&self, _: &Asked) {}

    fn end(&self, _: &Asked) {}

    fn latency_ms(&self) -> u64 {
        0
    }
}

/// The script of the GitHub file's only step.
fn step(folder: &Path, url: &str) -> String {
    let file = std::fs::read_to_string(written(folder, "github", false, url)).unwrap();
    let (_, script) = file.split_once("        run: |\n").unwrap();
    script.lines().map(|line| format!("{}\n", line.strip_prefix("          ").unwrap_or(line))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_github_job_says_in_its_log_what_came_of_it() {
    let office = Office::open("").await;
    let ci = office.token("acme", "ci");
    let token = office.issuer.github("octo/site", 456, 123, 9, json!({}));
    let runner = serve(Arc::new(Runner { audience: office.base(), token }));
    let folder = tempfile::tempdir().unwrap();
    let script = step(folder.path(), &office.base());
    let run = |variables: &[(&str, &str)]| {
        let output = prepared("bash", folder.path())
            .args(["-e", "-c", &script])
            .envs(variables.iter().copied())
            .output();
        let output = output.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let address = format!("{runner}token?api-version=2.0");
    let asks =
        [("ACTIONS_ID_TOKEN_REQUEST_URL", &*address), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-token")];
    let (is_well, said) = run(&[]);
    assert!(!is_well && said.contains("give it the permission id-token: write"), "{said}");
    let (is_well, said) = run(&[asks[0], ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another")]);
    assert!(
        !is_well && said.contains("scm-connect: GitHub gives this job no ID token: HTTP Error 401"),
        "{said}"
    );
    let (is_well, said) = run(&asks);
    assert!(!is_well && said.contains("scm-connect: the check-in is refused: 403 project-unknown"), "{said}");
    assert!(said.contains("\nscm-connect: help: send the organization's CI token"), "{said}");
    let (is_well, said) = run(&[asks[0], asks[1], ("SCM_CONNECT_TOKEN", &ci)]);
    assert!(is_well && said == "checked in as octo/site\n", "{said}");
    drop(office);
    let (is_well, said) = run(&asks);
    assert!(!is_well && said.contains("cannot be reached"), "{said}");
    assert!(!said.contains("Traceback"), "{said}");
}
