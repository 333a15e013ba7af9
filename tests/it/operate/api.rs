//! The API against its own document: schemathesis asks the real daemon all that the document allows, and more.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{file, pass, python, run, tool};
use crate::harness::bench::Bench;
use crate::harness::client::Client;
use crate::harness::daemon::Daemon;
use crate::harness::ledger::Ledger;
use crate::harness::{program, sized};

/// A token of this kind, made as its user would make it.
fn token(bench: &Bench, kind: &str) -> String {
    let mut command = program();
    command.args(["token", "create", "--organization", "acme", "--kind", kind, "--config"]);
    let output = command.arg(bench.config()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Something of everything: recorded deliveries of both forges.
fn fill(daemon: &Daemon) {
    let github = ["installation", "repository", "push", "membership", "member", "workflow_run", "ping"];
    for (event, source, secret) in github
        .map(|event| (event, "our-app", "github-hook-secret-0123456789"))
        .into_iter()
        .chain([("pipeline", "our-group", "gitlab-hook-secret-0123456789")])
    {
        let to = format!("http://{}/hooks/{source}", daemon.public);
        pass(program().args(["send", event, "--to", &to, "--secret", secret]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_as_its_document_says_whatever_it_is_asked() {
    let bench = Bench::new();
    let daemon = bench.daemon().await;
    fill(&daemon);
    let ledger = Ledger::new(3_000);
    Client::new(&daemon.public, &ledger).send_all(60, 300).await;
    let bearer = format!("Authorization: Bearer {}", token(&bench, "admin"));
    let address = format!("http://{}/api/v1/openapi.json", daemon.public);
    let most = sized(15, 200).to_string();
    let (well, printed) = run(python(&tool("python/bin/schemathesis"))
        .current_dir(bench.file(""))
        .arg("--config-file")
        .arg(file("tests/operate/schemathesis.toml"))
        .args(["run", &address, "-H", &bearer, "--max-examples", &most, "--no-color"]));
    let summary = printed.split_once("SUMMARY").map_or(printed.as_str(), |(_, summary)| summary);
    println!("{summary}");
    assert!(well, "{printed}");
    assert!(summary.contains("Tested"), "{printed}");
    assert_eq!(daemon.ops_status("/readyz").await, Some(200));
    assert!(!daemon.output().contains("panic"), "{}", daemon.output());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_prints_the_document_that_is_served() {
    let bench = Bench::new();
    let daemon = bench.daemon().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let served = client.get(format!("http://{}/api/v1/openapi.json", daemon.public)).send().await.unwrap();
    let served = served.text().await.unwrap();
    let printed = pass(program().arg("openapi"));
    assert_eq!(served.trim(), printed.trim());
    daemon.stop().await;
}

#[test]
fn every_example_in_the_document_is_what_it_is_an_example_of() {
    let document = pass(program().arg("openapi"));
    let mut check = python(&file("tests/operate/examples.py"));
    let mut child = check.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_document_is_an_openapi_document() {
    let document: serde_json::Value = serde_json::from_str(&pass(program().arg("openapi"))).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openapi.json");
    std::fs::write(&path, document.to_string()).unwrap();
    // schemathesis reads it whole before it asks anything; an address where nobody is ends it there.
    let mut command: Command = python(&tool("python/bin/schemathesis"));
    command.current_dir(folder.path()).args(["run"]).arg(&path);
    let (_, printed) =
        run(command.args(["--url", "http://127.0.0.1:9", "--phases", "examples", "--no-color"]));
    assert!(!printed.contains("Schema Error") && printed.contains("Selected"), "{printed}");
}
