//! What GitLab has sent to a hook of a group or a project.

use async_trait::async_trait;

use super::client::{HookEvent, HookPlace, Session};
use crate::domain::Timestamp;
use crate::domain::missed::Attempt;
use crate::provider::{Next, ProviderError, Sent, SentLog, SentPage};

/// GitLab keeps a week.
const WINDOW_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Five a minute are allowed.
const AGAIN_MAX: usize = 5;

/// The log of one hook.
#[derive(Debug)]
pub struct HookLog {
    session: Session,
    place: HookPlace,
    hook: u64,
}

impl HookLog {
    /// Of a hook, by its place and number.
    #[must_use]
    pub const fn new(session: Session, place: HookPlace, hook: u64) -> Self {
        Self { session, place, hook }
    }
}

/// One attempt; those of servers that send no key cannot be told from each other.
fn attempt(event: &HookEvent) -> Option<Attempt> {
    let header = |wanted: &str| {
        let mut headers = event.request_headers.iter();
        headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    let seconds: Option<i64> = header("webhook-timestamp").and_then(|value| value.parse().ok());
    Some(Attempt {
        number: event.id.get(),
        external_id: event.idempotency_key()?.to_owned(),
        at: seconds.map(|s| Timestamp::from_ms(s.saturating_mul(1000))),
        arrived: event.arrived(),
        refused: event.response_status == "401",
    })
}

#[async_trait]
impl SentLog for HookLog {
    fn name(&self) -> String {
        match self.place {
            HookPlace::Group(id) => format!("group {id} hook {}", self.hook),
            HookPlace::Project(id) => format!("project {id} hook {}", self.hook),
        }
    }

    fn window_ms(&self) -> i64 {
        WINDOW_MS
    }

    fn again_max(&self) -> usize {
        AGAIN_MAX
    }

    async fn page(&self, from: Option<&str>) -> Result<SentPage, ProviderError> {
        let from = from.map(Next::kept);
        let page = match self.session.hook_events(self.place, self.hook, from.as_ref()).await {
            // Servers before 17.3 keep no log that could be read.
            Err(ProviderError::Gone) => return Ok(SentPage { attempts: Vec::new(), older: None }),
            other => other?,
        };
        let attempts = page.items.iter().filter_map(attempt).collect();
        Ok(SentPage { attempts, older: page.next.map(Next::into_text) })
    }

    async fn again(&self, attempt: u64) -> Result<(), ProviderError> {
        self.session.resend(self.place, self.hook, attempt).await
    }

    async fn sent(&self, _attempt: u64) -> Result<Sent, ProviderError> {
        // A hook that reaches nobody is switched off after a while and logs nothing then: its state is read instead.
        Err(ProviderError::Gone)
    }
}
