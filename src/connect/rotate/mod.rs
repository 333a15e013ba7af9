//! What a forge believes us by, and what proves its deliveries, replaced by something new.
//!
//! One task does both: first the secrets of hooks that we made, then the token. Each part is written down step by step, so
//! that whoever goes on after a crash repeats nothing that may not be repeated.

mod app;
mod by_hand;
mod hook;
mod leaked;
mod token;

pub use app::AppSecrets;
pub(super) use leaked::LEAKED;

use super::{Connections, NotReady, gone};
use crate::domain::Timestamp;
use crate::domain::organization::Connection;
use crate::domain::task::{Performed, Task, TaskState};
use crate::provider::ProviderError;
use crate::store::{Page, StoreError, TaskFilter};

/// Others that hold what is to be replaced are waited for so long.
const WAIT_MS: i64 = 30_000;

/// What has come of one part.
#[derive(Debug)]
enum Part {
    /// It was replaced, and what should be known of it.
    Did(String),
    /// There is nothing here that we could replace, and why.
    Nothing(String),
    /// It is not over, or cannot be done.
    Stop(Performed),
}

impl Part {
    fn later(at: Option<Timestamp>, error: impl Into<String>) -> Self {
        Self::Stop(Performed::Later { at, error: error.into() })
    }

    fn failed(error: impl Into<String>) -> Self {
        Self::Stop(Performed::Failed { error: error.into() })
    }
}

/// What follows of an error after which the forge has surely done nothing.
fn refused(error: &ProviderError) -> Performed {
    let text = error.to_string();
    match error {
        ProviderError::Throttled { until } => Performed::Later { at: Some(*until), error: text },
        _ if error.passes() => Performed::Later { at: None, error: text },
        _ => Performed::Failed { error: text },
    }
}

impl Connections {
    /// Replaces the secrets of a connection's hooks and its token, as far as they are ours to replace. When the secrets
    /// have leaked, they alone are replaced, and those before end at once.
    ///
    /// # Errors
    /// When the store refuses; what was written before stays written.
    pub async fn rotate(&self, task: &Task) -> Result<Performed, StoreError> {
        let Some(found) = self.connection(task).await? else { return Ok(gone()) };
        let replaced = self.rotate_hook_secrets(task, &found.value).await;
        let done = match replaced {
            Ok(part) if task.subject == LEAKED => self.end_leaked(task, part).await.map(Part::Stop),
            other => other,
        };
        let hooks = match done {
            Ok(Part::Stop(performed)) => return Ok(performed),
            Ok(part) => part,
            Err(NotReady::Store(error)) => return Err(error),
            Err(NotReady::Off(why)) => return Ok(super::rest::held(task, &found.value, why, self.now())),
            Err(NotReady::Provider(error)) => return Ok(refused(&error)),
            Err(other) => return Ok(Performed::Failed { error: other.to_string() }),
        };
        // What was done to the hooks has written the connection.
        let Some(found) = self.connection(task).await? else { return Ok(gone()) };
        let token = self.rotate_token(task, &found).await?;
        Ok(match (hooks, token) {
            (_, Part::Stop(performed)) | (Part::Stop(performed), _) => performed,
            (Part::Did(hooks), Part::Did(token)) => Performed::noted(format!("{token}; {hooks}")),
            (Part::Did(did), Part::Nothing(_)) | (Part::Nothing(_), Part::Did(did)) => Performed::noted(did),
            (Part::Nothing(hooks), Part::Nothing(token)) => {
                Performed::Failed { error: format!("{token}; {hooks}") }
            }
        })
    }

    /// Whether such a task of a connection is at work, with what it has read when it began.
    async fn others_work(
        &self,
        connection: &Connection,
        is_such: impl Fn(&Task) -> bool + Send + Sync,
    ) -> Result<bool, StoreError> {
        let filter = TaskFilter {
            connection: Some(connection.key.clone()),
            state: Some(TaskState::Working),
            ..TaskFilter::default()
        };
        let mut cursor = None;
        loop {
            // A page may be short, or empty, and not the last.
            let working = self.store.tasks(&filter, &Page { limit: 200, cursor }).await?;
            if working.items.iter().any(&is_such) {
                return Ok(true);
            }
            cursor = working.next;
            if cursor.is_none() {
                return Ok(false);
            }
        }
    }
}
