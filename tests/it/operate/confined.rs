//! The program inside of what `deploy/` shuts it into: no rights, a read-only root, few system calls, a proxy in front.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use super::{pass, text};
use crate::harness::bench::Bench;
use crate::harness::check::assert_nothing_lost;
use crate::harness::client::Client;
use crate::harness::ledger::Ledger;
use crate::harness::program;

/// The user in images that have no root.
const NOBODY: &str = "65532";

#[tokio::test(flavor = "multi_thread")]
async fn s64_without_rights_and_on_a_read_only_root_it_serves_and_writes_only_its_data() {
    let bench = Bench::new();
    let data = bench.store().parent().unwrap().to_owned();
    let place = data.display().to_string();
    let user = ["bwrap", "--unshare-user", "--uid", NOBODY, "--gid", NOBODY, "--cap-drop", "ALL"];
    let apart = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"];
    let shut = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--bind", &place, &place];
    let under: Vec<String> = user.into_iter().chain(apart).chain(shut).map(str::to_owned).collect();
    let daemon = bench.start().under(&under).ready().await;
    let ledger = Ledger::new(64_000);
    Client::new(&daemon.public, &ledger).send_all(20, 500).await;
    assert_eq!(ledger.acked(), 20, "{}\n{}", ledger.summary(), daemon.output());
    // What we started is the sandbox; with it goes the program, and with that its port.
    let address = daemon.public.clone();
    daemon.kill().await;
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let daemon = bench.daemon().await;
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
}

/// The system calls of a group, and of the groups in it.
fn group(name: &str) -> BTreeSet<String> {
    let printed = pass(Command::new("systemd-analyze").args(["syscall-filter", name]));
    let mut found = BTreeSet::new();
    for line in
        printed.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if line.starts_with('@') {
            found.extend(group(line));
        } else {
            found.insert(line.to_owned());
        }
    }
    found
}

/// What the unit's `SystemCallFilter=` lines leave.
fn allowed() -> BTreeSet<String> {
    let unit = text("deploy/systemd/scm-connect.service");
    let mut allowed = BTreeSet::new();
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (takes_away, names) = line.strip_prefix('~').map_or((false, line), |rest| (true, rest));
        for name in names.split_whitespace() {
            let calls = group(name);
            if takes_away {
                allowed.retain(|call| !calls.contains(call));
            } else {
                allowed.extend(calls);
            }
        }
    }
    allowed
}

#[test]
fn s63_the_units_filter_lets_every_system_call_through_that_the_program_makes() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut strace = Command::new("strace");
    strace.current_dir(folder.path()).args(["-f", "-qq", "-o"]).arg(&trace);
    pass(strace.arg(program().get_program()).args(["demo", "--once"]));
    let trace = std::fs::read_to_string(trace).unwrap();
    let calls = trace
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1)?.split_once('(').map(|(name, _)| name));
    let is_name = |name: &&str| {
        // A call that the program's end cuts short has no name, only a number.
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with("syscall_")
    };
    let made: BTreeSet<String> = calls.filter(is_name).map(str::to_owned).collect();
    assert!(made.len() > 40 && made.contains("fdatasync"), "{made:?}");
    let allowed = allowed();
    let refused: Vec<_> = made.difference(&allowed).collect();
    println!("{} kinds of calls, {} allowed", made.len(), allowed.len());
    assert!(refused.is_empty(), "the unit would refuse {refused:?}");
    // `execve` is strace's own start of the program: it starts nothing else.
    assert_eq!(trace.matches(" execve(").count(), 1);
}
