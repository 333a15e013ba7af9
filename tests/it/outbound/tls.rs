//! S15: a forge's certificate is always checked, against a private authority where one is named.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use scm_connect::outbound::{Authority, Outbound, OutboundError, Request, Tls, Unreachable};
use url::Url;

use super::{LIMITS, rules, server};
use crate::harness::certificate::{authority, certificate, served};

/// Serves one JSON answer per connection with the certificate in `leaf.pem`.
fn serve(dir: &Path) -> Url {
    let config = Arc::new(served(dir));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, stream.unwrap());
            let mut heard = [0; 4096];
            if stream.read(&mut heard).is_ok() {
                let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                drop(stream.write_all(answer.as_bytes()));
                stream.conn.send_close_notify();
                drop(stream.flush());
            }
        }
    });
    Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap()
}

async fn ask(base: Url, authority: Option<Authority>) -> Result<u16, Tls> {
    let outbound = Outbound::new(rules(LIMITS));
    let endpoint = outbound.declared(base.clone(), authority, None, &[]);
    let client = outbound.open(endpoint, "github").unwrap();
    match client.send(Request::get(base)).await {
        Ok(answer) => Ok(answer.status),
        Err(OutboundError::Unreachable { why: Unreachable::Tls(why), .. }) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn s15_a_forge_is_believed_by_the_authority_that_is_named_and_by_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    authority(dir, "corp");
    authority(dir, "other");
    let read = |name: &str| Some(Authority::parse(&std::fs::read(dir.join(name)).unwrap()).unwrap());
    certificate(dir, "corp", "IP:127.0.0.1", 30);
    let good = serve(dir);
    assert_eq!(ask(good.clone(), read("corp.pem")).await, Ok(200));
    assert_eq!(ask(good.clone(), read("other.pem")).await, Err(Tls::Unknown));
    assert_eq!(ask(good, None).await, Err(Tls::Unknown));
    certificate(dir, "corp", "DNS:elsewhere.example.com", 30);
    assert_eq!(ask(serve(dir), read("corp.pem")).await, Err(Tls::Name));
    certificate(dir, "corp", "IP:127.0.0.1", -1);
    assert_eq!(ask(serve(dir), read("corp.pem")).await, Err(Tls::Expired));
}

#[tokio::test]
async fn s15_what_speaks_no_tls_gets_no_request() {
    let mut plain = server(async |mut stream: tokio::net::TcpStream| {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut heard = [0; 4096];
        drop(stream.read(&mut heard).await);
        assert!(!heard.starts_with(b"GET"), "a request was sent in the clear");
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await);
    })
    .await;
    plain.set_scheme("https").unwrap();
    assert_eq!(ask(plain, None).await, Err(Tls::Other));
}
