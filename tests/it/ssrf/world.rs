//! The network in which every address leads to one listener: one of them is the forge, all others are canaries.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::names;

/// The forge's address: a public one.
pub(super) const FORGE: Ipv4Addr = Ipv4Addr::new(140, 82, 112, 3);
/// Its URL by number.
pub(super) const FORGE_URL: &str = "http://140.82.112.3:8080/";
const PORTS: [u16; 4] = [80, 443, 3128, 8080];

/// Everything that listens.
pub(super) struct World {
    sung: Arc<Mutex<Vec<String>>>,
    secrets: Arc<AtomicUsize>,
    asked: names::Asked,
}

fn run(program: &str, arguments: &[&str]) {
    let ended = Command::new(program).args(arguments).status();
    assert!(
        ended.is_ok_and(|ended| ended.success()),
        "{program} {arguments:?} failed; this needs root and iproute2"
    );
}

/// Puts a file over one of the system's, for this test alone.
fn cover(dir: &std::path::Path, system: &str, text: &str) {
    let file = dir.join(system.replace('/', "-"));
    std::fs::write(&file, text).unwrap();
    run("mount", &["--bind", file.to_str().unwrap(), system]);
}

impl World {
    pub(super) async fn begin() -> Self {
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["route", "add", "local", "0.0.0.0/0", "dev", "lo"]);
        run("ip", &["-6", "route", "add", "local", "::/0", "dev", "lo"]);
        // Kept until the process ends: the mounts need it.
        let dir = tempfile::tempdir().unwrap().keep();
        cover(&dir, "/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n");
        cover(&dir, "/etc/hosts", "127.0.0.1 localhost\n");
        let world = Self { sung: Arc::default(), secrets: Arc::default(), asked: Arc::default() };
        names::serve(Arc::clone(&world.asked)).await;
        for port in PORTS {
            // Takes both families.
            let listener = TcpListener::bind(("::", port)).await.unwrap();
            let (sung, secrets) = (Arc::clone(&world.sung), Arc::clone(&world.secrets));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let dialled = stream.local_addr().unwrap();
                    if dialled.ip().to_canonical() == IpAddr::V4(FORGE) {
                        tokio::spawn(forge(stream));
                    } else {
                        sung.lock().unwrap().push(dialled.to_string());
                        tokio::spawn(canary(stream, Arc::clone(&secrets)));
                    }
                }
            });
        }
        world
    }

    /// The canaries hear what comes, on each kind of address; otherwise their silence would prove nothing.
    pub(super) async fn canaries_sing(&self) {
        for address in
            ["127.0.0.1:80", "169.254.169.254:80", "10.0.0.1:443", "[::1]:8080", "[fd00:ec2::254]:80"]
        {
            TcpStream::connect(address).await.unwrap();
            assert_eq!(self.heard_after().await.len(), 1, "{address} is heard by nobody");
        }
    }

    async fn heard_after(&self) -> Vec<String> {
        for _ in 0..10_000 {
            if !self.sung.lock().unwrap().is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        self.sung()
    }

    /// Takes what the canaries heard.
    pub(super) fn sung(&self) -> Vec<String> {
        std::mem::take(&mut self.sung.lock().unwrap())
    }

    /// How often a secret arrived at a canary.
    pub(super) fn secrets_elsewhere(&self) -> usize {
        self.secrets.load(Ordering::SeqCst)
    }

    /// How often a name's address was asked for.
    pub(super) fn asked(&self, name: &str) -> u32 {
        self.asked.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

async fn canary(mut stream: TcpStream, secrets: Arc<AtomicUsize>) {
    let mut heard = vec![0; 4096];
    let length = stream.read(&mut heard).await.unwrap_or_default();
    if String::from_utf8_lossy(&heard[..length]).contains("s18-canary") {
        secrets.fetch_add(1, Ordering::SeqCst);
    }
}

/// Answers one request: `/redirect?status=302&to=…` sends away, everything else is a 200.
async fn forge(mut stream: TcpStream) {
    let mut heard = vec![0; 8192];
    let length = stream.read(&mut heard).await.unwrap_or_default();
    let heard = String::from_utf8_lossy(&heard[..length]).into_owned();
    let path = heard.split(' ').nth(1).unwrap_or("/");
    let url = Url::parse(FORGE_URL).unwrap().join(path).unwrap();
    let asked =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let head = match (asked("status"), asked("to")) {
        (Some(status), Some(to)) => format!("HTTP/1.1 {status} Away\r\nlocation: {to}\r\n"),
        _ => "HTTP/1.1 200 OK\r\n".to_owned(),
    };
    let answer = format!("{head}content-length: 2\r\nconnection: close\r\n\r\n{{}}");
    drop(stream.write_all(answer.as_bytes()).await);
}
