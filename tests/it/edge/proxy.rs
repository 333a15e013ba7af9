//! No request is counted differently by a proxy and by us (S11): hostile bytes go through Debian's nginx and haproxy,
//! and straight to the door. Of what a proxy forwards as one request, we never see two.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::bench::Bench;
use crate::harness::daemon::Daemon;

const POST: &str = "POST /hooks/nobody HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
/// What an attacker hopes that only one of the two takes for a request.
const SMUGGLED: &str = "POST /hooks/smuggled HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

/// Each one's name and the bytes before the smuggled request.
fn probes() -> Vec<(&'static str, String)> {
    let with = |name, rest: &str| (name, format!("{POST}{rest}"));
    let lf = POST.replace("\r\n", "\n");
    vec![
        with("length and chunked", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        with("chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
        with(
            "a length that hides the next",
            "Transfer-Encoding: chunked\r\nContent-Length: 300\r\n\r\n0\r\n\r\n",
        ),
        with("two lengths", "Content-Length: 2\r\nContent-Length: 4\r\n\r\n{}{}"),
        with("the same length twice", "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
        with("signed length", "Content-Length: +2\r\n\r\n{}"),
        with("list of lengths", "Content-Length: 2, 2\r\n\r\n{}"),
        with("hexadecimal length", "Content-Length: 0x2\r\n\r\n{}"),
        with("xchunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        with("chunked, identity", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        with("two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
        with("coding behind a tab", "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n"),
        with(
            "coding behind a vertical tab",
            "Transfer-Encoding: \u{b}chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ),
        with("space before colon", "Content-Length : 2\r\n\r\n{}"),
        with(
            "coding with a space before its colon",
            "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ),
        with("folded line", "X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        with("two hosts", "Host: y\r\nContent-Length: 0\r\n\r\n"),
        with(
            "chunk extension cut by a line feed",
            "Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n{}\r\n0\r\n\r\n",
        ),
        with("chunk lines that end in bare LF", "Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n"),
        with(
            "chunk that overflows",
            "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff2\r\n{}\r\n0\r\n\r\n",
        ),
        with("chunk with a sign", "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n"),
        with("chunk longer than it says", "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n"),
        with("a header behind a bare LF", "X-A: b\nContent-Length: 2\r\n\r\n{}"),
        with(
            "a coding behind a bare LF",
            "X-A: b\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ),
        with("a header behind a bare CR", "X-A: b\rContent-Length: 2\r\n\r\n"),
        ("bare LF only", format!("{lf}Content-Length: 2\n\n{{}}")),
        ("bare LF and chunks", format!("{lf}Transfer-Encoding: chunked\n\n2\r\n{{}}\r\n0\r\n\r\n")),
        (
            "chunked in 1.0",
            format!("{}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", POST.replace("1.1", "1.0")),
        ),
        ("no host", format!("{}Content-Length: 2\r\n\r\n{{}}", POST.replace("Host: x\r\n", ""))),
    ]
}

/// A proxy in front of the daemon, and the file into which it writes a line for each request that it forwards.
struct Proxy {
    name: &'static str,
    child: Child,
    address: String,
    log: PathBuf,
    forwarded: fn(&str) -> bool,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Proxy {
    fn start(name: &'static str, bench: &Bench, daemon: &Daemon) -> Self {
        let (log, config, address) =
            (bench.file("proxy.log"), bench.file("proxy.conf"), format!("127.0.0.1:{}", port()));
        let (text, words, forwarded): (String, Vec<&str>, fn(&str) -> bool) = match name {
            "nginx" => (nginx(bench, daemon, &address), vec!["-c"], |line| !line.starts_with('-')),
            _ => (haproxy(daemon, &address), vec!["-db", "-f"], |line| line.contains(" back/daemon ")),
        };
        std::fs::write(&config, text).unwrap();
        let output = File::create(&log).unwrap();
        let child = Command::new(name)
            .args(words)
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(if name == "nginx" { Stdio::null() } else { Stdio::from(output) })
            .spawn()
            .unwrap_or_else(|error| panic!("{name} is installed by tests/tools: {error}"));
        let proxy = Self { name, child, address, log, forwarded };
        let began = Instant::now();
        while TcpStream::connect(&proxy.address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "{name}: {}", proxy.output());
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }

    fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn forwarded(&self) -> usize {
        self.output().lines().filter(|line| (self.forwarded)(line)).count()
    }
}

fn nginx(bench: &Bench, daemon: &Daemon, address: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("{what}_temp_path {};\n", bench.file(what).display()))
        .collect();
    format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {};\nerror_log /dev/null;\nevents {{}}\nhttp {{\n{temporary}\
         log_format one '$upstream_status';\naccess_log {} one;\n\
         upstream back {{ server {}; keepalive 4; }}\nserver {{ listen {address};\nlocation / {{ proxy_pass http://back;\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_request_buffering off; }} }} }}\n",
        bench.file("nginx.pid").display(),
        bench.file("proxy.log").display(),
        daemon.public,
    )
}

fn haproxy(daemon: &Daemon, address: &str) -> String {
    format!(
        "global\n  maxconn 100\n  log stdout format raw local0 info\ndefaults\n  mode http\n  log global\n  option httplog\n\
         \x20 timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n  http-reuse always\n\
         frontend front\n  bind {address}\n  default_backend back\nbackend back\n  server daemon {}\n",
        daemon.public,
    )
}

/// Sends the bytes and counts the answers, until the other end closes or is quiet.
fn answers(address: &str, bytes: &str) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    let _ = stream.write_all(bytes.as_bytes());
    let (mut text, mut buffer, began) = (String::new(), [0; 4096], Instant::now());
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
            Err(_) if !text.is_empty() || began.elapsed() > Duration::from_secs(2) => break,
            Err(_) => {}
        }
    }
    text.matches("HTTP/1.").count()
}

/// Requests at the hooks that the daemon has counted.
async fn seen(daemon: &Daemon) -> usize {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page =
        client.get(format!("http://{}/metrics", daemon.ops)).send().await.unwrap().text().await.unwrap();
    let lines = page.lines().filter(|line| line.starts_with("scm_connect_ingest_requests_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

/// What became of one probe: requests that the daemon saw, that the proxy forwarded, and answers.
async fn play(daemon: &Daemon, proxy: Option<&Proxy>, bytes: String) -> (usize, usize, usize) {
    let before = (seen(daemon).await, proxy.map_or(0, Proxy::forwarded));
    let address = proxy.map_or(&daemon.public, |proxy| &proxy.address).clone();
    let answered = tokio::task::spawn_blocking(move || answers(&address, &bytes)).await.unwrap();
    let began = Instant::now();
    loop {
        let now = seen(daemon).await - before.0;
        let forwarded = proxy.map_or(answered, |proxy| proxy.forwarded() - before.1);
        // A proxy writes its line when the answer is through.
        if forwarded >= now || began.elapsed() > Duration::from_secs(2) {
            return (now, forwarded, answered);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Hostile bytes through one way in; a table for people.
async fn harmless(name: Option<&'static str>) {
    let bench = Bench::new();
    let daemon = bench.daemon().await;
    let proxy = name.map(|name| Proxy::start(name, &bench, &daemon));
    let way = proxy.as_ref().map_or("straight", |proxy| proxy.name);
    let two = format!("{POST}Content-Length: 2\r\n\r\n{{}}{SMUGGLED}");
    assert_eq!(play(&daemon, proxy.as_ref(), two).await, (2, 2, 2), "{way}: two requests are counted as two");
    let mut wrong = Vec::new();
    for (name, probe) in probes() {
        let (seen, forwarded, answered) = play(&daemon, proxy.as_ref(), format!("{probe}{SMUGGLED}")).await;
        println!("s11 {way}: {name}: {forwarded} forwarded, {seen} seen, {answered} answered");
        if seen > forwarded || seen > answered {
            wrong.push(format!("{name}: of {forwarded} forwarded and {answered} answered, {seen} were seen"));
        }
    }
    assert!(wrong.is_empty(), "{way}:\n{}", wrong.join("\n"));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_nginx_and_we_count_the_same_requests() {
    harmless(Some("nginx")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_haproxy_and_we_count_the_same_requests() {
    harmless(Some("haproxy")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_every_request_we_see_is_answered() {
    harmless(None).await;
}
