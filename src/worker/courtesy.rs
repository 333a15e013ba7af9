//! Stepping aside while deliveries wait for their sync (ruling 37): a burst is taken first and worked on afterwards.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Load;

/// How often the intake is looked at.
pub(super) const STEP: Duration = Duration::from_millis(5);
/// While deliveries wait for their sync, a round of work waits for so long at most …
pub(super) const ROUND_MAX: Duration = Duration::from_millis(20);
/// … unless there are more of them than this, or they come faster than that: then nothing is worked on until it is
/// over. Two processors that handle what they take manage about as many.
const WAITING_MIN: u64 = 8;
const BURST_PER_SECOND: u64 = 4_000;
/// Both are looked at over so long a time.
const WINDOW: Duration = Duration::from_millis(20);
/// A load without a pause for so long is no burst: from then on the processor is shared, so that work is never
/// further behind than that because of us.
const BURST_MAX: Duration = Duration::from_secs(20);

/// What is known of the intake's rate.
#[derive(Debug, Default)]
pub(super) struct Courtesy(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the window began, and what had been taken by then.
    begin: Option<(Instant, u64)>,
    /// Looks in this window, and how many waited in all of them.
    looks: u64,
    waited: u64,
    burst_since: Option<Instant>,
}

impl Courtesy {
    /// Whether a burst is under way that goes first.
    pub(super) fn is_burst(&self, load: Load, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, before) = *state.begin.get_or_insert((now, load.taken));
        state.looks = state.looks.saturating_add(1);
        state.waited = state.waited.saturating_add(load.waiting);
        let passed = now.saturating_duration_since(at);
        if passed >= WINDOW {
            let came = u128::from(load.taken.saturating_sub(before)).saturating_mul(1_000);
            let fast = came > passed.as_millis().saturating_mul(u128::from(BURST_PER_SECOND));
            let many = state.waited >= state.looks.saturating_mul(WAITING_MIN);
            let since = if fast || many { state.burst_since.or(Some(at)) } else { None };
            *state = State { begin: Some((now, load.taken)), burst_since: since, ..State::default() };
        }
        state.burst_since.is_some_and(|since| now.saturating_duration_since(since) < BURST_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample {
        courtesy: Courtesy,
        now: Instant,
        load: Load,
    }

    impl Sample {
        fn new() -> Self {
            let sample = Self { courtesy: Courtesy::default(), now: Instant::now(), load: Load::default() };
            assert!(!sample.courtesy.is_burst(sample.load, sample.now));
            sample
        }

        /// Looks once per window at so many that come and so many that wait; how often it was a burst.
        fn bursts(&mut self, coming: u64, waiting: u64, windows: u32) -> u32 {
            let mut look = || {
                self.now += WINDOW;
                self.load = Load { waiting, taken: self.load.taken + coming, crowded: false };
                u32::from(self.courtesy.is_burst(self.load, self.now))
            };
            (0..windows).map(|_| look()).sum()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_first_but_not_for_ever() {
        let mut sample = Sample::new();
        let fast = BURST_PER_SECOND / 50 + 1;
        let whole = u32::try_from(BURST_MAX.as_millis() / WINDOW.as_millis()).unwrap();
        assert_eq!(sample.bursts(fast, 0, whole * 3), whole - 1, "twenty seconds at most");
        assert_eq!(sample.bursts(1, 0, 1), 0, "a pause");
        assert_eq!(sample.bursts(fast, 0, 10), 10, "begins a new one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_at_the_door_is_a_burst_however_slowly_it_moves() {
        let mut sample = Sample::new();
        // Two looks share the first window with the one at the start, at which nobody waited.
        assert_eq!(sample.bursts(1, 2 * WAITING_MIN, 10), 10);
        assert_eq!(sample.bursts(1, 0, 1), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_usual_load_is_no_burst() {
        assert_eq!(Sample::new().bursts(2_000 / 50, 3, 100), 0);
    }
}
