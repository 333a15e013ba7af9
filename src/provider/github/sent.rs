//! What GitHub has sent to a hook: an App's, an organization's, a repository's.

use async_trait::async_trait;
use bytes::Bytes;

use super::client::{HookPlace, Session};
use crate::domain::missed::Attempt;
use crate::provider::{Next, ProviderError, Sent, SentLog, SentPage};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// One a second: two minutes.
const AGAIN_MAX: usize = 120;

/// The log of one hook.
#[derive(Debug)]
pub struct HookLog {
    session: Session,
    place: HookPlace,
    /// The App's needs no number.
    hook: u64,
    days: i64,
}

impl HookLog {
    /// Of a hook, by its place and number. `is_server`: a GitHub Enterprise Server, which keeps it for a week.
    #[must_use]
    pub fn new(session: Session, place: HookPlace, hook: u64, is_server: bool) -> Self {
        Self { session, place, hook, days: if is_server { 7 } else { 3 } }
    }
}

#[async_trait]
impl SentLog for HookLog {
    fn name(&self) -> String {
        match &self.place {
            HookPlace::App => "app".into(),
            HookPlace::Organization(_) => format!("organization hook {}", self.hook),
            HookPlace::Repository(..) => format!("repository hook {}", self.hook),
        }
    }

    fn window_ms(&self) -> i64 {
        self.days.saturating_mul(DAY_MS)
    }

    fn again_max(&self) -> usize {
        AGAIN_MAX
    }

    async fn page(&self, from: Option<&str>) -> Result<SentPage, ProviderError> {
        let from = from.map(Next::kept);
        let page = self.session.attempts(&self.place, self.hook, from.as_ref()).await?;
        let one = |row: super::client::Attempt| Attempt {
            number: row.id.get(),
            arrived: row.arrived(),
            refused: row.status_code == 401,
            at: Some(row.delivered_at.0),
            external_id: row.guid,
        };
        let attempts = page.items.into_iter().map(one).collect();
        Ok(SentPage { attempts, older: page.next.map(Next::into_text) })
    }

    async fn again(&self, attempt: u64) -> Result<(), ProviderError> {
        self.session.redeliver(&self.place, self.hook, attempt).await
    }

    async fn sent(&self, attempt: u64) -> Result<Sent, ProviderError> {
        let found = self.session.attempt(&self.place, self.hook, attempt).await?.request;
        let headers = found.headers.into_iter();
        let headers = headers.map(|(name, value)| (name.to_lowercase(), Bytes::from(value))).collect();
        let body = serde_json::to_vec(&found.payload).map_err(|_| ProviderError::Gone)?;
        Ok(Sent { headers, body: Bytes::from(body) })
    }
}
