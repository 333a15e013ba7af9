//! `/docs` in a real browser.

use std::process::Command;

use super::{file, pass, tool};
use crate::harness::bench::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn s13_the_page_of_the_api_works_in_a_browser_under_its_policy() {
    let bench = Bench::new();
    let daemon = bench.daemon().await;
    let script = std::fs::read_to_string(file("tests/operate/page.mjs")).unwrap();
    let mut node = Command::new("node");
    node.current_dir(tool("node")).args(["--input-type=module", "-e", &script]);
    node.arg(format!("http://{}/docs", daemon.public)).arg(bench.file("docs.png"));
    let printed = pass(&mut node);
    println!("{printed}");
    daemon.stop().await;
}
