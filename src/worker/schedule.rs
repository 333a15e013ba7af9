//! When a failed attempt is made again, and when it is not.

use crate::domain::Timestamp;
use crate::domain::delivery::{Attempt, DeliveryRecord};

/// The waits before the first, second, … tenth attempt. Dense at first, because most failures are blips; long at
/// the end, so that it outlives a night.
pub(super) const WAITS_S: [i64; 10] = [0, 5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200];
/// Nothing is tried again when it is older than that.
pub(super) const AGE_MAX_MS: i64 = 3 * 24 * 60 * 60 * 1_000;
/// So many attempts without an end stand for a process that died in them.
pub(super) const CRASHES_MAX: u32 = 3;
/// A wait is lengthened by at most so many hundredths.
const JITTER_MAX_PERCENT: u64 = 20;

/// The error of an attempt that was given back because the daemon stopped. It does not count as a try.
pub(super) const STOPPED: &str = "the daemon stopped before the attempt ended; it is made again";
/// The error of an attempt that ran too long. Its thread cannot be ended, so such attempts count as crashes.
pub(super) const OVERTIME: &str = "the attempt ran longer than 30 s and was left behind";

/// The attempts at a delivery since it was received, or since somebody asked for it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Series {
    /// How many, the one under way included.
    pub(super) tries: u32,
    /// Since when its age counts.
    pub(super) began_at: Timestamp,
    /// How many of the ones before ended in nothing: the process died in them, or they would not end.
    pub(super) crashes: u32,
}

impl Series {
    /// Reads the series from a delivery's history. `excused`: attempts without an end for which the store was to blame.
    pub(super) fn of(history: &[Attempt], record: &DeliveryRecord, excused: u32, now: Timestamp) -> Self {
        let ends = |attempt: &Attempt| attempt.led_to.is_some_and(|state| state.is_final());
        let current = |attempt: &Attempt| attempt.led_to.is_none() && attempt.number >= record.attempts;
        let earlier: Vec<&Attempt> = history.iter().filter(|attempt| !current(attempt)).collect();
        let replayed = earlier.iter().rposition(|attempt| ends(attempt));
        let mine = earlier.get(replayed.map_or(0, |last| last.saturating_add(1))..).unwrap_or_default();
        let first = mine.first().map_or(now, |attempt| attempt.started_at);
        let known = record.received_at;
        // What lay for days before its first try (the daemon was away, or it was ended unread and asked for again)
        // deserves its tries all the same.
        let late = replayed.is_some() || first.since(known) > AGE_MAX_MS;
        let count = |wanted: &dyn Fn(&Attempt) -> bool| {
            u32::try_from(mine.iter().filter(|attempt| wanted(attempt)).count()).unwrap_or(u32::MAX)
        };
        Self {
            tries: count(&|attempt| attempt.error.as_deref() != Some(STOPPED)).saturating_add(1),
            began_at: if late { first } else { known },
            crashes: count(&is_crash).saturating_sub(excused),
        }
    }

    /// When to try again; `None`: not any more. `chance` is any random number.
    pub(super) fn next(&self, now: Timestamp, chance: u64) -> Option<Timestamp> {
        let wait_ms = WAITS_S.get(usize::try_from(self.tries).ok()?)?.saturating_mul(1_000);
        let at = now.plus_ms(wait_ms.saturating_add(jitter_ms(wait_ms, chance)));
        (at.since(self.began_at) <= AGE_MAX_MS).then_some(at)
    }
}

fn is_crash(attempt: &Attempt) -> bool {
    attempt.led_to.is_none() || attempt.error.as_deref() == Some(OVERTIME)
}

/// Later only, never earlier: nobody who asked us to wait is asked again too soon.
fn jitter_ms(wait_ms: i64, chance: u64) -> i64 {
    let steps = JITTER_MAX_PERCENT.saturating_mul(100);
    let step = i64::try_from(chance.checked_rem(steps.saturating_add(1)).unwrap_or(0)).unwrap_or(0);
    wait_ms.saturating_mul(step).checked_div(10_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::DeliveryState;
    use crate::worker::tests::fake::record;

    const DAY_MS: i64 = 86_400_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn tried(number: u32, led_to: Option<DeliveryState>, error: Option<&str>) -> Attempt {
        let started_at = at(i64::from(number) * 1_000);
        Attempt { number, started_at, took_ms: led_to.map(|_| 1), led_to, error: error.map(str::to_owned) }
    }

    fn series(tries: u32) -> Series {
        Series { tries, began_at: at(0), crashes: 0 }
    }

    #[test]
    fn r28_ten_attempts_spread_over_81755_seconds() {
        let (mut now, mut attempts) = (at(0), 1);
        while let Some(next) = series(attempts).next(now, 0) {
            now = next;
            attempts += 1;
        }
        assert_eq!((attempts, now.ms()), (10, 81_755_000));
        assert_eq!(WAITS_S.iter().sum::<i64>(), 81_755);
    }

    #[test]
    fn a_retry_is_never_earlier_and_at_most_a_fifth_later() {
        for chance in [0, 1, 999, 2_000, 2_001, 123_456_789, u64::MAX] {
            let wait = series(3).next(at(0), chance).unwrap().ms();
            assert!((120_000..=144_000).contains(&wait), "{wait}");
        }
        assert_eq!(series(3).next(at(0), 2_000), Some(at(144_000)));
    }

    #[test]
    fn nothing_is_tried_again_after_three_days() {
        assert!(series(1).next(at(AGE_MAX_MS - 5_000), 0).is_some());
        assert_eq!(series(1).next(at(AGE_MAX_MS - 4_999), 0), None);
    }

    #[test]
    fn three_attempts_without_an_end_are_three_crashes() {
        let record = record(4, at(0));
        let history: Vec<_> = (1..=4).map(|number| tried(number, None, None)).collect();
        let found = Series::of(&history, &record, 0, at(9_000));
        assert_eq!(found, Series { tries: 4, began_at: at(0), crashes: 3 });
        assert_eq!(Series::of(&history, &record, 2, at(9_000)).crashes, 1, "the store was to blame for two");
        let over: Vec<_> = (1..=3).map(|n| tried(n, Some(DeliveryState::Waiting), Some(OVERTIME))).collect();
        assert_eq!(Series::of(&over, &record, 0, at(9_000)).crashes, 3);
    }

    #[test]
    fn a_replay_begins_a_new_series() {
        let mut history: Vec<_> =
            (1..=9).map(|n| tried(n, Some(DeliveryState::Waiting), Some("x"))).collect();
        history.push(tried(10, Some(DeliveryState::Dead), Some("x")));
        history.push(tried(11, Some(DeliveryState::Waiting), Some("x")));
        let found = Series::of(&history, &record(12, at(0)), 0, at(DAY_MS));
        assert_eq!(found, Series { tries: 2, began_at: at(11_000), crashes: 0 });
    }

    #[test]
    fn a_stop_of_the_daemon_uses_up_no_try() {
        let history = [tried(1, Some(DeliveryState::Waiting), Some(STOPPED))];
        assert_eq!(Series::of(&history, &record(2, at(0)), 0, at(5_000)).tries, 1);
    }

    #[test]
    fn what_lay_for_days_before_its_first_try_gets_its_tries() {
        let now = at(AGE_MAX_MS + 1);
        let found = Series::of(&[], &record(1, at(0)), 0, now);
        assert_eq!(found.began_at, now);
        assert!(found.next(now, 0).is_some());
    }
}
