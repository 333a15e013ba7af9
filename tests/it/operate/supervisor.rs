//! systemd is told when the daemon is ready, that it lives, and that it ends.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::bench::Bench;

/// What comes within this time.
fn told(socket: &UnixDatagram, within: Duration) -> Vec<String> {
    let until = Instant::now() + within;
    let (mut found, mut buffer) = (Vec::new(), [0; 1024]);
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left)).unwrap();
        match socket.recv(&mut buffer) {
            Ok(length) => found.push(String::from_utf8_lossy(&buffer[..length]).trim().to_owned()),
            Err(_) => break,
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn r49_systemd_is_told_of_readiness_of_life_and_of_the_end() {
    let bench = Bench::new();
    let path = bench.file("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let start = bench.start().environment("NOTIFY_SOCKET", &path.display().to_string());
    let mut daemon = start.environment("WATCHDOG_USEC", "900000").spawn();
    assert!(daemon.await_ready().await, "{}", daemon.output());
    let beginning = told(&socket, Duration::from_millis(1_500));
    assert_eq!(beginning.iter().filter(|word| *word == "READY=1").count(), 1, "{beginning:?}");
    assert!(beginning.iter().filter(|word| *word == "WATCHDOG=1").count() >= 2, "{beginning:?}");

    // A process that hangs tells nothing, so that systemd ends it.
    daemon.signal(Signal::STOP);
    drop(told(&socket, Duration::from_millis(300)));
    assert_eq!(told(&socket, Duration::from_millis(1_200)), [""; 0]);
    daemon.signal(Signal::CONT);

    daemon.stop().await;
    let end = told(&socket, Duration::from_millis(500));
    assert!(end.contains(&"STOPPING=1".to_owned()), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_systemd_nothing_is_told_and_nothing_is_missed() {
    let bench = Bench::new();
    let daemon = bench.start().environment("NOTIFY_SOCKET", "/nowhere/notify").ready().await;
    assert_eq!(daemon.ops_status("/livez").await, Some(200));
    daemon.stop().await;
}
