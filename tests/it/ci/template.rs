//! The CI files that we hand out: judged by others, and run for real.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::office::Office;
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

#[tokio::test]
async fn the_gitlab_file_makes_the_connection_when_it_runs() {
    let office = Office::open("").await;
    let (ci, read) = (office.token("acme", "ci"), office.token("acme", "read"));
    let folder = tempfile::tempdir().unwrap();
    for words in [
        &["init", "-q", "-b", "main"][..],
        &["config", "user.email", "somebody@example.com"],
        &["config", "user.name", "Somebody"],
        &["remote", "add", "origin", "https://gitlab.com/acme/web.git"],
        &["commit", "-q", "--allow-empty", "-m", "first"],
    ] {
        assert!(Command::new("git").current_dir(folder.path()).args(words).status().unwrap().success());
    }
    written(folder.path(), "gitlab", false, &format!("http://{}", office.daemon.public));
    let token = office.issuer.gitlab("acme/web", 20, 72, 1);
    let output = Command::new(peers::home().join("node/node_modules/.bin/gitlab-ci-local"))
        .args(["--force-shell-executor", "--variable", &format!("SCM_CONNECT_ID_TOKEN={token}")])
        .args(["--variable", &format!("SCM_CONNECT_TOKEN={ci}"), "scm-connect"])
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("checked in as acme/web"), "{said}");
    assert!(!said.contains("scmc_ci_"), "a token stands in the job's log:\n{said}");
    let connections = office.list("/api/v1/connections", &read).await;
    assert_eq!((connections.len(), &connections[0]["kind"]), (1, &json!("gitlab_cloud")));
}
