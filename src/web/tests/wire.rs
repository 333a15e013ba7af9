//! Real sockets: what a framework's test client cannot show.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fake::{Fake, Mood};
use super::{front_limited, roomy};
use crate::web::{Front, Limits, Listeners, Running, bind_control, start};

struct Server {
    front: Arc<Front>,
    store: Arc<Fake>,
    public: SocketAddr,
    ops: SocketAddr,
    control: std::path::PathBuf,
    running: Running,
    _dir: tempfile::TempDir,
    _socket: crate::web::ControlSocket,
}

fn serve(limits: Limits) -> Server {
    let (front, store) = front_limited(limits);
    let (public, ops) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = (public.local_addr().unwrap(), ops.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let socket = bind_control(dir.path(), dir.path()).unwrap();
    let control = Some(socket.listener.try_clone().unwrap());
    let listeners = Listeners { public: vec![public], ops, control, tls: None };
    let running = start(Arc::clone(&front), listeners).unwrap();
    let (public, ops) = addresses;
    Server { front, store, public, ops, control: socket.path.clone(), running, _dir: dir, _socket: socket }
}

/// Sends bytes and reads until the other end closes or is quiet for three seconds.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let bytes = bytes.to_vec();
    let work = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let _ = stream.write_all(&bytes);
        read_all(&mut stream)
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn read_all(stream: &mut impl Read) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n) = stream.read(&mut buffer) {
        if n == 0 {
            break;
        }
        text.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("closed")
}

