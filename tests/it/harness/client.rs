//! Sends signed deliveries and writes the answers into the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::ledger::{Answer, Ledger};
use super::parcel::Parcel;

/// A forge that sends.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    ledger: Ledger,
    base: String,
    source: &'static str,
}

impl Client {
    /// To the daemon at `address`, which waits as long as a forge does.
    pub(crate) fn new(address: &str, ledger: &Ledger) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        Self::through(http, &format!("http://{address}"), ledger)
    }

    /// To whatever answers at `base`, with a client of the caller's own.
    pub(crate) fn through(http: reqwest::Client, base: &str, ledger: &Ledger) -> Self {
        Self { http, ledger: ledger.clone(), base: base.to_owned(), source: "our-app" }
    }

    /// The same, at another source's hook.
    pub(crate) fn at(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }

    /// Sends the next delivery.
    pub(crate) async fn send(&self, bytes: usize) -> Answer {
        let parcel = self.ledger.next(bytes);
        self.deliver(&parcel).await
    }

    /// Sends this delivery.
    pub(crate) async fn deliver(&self, parcel: &Parcel) -> Answer {
        let request = self
            .http
            .post(format!("{}/hooks/{}", self.base, self.source))
            .header("content-type", "application/json")
            .header("user-agent", "GitHub-Hookshot/0a1b2c3")
            .header("x-github-event", "repository")
            .header("x-github-delivery", &parcel.id)
            .header("x-github-hook-id", "292430182")
            .header("x-hub-signature-256", parcel.signature())
            .body(parcel.body.clone());
        let answer = match request.send().await {
            Ok(answer) => Answer::Status(answer.status().as_u16()),
            Err(error) if error.is_connect() => Answer::Refused,
            Err(_) => Answer::Broken,
        };
        self.ledger.note(&parcel.id, answer);
        answer
    }

    /// Sends `count` deliveries one after another.
    pub(crate) async fn send_all(&self, count: usize, bytes: usize) {
        for _ in 0..count {
            self.send(bytes).await;
        }
    }

    /// Sends without end on so many connections, until told to stop.
    pub(crate) fn load(&self, connections: usize, bytes: usize, pause: Duration) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let (client, stop) = (self.clone(), Arc::clone(&stop));
            tasks.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    if !matches!(client.send(bytes).await, Answer::Status(_)) {
                        // Nobody is there; asking without a pause would only heat the machine.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    tokio::time::sleep(pause).await;
                }
            });
        }
        Load { stop, tasks }
    }
}

/// Deliveries being sent.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Sends no more, and waits for the answers that are still to come.
    pub(crate) async fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}
