//! A fake forge at the real one's names, and a daemon at a public one: a proxy that takes connections for these names to
//! them, and no others, under the certificate of an authority of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::Answers;
use super::http::listen;
use crate::harness::certificate::{authority, certificate, served};

/// Which port answers for a name.
type Ports = Arc<Mutex<HashMap<&'static str, u16>>>;

/// The way to whom goes by a name.
#[derive(Debug)]
pub(crate) struct Names {
    dir: tempfile::TempDir,
    proxy: Url,
    ports: Ports,
}

impl Names {
    /// The forge answers for its hosts; the certificate is good for another one, too.
    pub(crate) fn of(forge: Arc<dyn Answers>, hosts: &[&'static str], other: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        authority(dir.path(), "authority");
        let names: Vec<String> = hosts.iter().chain([&other]).map(|host| format!("DNS:{host}")).collect();
        certificate(dir.path(), "authority", &names.join(","), 30);
        let port = listen(forge, Some(served(dir.path())));
        let ports = Ports::new(Mutex::new(hosts.iter().map(|host| (*host, port)).collect()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let proxy = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (listener, known) = (TcpListener::from_std(listener).unwrap(), Arc::clone(&ports));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, Arc::clone(&known)));
            }
        });
        Self { dir, proxy, ports }
    }

    /// From now on this port answers for the name.
    pub(crate) fn takes(&self, host: &'static str, port: u16) {
        self.ports.lock().unwrap().insert(host, port);
    }

    /// The folder with `leaf.pem` and `leaf.key`, the certificate for all names.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where connections to the names are asked for.
    pub(crate) const fn proxy(&self) -> &Url {
        &self.proxy
    }

    /// The file of the authority that says that the fake has these names.
    pub(crate) fn authority(&self) -> PathBuf {
        self.dir.path().join("authority.pem")
    }
}

/// One connection: `CONNECT host:443`, and then whatever both say.
async fn pass(mut stream: TcpStream, ports: Ports) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await?;
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let wanted = head.strip_prefix("CONNECT ").and_then(|rest| rest.split_once(":443 HTTP/1.1"));
    let port = wanted.and_then(|(host, _)| ports.lock().unwrap().get(host).copied());
    let Some(port) = port else {
        return stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    };
    let mut other = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut stream, &mut other).await.map(drop)
}
