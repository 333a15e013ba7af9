//! What the workers tell, turned into health and, at worst, into the end of the process.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::Timestamp;
use crate::web::Health;
use crate::worker::{LoopState, Notice};

/// Passes the workers' reports on.
#[derive(Debug)]
pub(super) struct Reporter {
    health: Arc<Health>,
    fatal: Mutex<Option<String>>,
    told: Notify,
}

impl Reporter {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self { health, fatal: Mutex::new(None), told: Notify::new() }
    }

    fn reason(&self) -> Option<String> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns when the store has stopped for good.
    pub(super) async fn failed(&self) -> String {
        loop {
            let told = self.told.notified();
            if let Some(why) = self.reason() {
                return why;
            }
            told.await;
        }
    }
}

impl Notice for Reporter {
    fn writable(&self, _at: Timestamp) {
        self.health.note_write();
    }

    fn unwritable(&self, why: &str, _at: Timestamp) {
        self.health.note_failure(why);
    }

    /// The loops write their own lines.
    fn changed(&self, _name: &'static str, _state: LoopState, _at: Timestamp) {}

    fn checked(&self, damages: &[String]) {
        self.health.note_scrub(damages);
    }

    fn fatal(&self, why: &str) {
        self.health.note_stopped(why);
        *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
        self.told.notify_waiters();
        self.told.notify_one();
    }
}
