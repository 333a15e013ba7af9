//! A source that one process makes is open at every other one from the first delivery on.

use reqwest::StatusCode;
use scm_connect::provider::github::hook::sign;
use secrecy::SecretString;
use serde_json::Value;

use crate::forge::FakeGithub;
use crate::harness::bench::Bench;
use crate::harness::cluster::Cluster;
use crate::harness::daemon::Daemon;
use crate::harness::program;

/// A ping, as GitHub sends it when a hook is made.
async fn ping(daemon: &Daemon, key: &str, secret: &str) -> StatusCode {
    let body = r#"{"zen":"Keep it logically awesome.","hook_id":1,"hook":{"type":"Organization","id":1}}"#;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(format!("http://{}/hooks/{key}", daemon.public))
        .header("content-type", "application/json")
        .header("x-github-event", "ping")
        .header("x-github-delivery", "2f3b8d40-0000-11ee-8000-000000000001")
        .header("x-github-hook-id", "1")
        .header("x-hub-signature-256", sign(&SecretString::from(secret.to_owned()), body.as_bytes()));
    request.body(body).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_one_process_makes_is_taken_by_every_other_one_at_once() {
    let url = Cluster::shared().database("").await;
    let bench = Bench::on_database(&url);
    let limits = "[limits]\nallow_http_forges = true\nallow_private_forges = [\"127.0.0.0/8\"]\n";
    std::fs::write(bench.config(), bench.text(limits)).unwrap();
    let (one, two) = (bench.daemon().await, bench.daemon().await);
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    let token = bench.file("token");
    std::fs::write(&token, github.token("ada", Some("public_repo, repo:status, user:email"))).unwrap();
    let mut command = program();
    command.args([
        "connections",
        "add",
        "--organization",
        "acme",
        "--kind",
        "github_enterprise_server",
        "--json",
    ]);
    command.args(["--account", "acme", "--key", "fresh", "--forge", github.site().as_str(), "--token-file"]);
    command.arg(&token).arg("--config").arg(bench.config());
    let made = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said: Value = serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"));
    let secret = said["hook"]["secret"].as_str().unwrap();
    for daemon in [&one, &two] {
        assert_eq!(ping(daemon, "fresh", secret).await, StatusCode::OK, "{}", daemon.output());
    }
    assert_eq!(ping(&one, "fresh", "another secret").await, StatusCode::UNAUTHORIZED);
    one.stop().await;
    two.stop().await;
}
