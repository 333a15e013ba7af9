//! Reads everything that is kept, slowly and again and again, and names what is not as it was written (ruling 6).

use std::sync::Arc;
use std::time::Duration;

use super::supervise::Pulse;
use super::{Context, metric};
use crate::store::{Scrubbed, StoreError};
use crate::telemetry::{Fault, report};

/// A daemon that has just started has other things to read.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// One pass through everything; a quarter of the day in which everything is to be checked, so that restarts fit in.
const PASS: Duration = Duration::from_secs(6 * 60 * 60);
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// The intake goes first for so long at most between two pieces.
const ASIDE_MAX: Duration = Duration::from_secs(1);

pub(super) async fn run(context: Arc<Context>, pulse: Pulse) -> Result<(), StoreError> {
    let mut wait = FIRST_AFTER;
    let (mut before, mut found) = (0, Vec::new());
    while context.stopping.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        context.step_aside(ASIDE_MAX).await;
        let piece = context.store.scrub().await?;
        pulse.beat();
        wait = pause(before, &piece);
        before = if piece.is_last { 0 } else { piece.done };
        tell(&context, &piece, &mut found);
    }
    Ok(())
}

/// As long as this piece's share of a pass.
fn pause(done_before: u64, piece: &Scrubbed) -> Duration {
    let read = u128::from(piece.done.saturating_sub(done_before));
    let share = PASS.as_nanos().saturating_mul(read) / u128::from(piece.all.max(1));
    Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX)).clamp(PAUSE_MIN, PAUSE_MAX)
}

/// Says what was found at once, and at the end of a pass how it went.
fn tell(context: &Context, piece: &Scrubbed, found: &mut Vec<String>) {
    for sentence in &piece.found {
        report!(Fault::StoreDamaged, what = sentence, "something that is kept is not what was written");
        found.push(sentence.clone());
    }
    if !piece.is_last && piece.found.is_empty() {
        return;
    }
    context.notice.checked(found);
    metric::set(metric::STORE_DAMAGES, u64::try_from(found.len()).unwrap_or(u64::MAX));
    if piece.is_last {
        metric::set(metric::SCRUB_LAST_PASS, u64::try_from(context.now().ms() / 1000).unwrap_or(0));
        if found.is_empty() {
            tracing::debug!("everything that is kept was read and is as it was written");
        }
        found.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(done: u64, all: u64) -> Scrubbed {
        Scrubbed { done, all, found: Vec::new(), is_last: done == all }
    }

    #[test]
    fn a_pass_takes_a_quarter_of_a_day_whatever_there_is() {
        const MIB: u64 = 1 << 20;
        for all in [200 * MIB, 10_000 * MIB, 400_000 * MIB] {
            let (mut time, mut done) = (Duration::ZERO, 0);
            while done < all {
                time += pause(done, &piece(done + MIB, all));
                done += MIB;
            }
            assert!(time > PASS / 2 && time <= PASS + Duration::from_secs(60), "{all}: {time:?}");
        }
        assert_eq!(pause(0, &piece(5, 5)), PAUSE_MAX, "a small store is read more often");
        assert_eq!(pause(7, &piece(7, 0)), PAUSE_MIN);
    }
}
