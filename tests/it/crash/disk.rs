//! The disk is full (reliability R10). Needs root, for a small file system of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::bench::Bench;
use crate::harness::check::assert_nothing_lost;
use crate::harness::client::Client;
use crate::harness::ledger::{Answer, Ledger};

/// Runs a program that must succeed. Missing rights or tools are a failure, never a reason to skip (ruling 34).
pub(super) fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be run (see tests/tools): {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`{program} {}` failed; this proof needs root: {err}", words.join(" "));
    out.trim().to_owned()
}

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Mount(pub(crate) PathBuf);

impl Mount {
    pub(crate) fn new(at: &Path, words: &[&str]) -> Self {
        fs::create_dir_all(at).unwrap();
        let mut all = words.to_vec();
        let place = at.display().to_string();
        all.push(&place);
        run("mount", &all);
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let place = self.0.display().to_string();
        // A process that is just ending may hold it for a moment; a lazy unmount is for a test that has failed.
        for _ in 0..50 {
            let done = Command::new("umount").arg(&place).output().is_ok_and(|done| done.status.success());
            if done {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = Command::new("umount").args(["-l", &place]).output();
    }
}

struct Small {
    mount: Mount,
    bench: Bench,
    ledger: Ledger,
    // Dropped last: the mount point is in it.
    _home: tempfile::TempDir,
}

fn small(run: u64) -> Small {
    let home = tempfile::tempdir().unwrap();
    let mount = Mount::new(&home.path().join("disk"), &["-t", "tmpfs", "-o", "size=160m", "tmpfs"]);
    let bench = Bench::with_data(&mount.0.join("data"));
    Small { mount, bench, ledger: Ledger::new(run), _home: home }
}

impl Small {
    fn grow(&self) {
        run("mount", &["-o", "remount,size=400m", &self.mount.0.display().to_string()]);
    }

    fn allowed(&self) {
        let odd = |answer: Answer| !matches!(answer, Answer::Status(202 | 503));
        assert_eq!(self.ledger.count(odd), 0, "{}", self.ledger.summary());
    }
}

/// Sends until it is refused.
async fn fill(client: &Client, bytes: usize) {
    for _ in 0..400 {
        if client.send(bytes).await == Answer::Status(503) {
            return;
        }
    }
    panic!("the disk does not become full");
}

async fn taken_again(client: &Client) -> Duration {
    let began = Instant::now();
    while client.send(400).await != Answer::Status(202) {
        assert!(
            began.elapsed() <= Duration::from_secs(10),
            "nothing is taken 10 s after there is room again"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_disk_filled_by_traffic_is_a_503_and_passes_by_itself() {
    let small = small(10_000);
    let daemon = small.bench.daemon().await;
    let client = Client::new(&daemon.public, &small.ledger);
    // Half of it is there already, so that the rest is filled soon.
    std::fs::write(small.mount.0.join("ballast"), vec![0; 80 << 20]).unwrap();
    fill(&client, 2 << 20).await;
    client.send_all(20, 400).await;
    assert_eq!(daemon.ops_status("/livez").await, Some(200));
    let red = daemon.await_ops("/readyz", 503, Duration::from_secs(6)).await;
    assert!(red.is_some(), "it says that it is ready while it is full");
    small.allowed();
    small.grow();
    let again = taken_again(&client).await;
    let green = daemon.await_ops("/readyz", 200, Duration::from_secs(10)).await;
    println!("r10 traffic: red after {red:?}, takes again after {again:?}, {}", small.ledger.summary());
    assert!(green.is_some(), "not ready 10 s after there is room again");
    assert_nothing_lost(&small.ledger, &daemon).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_disk_filled_by_somebody_else_loses_nothing_and_holds_no_stop() {
    let small = small(10_100);
    let daemon = small.bench.daemon().await;
    let client = Client::new(&daemon.public, &small.ledger);
    client.send_all(20, 2_000).await;
    let load = client.load(4, 2_000, Duration::from_millis(5));
    // To the last byte.
    let _ = Command::new("dd")
        .args(["if=/dev/zero", "bs=64k"])
        .arg(format!("of={}", small.mount.0.join("big").display()))
        .output()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(daemon.ops_status("/livez").await, Some(200), "{}", daemon.output());
    load.stop().await;
    small.allowed();
    let took = daemon.stop().await;
    println!("r10 other: stopped in {took:?} while full, {}", small.ledger.summary());
    small.grow();
    let daemon = small.bench.daemon().await;
    taken_again(&Client::new(&daemon.public, &small.ledger)).await;
    assert_nothing_lost(&small.ledger, &daemon).await;
    daemon.stop().await;
}
