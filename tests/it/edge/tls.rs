//! Real handshakes with the public listener, and its certificate replaced while deliveries come in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::tls::Version;
use rustix::process::Signal;

use super::await_lines;
use crate::harness::bench::Bench;
use crate::harness::check::assert_nothing_lost;
use crate::harness::client::Client;
use crate::harness::daemon::Daemon;
use crate::harness::ledger::{Answer, Ledger};
use crate::harness::sized;

/// A certificate of its own authority, and its key.
struct Pair {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    fn new(home: &Path, name: &str) -> Self {
        let file = |end: &str| home.join(format!("{name}.{end}"));
        let (cert, key): (PathBuf, PathBuf) = (file("cert"), file("key"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args([
                "-days",
                "2",
                "-subj",
                &format!("/CN={name}"),
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-out"])
            .arg(&cert)
            .arg("-keyout")
            .arg(&key)
            .output()
            .expect("openssl is installed by tests/tools");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { cert: std::fs::read(cert).unwrap(), key: std::fs::read(key).unwrap() }
    }

    fn trusted(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(&self.cert).unwrap()
    }
}

/// A daemon's bench with TLS, and the place from which its certificate is read.
struct Edge {
    bench: Bench,
    cert: PathBuf,
    key: PathBuf,
}

impl Edge {
    fn new(pair: &Pair) -> Self {
        let bench = Bench::new();
        let edge = Self { cert: bench.file("tls.cert"), key: bench.file("tls.key"), bench };
        edge.put(&pair.cert, &pair.key);
        let tls = format!(
            "[listen]\ntls = {{ cert = \"{}\", key = \"{}\" }}",
            edge.cert.display(),
            edge.key.display()
        );
        std::fs::write(edge.bench.config(), edge.bench.text("").replace("[listen]", &tls)).unwrap();
        edge
    }

    fn put(&self, cert: &[u8], key: &[u8]) {
        std::fs::write(&self.cert, cert).unwrap();
        std::fs::write(&self.key, key).unwrap();
    }
}

/// A forge that makes a new handshake for each delivery, and trusts these certificates alone.
fn http(trusted: &[&Pair], version: Option<Version>) -> reqwest::Client {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(0)
        .tls_certs_only(trusted.iter().map(|pair| pair.trusted()));
    if let Some(version) = version {
        builder = builder.tls_version_min(version).tls_version_max(version);
    }
    builder.build().unwrap()
}

/// Which of the two is shown to a caller now; the other one is not believed.
async fn shown(daemon: &Daemon, pairs: &[Pair; 2]) -> usize {
    let url = format!("https://{}/nowhere", daemon.public);
    let mut believed = Vec::new();
    for (number, pair) in pairs.iter().enumerate() {
        if http(&[pair], None).get(&url).send().await.is_ok() {
            believed.push(number);
        }
    }
    assert_eq!(believed.len(), 1, "{believed:?}\n{}", daemon.output());
    believed.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_the_front_door_speaks_tls_1_2_and_1_3_and_nothing_older() {
    let home = tempfile::tempdir().unwrap();
    let pair = Pair::new(home.path(), "one");
    let edge = Edge::new(&pair);
    let daemon = edge.bench.daemon().await;
    let ledger = Ledger::new(15_000);
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let client =
            Client::through(http(&[&pair], Some(version)), &format!("https://{}", daemon.public), &ledger);
        assert_eq!(client.send(300).await, Answer::Status(202), "{version:?}");
    }
    for old in ["-tls1_1", "-tls1"] {
        let tried = Command::new("openssl")
            .args(["s_client", "-connect", &daemon.public, old, "-cipher", "DEFAULT@SECLEVEL=0"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&tried.stdout).into_owned() + &String::from_utf8_lossy(&tried.stderr);
        assert!(!tried.status.success() && said.contains("SSL alert number"), "{old}: {said}");
    }
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(
        plain.get(format!("http://{}/livez", daemon.public)).send().await.is_err(),
        "plain http on the TLS port"
    );
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r48_a_certificate_is_replaced_under_load_and_a_half_written_one_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let pairs = [Pair::new(home.path(), "one"), Pair::new(home.path(), "two")];
    let edge = Edge::new(&pairs[0]);
    let daemon = edge.bench.daemon().await;
    let ledger = Ledger::new(48_500);
    let base = format!("https://{}", daemon.public);
    let forge = Client::through(http(&[&pairs[0], &pairs[1]], None), &base, &ledger);
    let load = forge.load(4, 500, Duration::from_millis(5));
    let (mut applied, mut refused) = (0, 0);
    let mut current = 0;
    for _ in 0..sized(3, 30) {
        let next = 1 - current;
        let (fresh, old) = (&pairs[next], &pairs[current]);
        // What a renewal looks like when it is read too early, or goes wrong.
        let broken: [(&[u8], &[u8]); 5] = [
            (&fresh.cert[..fresh.cert.len() / 2], &fresh.key),
            (&fresh.cert, &fresh.key[..fresh.key.len() / 2]),
            (&fresh.cert, &old.key),
            (b"", &fresh.key),
            (&fresh.key, &fresh.cert),
        ];
        for (cert, key) in broken {
            edge.put(cert, key);
            daemon.signal(Signal::HUP);
            refused += 1;
            await_lines(&daemon, "\"config-refused\"", refused).await;
            assert_eq!(shown(&daemon, &pairs).await, current, "the old one stays");
        }
        edge.put(&fresh.cert, &fresh.key);
        daemon.signal(Signal::HUP);
        applied += 1;
        await_lines(&daemon, "\"config-reloaded\"", applied).await;
        assert_eq!(shown(&daemon, &pairs).await, next);
        current = next;
    }
    // However slow the machine is, the load has met every one of them.
    while ledger.acked() <= 50 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    load.stop().await;
    println!("r48 tls: {applied} certificates, {refused} refused, {}", ledger.summary());
    assert_eq!(ledger.count(|answer| !answer.is_ack()), 0, "{}", ledger.summary());
    assert_nothing_lost(&ledger, &daemon).await;
    daemon.stop().await;
}
