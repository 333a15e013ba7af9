//! A way to the database that breaks at the worst moment: between a commit and its answer, or just before the commit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use url::Url;

/// The message by which a client commits.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Way {
    /// It passes.
    Open = 0,
    /// It reaches the server, and the answer is lost with the connection.
    AnswerLost = 1,
    /// It does not reach the server; the connection is lost.
    CommitLost = 2,
}

/// The way. It goes on until the test's runtime ends.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    port: u16,
    way: Arc<AtomicU8>,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    /// To the server of this database, which is reached by a socket.
    pub(super) async fn start(to: &Url) -> Self {
        let socket = PathBuf::from(to.host_str().unwrap().replace("%2F", "/"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, way: Arc::default(), cuts: Arc::default() };
        let (mine, server) = (proxy.clone(), socket.join(".s.PGSQL.5432"));
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(mine.clone().serve(client, server.clone()));
            }
        });
        proxy
    }

    /// The database `of`, by this way.
    pub(super) fn url(&self, of: &Url) -> Url {
        Url::parse(&format!("postgres://postgres@127.0.0.1:{}{}?sslmode=disable", self.port, of.path()))
            .unwrap()
    }

    /// From now on, what becomes of commits.
    pub(super) fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::SeqCst);
    }

    /// Commits that were cut up to now.
    pub(super) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }

    async fn serve(self, mut client: TcpStream, server: PathBuf) {
        let Ok(mut server) = UnixStream::connect(server).await else { return };
        let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        loop {
            tokio::select! {
                read = client.read(&mut up) => {
                    let Some(sent) = read.ok().filter(|n| *n > 0).map(|n| &up[..n]) else { return };
                    let commits = sent.windows(COMMIT.len()).any(|part| part == COMMIT);
                    let way = self.way.load(Ordering::SeqCst);
                    if commits && way == Way::CommitLost as u8 {
                        self.cuts.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    if server.write_all(sent).await.is_err() {
                        return;
                    }
                    if commits && way == Way::AnswerLost as u8 {
                        // The server has committed once it answers.
                        let _ = server.read(&mut down).await;
                        self.cuts.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                }
                read = server.read(&mut down) => {
                    let Some(sent) = read.ok().filter(|n| *n > 0).map(|n| &down[..n]) else { return };
                    if client.write_all(sent).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
