//! How fast one credential may ask: the forges' own rules, kept to the letter.
//!
//! While a forge says "wait", nothing is sent. Synchronisation asks one thing at a time and leaves a share of the budget
//! to people who sign in. Writes come one after another, a second apart.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::MutexGuard as AsyncGuard;
use tokio::time::Instant;

use super::ProviderError;
use crate::domain::time::Clock;
use crate::outbound::Answer;
use crate::telemetry::metric::{Metric, Value, set};

/// Between two writes of one credential.
const WRITE_GAP: Duration = Duration::from_secs(1);
/// The wait when the forge says "wait" without saying how long; doubled each time in a row.
const PENALTY: Duration = Duration::from_secs(60);
const PENALTY_MAX: Duration = Duration::from_secs(3600);
/// No wait that a forge asks for is longer: beyond a day something else is wrong, and asking again shows what.
const WAIT_MAX: Duration = Duration::from_secs(86_400);
/// Synchronisation stops when a tenth of the budget is left, so that people can still sign in.
const RESERVED_ONE_IN: u64 = 10;

/// Who waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Nobody: synchronisation, catch-up, health.
    Sync,
    /// A person, at a page or a sign-in.
    Person,
}

/// A forge's names for the same things.
#[derive(Debug)]
pub(super) struct Dialect {
    /// `github`, `gitlab`.
    pub(super) provider: &'static str,
    pub(super) remaining: &'static str,
    pub(super) limit: &'static str,
    pub(super) reset: &'static str,
    /// Points that a minute allows, where the forge counts so; a read costs 1, a write 5.
    pub(super) points_per_minute: Option<u32>,
    /// Whether an answer without any of the headers still says "wait".
    pub(super) hidden_limit: fn(&Answer) -> bool,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing is sent before.
    closed_until: Option<Instant>,
    /// What the forge last said: requests left, of how many, and when they are renewed.
    budget: Option<(u64, u64, Instant)>,
    /// How often in a row it said "wait" without saying how long.
    penalties: u32,
    /// Points that may be spent now, and when that was counted.
    points: Option<(f64, Instant)>,
}

/// One credential's pace.
#[derive(Debug)]
pub(super) struct Pace {
    dialect: &'static Dialect,
    state: Mutex<State>,
    sync: tokio::sync::Mutex<()>,
    /// When the last write ended.
    write: tokio::sync::Mutex<Option<Instant>>,
}

/// The right to send one request.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _sync: Option<AsyncGuard<'a, ()>>,
    write: Option<AsyncGuard<'a, Option<Instant>>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(last) = self.write.as_deref_mut() {
            *last = Some(Instant::now());
        }
    }
}

impl Pace {
    pub(super) fn new(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            state: Mutex::default(),
            sync: tokio::sync::Mutex::new(()),
            write: tokio::sync::Mutex::new(None),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of one request; for a limit of the forge's it does not wait, but says until when.
    pub(super) async fn turn(
        &self,
        purpose: Purpose,
        writes: bool,
        clock: &Clock,
    ) -> Result<Turn<'_>, ProviderError> {
        self.open(purpose, clock)?;
        let sync = match purpose {
            Purpose::Sync => Some(self.sync.lock().await),
            Purpose::Person => None,
        };
        let write = if writes { Some(self.write.lock().await) } else { None };
        if let Some(last) = write.as_deref().copied().flatten() {
            tokio::time::sleep_until(after(last, WRITE_GAP)).await;
        }
        let due = self.spend(if writes { 5.0 } else { 1.0 });
        tokio::time::sleep_until(due).await;
        // What was learnt while waiting counts.
        self.open(purpose, clock)?;
        Ok(Turn { _sync: sync, write })
    }

