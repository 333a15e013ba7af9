//! A stand-in daemon: answers what it was told to, and keeps what it was asked.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One request as it arrived: its first line and headers, and its body.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) head: String,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(n, _)| *n == name))
            .map(|(_, value)| value)
    }
}

#[derive(Clone, Default)]
pub(super) struct Daemon {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Daemon {
    /// Answers these, one after the other.
    pub(super) fn answering(answers: &[(u16, &str)]) -> Self {
        let daemon = Self::default();
        let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned()));
        daemon.answers.lock().unwrap().extend(answers);
        daemon
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|asked| asked.line().to_owned()).collect()
    }

    /// Listens on a socket.
    pub(super) fn at(self, socket: &Path) -> Self {
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        let daemon = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(daemon.clone().serve(stream));
            }
        });
        self
    }

    /// Listens on a port of its own, and says which.
    pub(super) async fn on_tcp(self) -> (Self, std::net::SocketAddr) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let daemon = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(daemon.clone().serve(stream));
            }
        });
        (self, address)
    }

    async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        let asked = loop {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(n) => bytes.extend_from_slice(&piece[..n]),
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let asked = Asked { head: head.to_owned(), body: body.to_owned() };
            let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
            if asked.body.len() >= length {
                break asked;
            }
        };
        self.asked.lock().unwrap().push(asked);
        let answer = self.answers.lock().unwrap().pop_front();
        let (status, body) = answer.unwrap_or((500, "{}".into()));
        // Every redirect leads back here, where following it would be seen as one more request.
        let head = format!("HTTP/1.1 {status} x\r\nlocation: /elsewhere\r\nconnection: close\r\n");
        let head = format!("{head}content-length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    }
}
