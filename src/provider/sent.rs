//! A forge's own log of what it sent to one hook of ours.

use async_trait::async_trait;
use bytes::Bytes;

use super::ProviderError;
use crate::domain::missed::Attempt;

/// A part of a log.
#[derive(Debug, Clone)]
pub struct SentPage {
    /// Attempts, the newest first.
    pub attempts: Vec<Attempt>,
    /// Where the older ones are; `None`: there are none.
    pub older: Option<String>,
}

/// What was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Header names in lower case with their values.
    pub headers: Vec<(String, Bytes)>,
    /// The body. Not byte for byte: the log holds the document.
    pub body: Bytes,
}

/// The log of one hook.
#[async_trait]
pub trait SentLog: Send + Sync {
    /// The same each time: `app`, `group 7 hook 9`.
    fn name(&self) -> String;
    /// How long the forge keeps it, and sends again what is in it, in milliseconds.
    fn window_ms(&self) -> i64;
    /// How much may be asked for in one round, by the forge's own rules.
    fn again_max(&self) -> usize;
    /// The newest part, or the one where a newer part's link leads.
    async fn page(&self, from: Option<&str>) -> Result<SentPage, ProviderError>;
    /// Has a delivery sent once more, to the same door, by the number of its newest attempt.
    async fn again(&self, attempt: u64) -> Result<(), ProviderError>;
    /// What an attempt sent, for those whom nothing can be sent to. [`ProviderError::Gone`]: the log does not hold it.
    async fn sent(&self, attempt: u64) -> Result<Sent, ProviderError>;
}
