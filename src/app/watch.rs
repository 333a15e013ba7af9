//! Looks at what nobody reports: the embedded store's disk, the machine's clock, and whether readiness has changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{Clock, Timestamp};
use crate::telemetry::{Fault, report};
use crate::web::Health;

const EVERY: Duration = Duration::from_secs(2);
/// Time services move a clock by less than this without anybody noticing.
const JUMP_MS_MIN: u64 = 60_000;

/// Until it is dropped.
pub(super) async fn watch(health: Arc<Health>, dir: Option<PathBuf>, clock: Clock) {
    let mut before = (clock(), Instant::now());
    loop {
        if let Some(Ok(disk)) = dir.as_ref().map(rustix::fs::statvfs) {
            health.set_disk(
                disk.f_bavail.saturating_mul(disk.f_frsize),
                disk.f_blocks.saturating_mul(disk.f_frsize),
            );
        }
        health.tell();
        let after = (clock(), Instant::now());
        let passed = after.1.saturating_duration_since(before.1);
        if let Some(by_ms) = jump(before.0, after.0, passed) {
            report!(Fault::ClockJumped, by_ms, "the machine's clock has jumped");
        }
        before = after;
        tokio::time::sleep(EVERY).await;
    }
}

/// By how many milliseconds the clock moved more than time has passed; `None` when that is little.
fn jump(before: Timestamp, after: Timestamp, passed: Duration) -> Option<i64> {
    let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
    let by = after.since(before).saturating_sub(passed);
    (by.unsigned_abs() > JUMP_MS_MIN).then_some(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_moves_with_time_has_not_jumped() {
        let at = Timestamp::from_ms;
        let two = Duration::from_secs(2);
        assert_eq!(jump(at(0), at(2_000), two), None);
        assert_eq!(jump(at(0), at(62_000), two), None, "a minute is what a time service may do");
        assert_eq!(jump(at(0), at(62_001), two), Some(60_001));
        assert_eq!(jump(at(3_600_000), at(2_000), two), Some(-3_600_000));
        assert_eq!(jump(at(i64::MAX), at(i64::MIN), two), Some(i64::MIN));
        assert_eq!(jump(at(0), at(3_600_000), Duration::from_secs(3_600)), None, "a loop that was held up");
    }
}
