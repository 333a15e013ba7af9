//! Stepping aside while deliveries wait for their sync (ruling 37): a burst is taken first and worked on afterwards.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often the intake is looked at.
pub(super) const STEP: Duration = Duration::from_millis(5);
/// While deliveries wait for their sync, a round of work waits for so long at most …
pub(super) const ROUND_MAX: Duration = Duration::from_millis(20);
/// … unless they come faster than this: then nothing is worked on until they do not. Two processors that handle what
/// they take manage about as many.
const BURST_PER_SECOND: u64 = 4_000;
/// The rate is that of so long a time.
const WINDOW: Duration = Duration::from_millis(20);
/// A load without a pause for so long is no burst: from then on the processor is shared, so that work is never
/// further behind than that because of us.
const BURST_MAX: Duration = Duration::from_secs(20);

/// What is known of the intake's rate.
#[derive(Debug, Default)]
pub(super) struct Courtesy(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    looked: Option<(Instant, u64)>,
    burst_since: Option<Instant>,
}

impl Courtesy {
    /// Whether a burst is under way that goes first. `taken`: deliveries taken so far.
    pub(super) fn is_burst(&self, taken: u64, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, before) = *state.looked.get_or_insert((now, taken));
        let passed = now.saturating_duration_since(at);
        if passed >= WINDOW {
            state.looked = Some((now, taken));
            let came = u128::from(taken.saturating_sub(before)).saturating_mul(1_000);
            let fast = came > passed.as_millis().saturating_mul(u128::from(BURST_PER_SECOND));
            state.burst_since = if fast { state.burst_since.or(Some(at)) } else { None };
        }
        state.burst_since.is_some_and(|since| now.saturating_duration_since(since) < BURST_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every window at a load of so many per window; how often it was a burst.
    fn bursts(courtesy: &Courtesy, now: &mut Instant, taken: &mut u64, per_window: u64, windows: u32) -> u32 {
        let look = |_| {
            *now += WINDOW;
            *taken += per_window;
            u32::from(courtesy.is_burst(*taken, *now))
        };
        (0..windows).map(look).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_first_but_not_for_ever() {
        let (courtesy, mut now, mut taken) = (Courtesy::default(), Instant::now(), 0);
        assert!(!courtesy.is_burst(0, now));
        let fast = BURST_PER_SECOND / 50 + 1;
        let whole = u32::try_from(BURST_MAX.as_millis() / WINDOW.as_millis()).unwrap();
        assert_eq!(
            bursts(&courtesy, &mut now, &mut taken, fast, whole * 3),
            whole - 1,
            "twenty seconds at most"
        );
        assert_eq!(bursts(&courtesy, &mut now, &mut taken, 1, 1), 0, "a pause");
        assert_eq!(bursts(&courtesy, &mut now, &mut taken, fast, 10), 10, "begins a new one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_usual_load_is_no_burst() {
        let (courtesy, mut now, mut taken) = (Courtesy::default(), Instant::now(), 0);
        assert!(!courtesy.is_burst(0, now));
        assert_eq!(bursts(&courtesy, &mut now, &mut taken, 2_000 / 50, 100), 0);
    }
}
