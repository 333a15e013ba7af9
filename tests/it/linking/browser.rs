//! The same way in Chromium.

use std::process::Command;

use super::World;
use crate::harness::tools;

#[tokio::test(flavor = "multi_thread")]
async fn s13_the_way_works_by_keyboard_in_a_real_browser_under_its_policy() {
    let world = World::new().await;
    let (link, guide) = (world.link_to_server("acme").await, format!("{}/connect-scm", world.base()));
    let home = tools().join("operate");
    assert!(home.join("installed").exists(), "programs are missing: run `bash tests/tools`");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/operate/connect.mjs");
    let script = std::fs::read_to_string(script).unwrap();
    let pictures = world.file("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let mut node = Command::new("node");
    node.current_dir(home.join("node")).args(["--input-type=module", "-e", &script]);
    node.args([&link, &guide, "acme-inc"]).arg(&pictures);
    let output = tokio::task::spawn_blocking(move || node.output().unwrap()).await.unwrap();
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    println!("{printed}");
    keep(&pictures);
    assert!(output.status.success(), "{printed}");
    assert_eq!(world.connections().await[0]["state"], "connected");
    assert_eq!(world.forge.violations(), Vec::<String>::new());
}

/// For somebody to look at, where they are wanted.
fn keep(pictures: &std::path::Path) {
    let Some(to) = std::env::var_os("SCM_CONNECT_PICTURES").map(std::path::PathBuf::from) else { return };
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(pictures).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
