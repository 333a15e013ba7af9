//! Keeps loops alive: what ends with an error begins again, slower each time, and never quietly.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;

use super::bounds::{self, ERROR_BYTES_MAX};
use super::{Context, LoopState, metric};
use crate::store::StoreError;
use crate::telemetry::{Fault, report};

const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A loop tells by it that a round went well.
#[derive(Clone)]
pub(super) struct Pulse {
    name: &'static str,
    failures: Arc<AtomicU32>,
    context: Arc<Context>,
}

impl Pulse {
    /// A round went well: the next failure waits the shortest time again.
    pub(super) fn beat(&self) {
        if self.failures.swap(0, Ordering::Relaxed) > 0 {
            tracing::info!(name = self.name, "the loop works again");
            self.tell(LoopState::Running);
        }
    }

    /// A round went badly. Returns how long to wait.
    fn miss(&self, why: &str) -> Duration {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        metric::restart(self.name);
        // Once per change: a store that is away for hours must not fill the log.
        if before == 0 {
            report!(Fault::LoopFailing, name = self.name, error = why, "the loop failed and begins again");
            self.tell(LoopState::Failing);
        }
        wait(before)
    }

    fn tell(&self, state: LoopState) {
        self.context.notice.changed(self.name, state, self.context.now());
    }
}

/// 250 ms, doubled with each failure in a row, at most 30 s.
fn wait(failures_before: u32) -> Duration {
    WAIT_MIN.saturating_mul(2_u32.saturating_pow(failures_before)).min(WAIT_MAX)
}

/// Runs a loop until the workers stop, whatever happens in it.
pub(super) async fn supervise<F, Fut>(context: Arc<Context>, name: &'static str, begin: F)
where
    F: Fn(Arc<Context>, Pulse) -> Fut,
    Fut: Future<Output = Result<(), StoreError>>,
{
    let pulse = Pulse { name, failures: Arc::default(), context: Arc::clone(&context) };
    metric::begin(name);
    pulse.tell(LoopState::Running);
    loop {
        let ended = AssertUnwindSafe(begin(Arc::clone(&context), pulse.clone())).catch_unwind().await;
        if context.stopping.is_cancelled() {
            break;
        }
        let why = match ended {
            Ok(Ok(())) => "it ended by itself".to_owned(),
            Ok(Err(StoreError::Failed(why))) => {
                context.fail(&why);
                break;
            }
            Ok(Err(error)) => bounds::cut(&error.to_string(), ERROR_BYTES_MAX),
            Err(payload) => format!("it panicked: {}", bounds::panic_text(payload.as_ref())),
        };
        let wait = pulse.miss(&why);
        context.stopping.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
    pulse.tell(LoopState::Stopped);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_waits_from_250_ms_to_30_s() {
        let waits: Vec<u128> = (0..9).map(|before| wait(before).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(wait(u32::MAX), WAIT_MAX);
    }
}