    fn open(&self, purpose: Purpose, clock: &Clock) -> Result<(), ProviderError> {
        let now = Instant::now();
        let state = self.state();
        let closed = state.closed_until.filter(|until| *until > now);
        let reserved = state.budget.filter(|(left, of, reset)| {
            purpose == Purpose::Sync && *reset > now && left.saturating_mul(RESERVED_ONE_IN) <= *of
        });
        let until = closed.or(reserved.map(|(.., reset)| reset));
        match until {
            None => Ok(()),
            Some(until) => {
                let ms = i64::try_from(until.duration_since(now).as_millis()).unwrap_or(i64::MAX);
                // One more millisecond: what was rounded down must not be asked too early.
                Err(ProviderError::Throttled { until: clock().plus_ms(ms.saturating_add(1)) })
            }
        }
    }

    /// Takes points; says when they are there. A bucket of a fifteenth of a minute's points, filled evenly with the rest,
    /// so that no minute, wherever it begins, sees more than is allowed.
    fn spend(&self, cost: f64) -> Instant {
        let now = Instant::now();
        let Some(per_minute) = self.dialect.points_per_minute.map(f64::from) else { return now };
        let (burst, per_second) = (per_minute / 15.0, per_minute * 14.0 / 15.0 / 60.0);
        let mut state = self.state();
        let (left, counted) = state.points.unwrap_or((burst, now));
        let filled = now.saturating_duration_since(counted).as_secs_f64() * per_second;
        let left = (left + filled).min(burst) - cost;
        state.points = Some((left, now));
        after(now, Duration::from_secs_f64((-left).max(0.0) / per_second))
    }

    /// Learns from an answer; says whether it means "wait".
    pub(super) fn learn(&self, answer: &Answer, clock: &Clock) -> Result<(), ProviderError> {
        let now = Instant::now();
        let dialect = self.dialect;
        let left = answer.number(dialect.remaining);
        let reset = answer.number(dialect.reset).map(|reset| after(now, distance(reset, answer, clock)));
        if let Some(left) = left {
            set(Metric::ProviderRateLimitRemaining, &[Value::Word(dialect.provider)], left as f64);
        }
        let mut state = self.state();
        if let (Some(left), Some(of), Some(reset)) = (left, answer.number(dialect.limit), reset) {
            state.budget = Some((left, of, reset));
        }
        if !self.says_wait(answer) {
            if answer.is_success() {
                state.penalties = 0;
            }
            // The last request that was granted: the next one would be refused.
            if let (Some(0), Some(reset)) = (left, reset) {
                state.closed_until = latest(state.closed_until, reset);
            }
            return Ok(());
        }
        let asked = answer.number("retry-after").map(Duration::from_secs);
        let until = match (asked, left, reset) {
            (Some(asked), ..) => after(now, asked.clamp(Duration::from_secs(1), WAIT_MAX)),
            (None, Some(0), Some(reset)) => reset,
            _ => {
                let penalty = PENALTY.saturating_mul(1 << state.penalties.min(10)).min(PENALTY_MAX);
                state.penalties = state.penalties.saturating_add(1);
                after(now, penalty)
            }
        };
        state.closed_until = latest(state.closed_until, until);
        drop(state);
        self.open(Purpose::Person, clock)
    }

    fn says_wait(&self, answer: &Answer) -> bool {
        match answer.status {
            429 => true,
            403 => {
                answer.number("retry-after").is_some()
                    || answer.number(self.dialect.remaining) == Some(0)
                    || (self.dialect.hidden_limit)(answer)
            }
            _ => false,
        }
    }
}

fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}

fn latest(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.max(other)))
}

/// How far away a moment of the forge's clock is, by the forge's clock where the answer tells it.
fn distance(reset_s: u64, answer: &Answer, clock: &Clock) -> Duration {
    let theirs = answer.header("date").and_then(super::clock::http_date_s);
    let now = theirs.unwrap_or_else(|| clock().ms().div_euclid(1000));
    let seconds = i64::try_from(reset_s).unwrap_or(i64::MAX).saturating_sub(now);
    // The date is cut to seconds: one more, so as not to ask within the last one.
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default().saturating_add(1)).min(WAIT_MAX)
}

#[cfg(test)]
mod tests;