const HEAD: &str =
    "POST /hooks/acme-github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Test-Proof: good\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn s04_chunks_over_the_cap_are_cut_and_a_declared_length_over_it_is_not_read() {
    let server = serve(roomy());
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000));
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    let answer = raw(server.public, chunked.as_bytes()).await;
    assert_eq!(status(&answer), "413", "{answer}");
    let began = Instant::now();
    let answer = raw(server.public, format!("{HEAD}Content-Length: 99999999\r\n\r\n").as_bytes()).await;
    assert_eq!(status(&answer), "413", "{answer}");
    assert!(
        began.elapsed() < Duration::from_millis(2500),
        "answered and closed without waiting for the body"
    );
    assert_eq!(server.store.state().accepted.len(), 0);
    assert_eq!(server.front.budget.left(), 400_000);
    server.running.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s05_a_body_that_drips_or_stops_is_cut_off() {
    let limits = Limits {
        request_deadline: Duration::from_millis(2500),
        slow_grace: Duration::from_millis(500),
        slow_bytes_per_second: 1024,
        ..roomy()
    };
    let server = serve(limits);
    let address = server.public;
    let drip = move |every: Duration, bytes: usize| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        stream.write_all(format!("{HEAD}Content-Length: 90000\r\n\r\n").as_bytes()).unwrap();
        let began = Instant::now();
        let mut buffer = [0; 512];
        while began.elapsed() < Duration::from_secs(8) {
            let _ = stream.write_all(&vec![b' '; bytes]);
            std::thread::sleep(every);
            match stream.read(&mut buffer) {
                Ok(n) => return (began.elapsed(), String::from_utf8_lossy(&buffer[..n]).into_owned()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return (began.elapsed(), String::new()),
            }
        }
        panic!("never cut");
    };
    let slow = tokio::task::spawn_blocking(move || drip(Duration::from_millis(100), 1)).await.unwrap();
    assert!(slow.0 < Duration::from_millis(1500), "{slow:?}");
    assert_eq!(status(&slow.1), "408", "{slow:?}");
    // Fast enough by the rate, but never done within the deadline.
    let long = tokio::task::spawn_blocking(move || drip(Duration::from_millis(100), 1000)).await.unwrap();
    assert!(long.0 > Duration::from_secs(2) && long.0 < Duration::from_secs(4), "{long:?}");
    assert_eq!(server.front.budget.left(), 400_000);
    server.running.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_what_two_servers_could_read_differently_is_refused() {
    let server = serve(roomy());
    let post = "POST /hooks/acme-github HTTP/1.1\r\nHost: x\r\n";
    let table = [
        (
            "length and chunked",
            format!("{post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked and length",
            format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
        ),
        ("two lengths", format!("{post}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")),
        ("signed length", format!("{post}Content-Length: +3\r\n\r\nabc")),
        ("list of lengths", format!("{post}Content-Length: 3, 3\r\n\r\nabc")),
        ("xchunked", format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")),
        ("chunked, identity", format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n")),
        (
            "two codings",
            format!("{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked in 1.0",
            "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        ),
        ("space before colon", format!("{post}Content-Length : 3\r\n\r\nabc")),
        ("folded line", format!("{post}X-A: b\r\n c: d\r\nContent-Length: 0\r\n\r\n")),
        ("no host", "POST /hooks/acme-github HTTP/1.1\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("two hosts", format!("{post}Host: y\r\nContent-Length: 0\r\n\r\n")),
    ];
    for (name, request) in table {
        let smuggled = format!("{request}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = raw(server.public, smuggled.as_bytes()).await;
        assert_eq!(status(&answer), "400", "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: nothing after it is answered: {answer}");
    }
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let answer = raw(server.public, format!("{post}{many}\r\n").as_bytes()).await;
    assert!(["400", "431"].contains(&status(&answer)), "{answer}");
    for body in
        ["3;\u{1}=x\r\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n", "zz\r\nabc\r\n0\r\n\r\n"]
    {
        let answer =
            raw(server.public, format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{body}").as_bytes()).await;
        assert!(["400", "closed"].contains(&status(&answer)), "{body:?}: {answer}");
    }
    assert_eq!(server.store.state().accepted.len(), 0);
    server.running.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_socket_is_the_operators_and_the_network_is_not() {
    let server = serve(roomy());
    let request = b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let path = server.control.clone();
    let control = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(request).unwrap();
        read_all(&mut stream)
    });
    let answer = control.await.unwrap();
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(answer.contains("c0ffee"));
    assert_eq!(status(&raw(server.public, request).await), "401");
    server.running.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r49_the_ops_listener_tells_live_from_ready() {
    let server = serve(roomy());
    let get =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes();
    assert_eq!(status(&raw(server.ops, &get("/livez")).await), "200");
    assert_eq!(status(&raw(server.ops, &get("/readyz")).await), "503");
    server.front.health.set_replayed();
    let body = "{}";
    let hook = format!("{HEAD}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(status(&raw(server.public, hook.as_bytes()).await), "202");
    assert_eq!(status(&raw(server.ops, &get("/readyz")).await), "200", "a real write counts like a probe");
    let verbose = raw(server.ops, &get("/healthz?verbose")).await;
    assert!(verbose.contains("\"parts\"") && verbose.contains("\"since\""), "{verbose}");
    assert!(raw(server.ops, &get("/metrics")).await.contains("# metrics"));
    assert_eq!(status(&raw(server.ops, &get("/api/v1/projects")).await), "404");
    server.front.health.set_draining();
    assert_eq!(status(&raw(server.ops, &get("/readyz")).await), "503");
    server.running.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r42_a_stop_lets_what_is_under_way_end_and_does_not_wait_for_idle_connections() {
    let server = serve(roomy());
    server.store.state().mood = Mood::Slow(Duration::from_millis(600));
    let _idle = TcpStream::connect(server.public).unwrap();
    let hook = format!("{HEAD}Content-Length: 2\r\n\r\n{{}}").into_bytes();
    let under_way = tokio::spawn({
        let address = server.public;
        async move { raw(address, &hook).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    server.running.stop(Duration::from_secs(4)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(status(&under_way.await.unwrap()), "202");
    assert_eq!(server.store.state().accepted.len(), 1);
    assert!(TcpStream::connect(server.public).is_err(), "nobody listens any more");
}
