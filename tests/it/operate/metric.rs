//! `/metrics` of a daemon that has worked, judged by Prometheus's own tool and held against our table; and what the
//! board and the alerts ask for.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use scm_connect::telemetry::hook;
use scm_connect::telemetry::metric::{Form, Metric, RESULTS};

use super::{text, tool};
use crate::harness::bench::Bench;
use crate::harness::client::Client;
use crate::harness::ledger::Ledger;

/// Shown once what they count has happened: a call to a forge, a whole pass of the scrub.
const LATER: [Metric; 8] = [
    Metric::CatchupRuns,
    Metric::CatchupMissed,
    Metric::CatchupLastSuccess,
    Metric::HookStatus,
    Metric::ReconcileDrift,
    Metric::ProviderApiRequests,
    Metric::ProviderRateLimitRemaining,
    Metric::ScrubLastPass,
];

/// What a daemon shows after it has taken and handled something.
async fn shown() -> String {
    let bench = Bench::new();
    let daemon = bench.daemon().await;
    let ledger = Ledger::new(4_900);
    Client::new(&daemon.public, &ledger).send_all(20, 500).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let address = format!("http://{}/metrics", daemon.ops);
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let page = client.get(&address).send().await.unwrap();
        let kind = page.headers().get("content-type").unwrap().to_str().unwrap().to_owned();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        let page = page.text().await.unwrap();
        if counted(&page, Metric::EndToEnd) >= 20 || Instant::now() > until {
            daemon.stop().await;
            return page;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many values a histogram has counted.
fn counted(page: &str, histogram: Metric) -> u64 {
    let begins = format!("{}_count", histogram.name());
    let lines = page.lines().filter(|line| line.starts_with(&begins));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

fn now_shown() -> impl Iterator<Item = Metric> {
    Metric::ALL.iter().copied().filter(|metric| !LATER.contains(metric))
}

/// The names of families in a page.
fn families(page: &str) -> BTreeSet<&str> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_are_those_of_the_table_and_promtool_finds_nothing_to_mend() {
    let page = shown().await;
    let mut promtool = Command::new(tool("debian/usr/bin/promtool"));
    let mut child = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));

    let shown = families(&page);
    let known: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let stray: Vec<_> = shown.difference(&known).collect();
    assert!(stray.is_empty(), "shown, and in no table: {stray:?}");
    let missing: Vec<_> = now_shown().filter(|metric| !shown.contains(metric.name())).collect();
    assert!(missing.is_empty(), "in the table, and not shown: {missing:?}");
    let histograms = now_shown().filter(|metric| matches!(metric.form(), Form::Histogram(_)));
    let idle: Vec<_> = histograms.filter(|metric| counted(&page, *metric) == 0).collect();
    assert!(idle.is_empty(), "shown, and nobody counts: {idle:?}");
    for word in ["octocat", "acme/site", "hook-secret"] {
        assert!(!page.contains(word), "{word} is in the metrics");
    }
}

/// Every name of ours in a text, without the endings that a histogram's parts have.
fn asked(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = text.match_indices("scm_connect_").map(|(at, _)| &text[at..]);
    let names = starts.map(|rest| rest.chars().take_while(|c| word(*c)).collect::<String>());
    let histogram = |name: &str| {
        Metric::ALL.iter().any(|metric| metric.name() == name && matches!(metric.form(), Form::Histogram(_)))
    };
    let plain = |name: String| {
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        part.filter(|part| histogram(part)).map_or(name.clone(), str::to_owned)
    };
    names.map(plain).collect()
}

#[test]
fn the_board_and_the_alerts_ask_only_for_metrics_that_exist() {
    let known: BTreeSet<String> = Metric::ALL.iter().map(|metric| metric.name().to_owned()).collect();
    for name in ["deploy/grafana/board.json", "deploy/prometheus/alerts.yaml"] {
        let asked = asked(&text(name));
        assert!(asked.len() >= 7, "{name}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(unknown.is_empty(), "{name} asks for {unknown:?}");
    }
}

/// The values that a text asks of the label `result` at the hook door.
fn results_asked(text: &str) -> BTreeSet<String> {
    let asked = text.match_indices(Metric::IngestRequests.name()).filter_map(|(at, name)| {
        let labels = text[at + name.len()..].strip_prefix('{')?.split('}').next()?.replace('\\', "");
        let (_, value) = labels.split_once("result=")?;
        Some(value.trim_start_matches(['~', '"']).split('"').next()?.to_owned())
    });
    asked.flat_map(|values| values.split('|').map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn the_alerts_ask_only_for_states_of_hooks_that_are_shown() {
    let rules = text("deploy/prometheus/alerts.yaml");
    let asked: Vec<&str> = rules
        .match_indices("hook_status{status=\"")
        .map(|(at, found)| rules[at + found.len()..].split('"').next().unwrap())
        .collect();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|status| hook::STATUSES.contains(status)), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_under_the_words_that_the_alerts_ask_for() {
    let bench = Bench::new();
    let daemon = bench.daemon().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = |media: &'static str| {
        let request =
            http.post(format!("http://{}/hooks/our-app", daemon.public)).header("content-type", media);
        let request = request.header("x-github-event", "push").header("x-hub-signature-256", "sha256=00");
        async { request.body("{}").send().await.unwrap().status().as_u16() }
    };
    assert_eq!((send("application/json").await, send("text/plain").await), (401, 415));
    let page = http.get(format!("http://{}/metrics", daemon.ops)).send().await.unwrap().text().await.unwrap();
    let counts = |result: &str| {
        let mine = |line: &&str| line.starts_with(Metric::IngestRequests.name()) && line.contains("our-app");
        let of = page.lines().filter(mine).find(|line| line.contains(&format!("result=\"{result}\"")));
        of.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    assert_eq!((counts("unauthorized").as_deref(), counts("media_type").as_deref()), (Some("1"), Some("1")));
    for name in
        ["deploy/grafana/board.json", "deploy/prometheus/alerts.yaml", "deploy/prometheus/alerts.test.yaml"]
    {
        let asked = results_asked(&text(name));
        assert!(name.contains("board") || asked.len() >= 2, "{name}: {asked:?}");
        for result in asked {
            assert!(RESULTS.contains(&result.as_str()), "{name} asks for {result}");
            assert!(
                counts(&result).is_some(),
                "{name} asks for {result}, which is not shown from the first moment"
            );
        }
    }
    daemon.stop().await;
}

#[test]
fn every_metric_is_on_the_board() {
    let asked = asked(&text("deploy/grafana/board.json"));
    let missing: Vec<_> = Metric::ALL.iter().filter(|metric| !asked.contains(metric.name())).collect();
    assert!(missing.is_empty(), "not on the board: {missing:?}");
    serde_json::from_str::<serde_json::Value>(&text("deploy/grafana/board.json")).unwrap();
}
