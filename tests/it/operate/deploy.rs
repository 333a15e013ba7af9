//! The files under `deploy/`, each judged by the program that will read it.

use std::process::Command;

use super::{file, pass, text, tool};
use crate::harness::program;

/// Ten times the exposure that `systemd-analyze security` counts; less is better.
const EXPOSURE_MAX: &str = "--threshold=15";

#[test]
fn the_units_exposure_is_low() {
    let unit = file("deploy/systemd/scm-connect.service");
    let printed =
        pass(Command::new("systemd-analyze").args(["security", "--offline=true", EXPOSURE_MAX]).arg(&unit));
    println!("{}", printed.lines().last().unwrap_or_default());
    let unit = text("deploy/systemd/scm-connect.service");
    assert!(unit.contains("Type=notify\n") && unit.contains("WatchdogSec="));
}

#[test]
fn systemd_knows_every_word_of_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("scm-connect.service");
    // It looks whether the program is there, which is about this machine and not about the unit.
    let there = text("deploy/systemd/scm-connect.service").replace("/usr/local/bin/scm-connect", "/bin/true");
    std::fs::write(&unit, there).unwrap();
    let printed = pass(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    assert_eq!(printed, "", "what it does not know it passes over");
}

#[test]
fn the_example_config_is_one_that_the_program_takes() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = program();
    check
        .current_dir(folder.path())
        .args(["check", "--json", "--config"])
        .arg(file("deploy/scm-connect.toml"));
    check.env("ACME_HOOK_SECRET", "0123456789abcdef0123456789abcdef").arg("--offline");
    let printed: serde_json::Value = serde_json::from_str(&pass(&mut check)).unwrap();
    assert!(printed["config"].as_str().unwrap().contains("acme-github"), "{printed}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "check left something behind");
}

#[test]
fn the_alert_rules_are_rules_and_fire_when_they_should() {
    println!(
        "{}",
        pass(
            Command::new(tool("debian/usr/bin/promtool"))
                .args(["check", "rules"])
                .arg(file("deploy/prometheus/alerts.yaml"))
        )
    );
    let tests = file("deploy/prometheus/alerts.test.yaml");
    println!("{}", pass(Command::new(tool("debian/usr/bin/promtool")).args(["test", "rules"]).arg(tests)));
}

#[test]
fn every_alert_is_seen_firing_in_the_rules_tests() {
    let (rules, tests) = (text("deploy/prometheus/alerts.yaml"), text("deploy/prometheus/alerts.test.yaml"));
    let names: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is not tested");
    }
}

#[test]
fn the_container_file_has_no_lint() {
    pass(
        Command::new(tool("python/bin/hadolint"))
            .arg("--failure-threshold=style")
            .arg(file("deploy/container/Containerfile")),
    );
    let container = text("deploy/container/Containerfile");
    let last = container.rsplit_once("\nFROM ").unwrap().1;
    assert!(
        last.contains("USER 65532:65532") && !last.contains("RUN "),
        "the image has no shell to run anything"
    );
    assert!(last.contains("\"healthcheck\"]"), "{last}");
}

#[test]
fn the_proxy_takes_what_the_daemon_takes() {
    let sample = text("deploy/nginx/scm-connect.conf");
    let most = sample.split_once("client_max_body_size ").unwrap().1.split_once("m;").unwrap().0;
    let most: u64 = most.parse().unwrap();
    assert!(most * 1024 * 1024 > 27_262_976, "the proxy refuses what the daemon would take");
    for line in ["proxy_request_buffering off;", "proxy_next_upstream off;", "X-Forwarded-For $remote_addr;"]
    {
        assert!(sample.contains(line), "{line}");
    }
}

#[test]
fn the_compose_file_names_what_is_there() {
    let compose = text("deploy/container/compose.yaml");
    let read = "import sys, yaml, json; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", tool("python")).args(["-c", read]);
    python.stdin(std::fs::File::open(file("deploy/container/compose.yaml")).unwrap());
    let parsed: serde_json::Value = serde_json::from_str(&pass(&mut python)).unwrap();
    let ours = &parsed["services"]["scm-connect"];
    let root = file("deploy/container").join(ours["build"]["context"].as_str().unwrap());
    assert!(root.join(ours["build"]["dockerfile"].as_str().unwrap()).exists());
    assert_eq!(ours["read_only"], true);
    assert_eq!(ours["cap_drop"], serde_json::json!(["ALL"]));
    assert_eq!(parsed["networks"]["back"]["internal"], true, "the database is reached by nobody else");
    assert!(!compose.contains("ports: [\"8080") && !compose.contains("0.0.0.0:8080:"));
}
