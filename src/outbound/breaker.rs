//! One host's breaker and bulkhead: who does not answer is left alone for a while, and holds only a few calls at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// After so many failures in a row it is left alone.
const FAILURES: u32 = 5;
/// For so long; then one call tries. Short enough that all is well a minute after the host is back.
const REST: Duration = Duration::from_secs(30);
/// Calls to one host at a time. The forges allow a hundred; a dead one must not hold that many of our workers.
const AT_ONCE: usize = 16;

#[derive(Debug, Clone, Copy)]
enum State {
    /// Works, with so many failures in a row.
    Works(u32),
    /// Left alone until then.
    Rests(Instant),
    /// One call is finding out.
    Tried,
}

/// What is known about one host.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<State>,
    room: Arc<Semaphore>,
}

/// Why no call is made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// The host is left alone for so long.
    Rests(Duration),
    /// Enough calls are under way.
    Busy,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Works(0)), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits one call, after waiting for room at most so long.
    pub(super) async fn admit(&self, wait: Duration) -> Result<Pass<'_>, Held> {
        self.look(Instant::now(), false)?;
        let room = Arc::clone(&self.room).acquire_owned();
        let room = tokio::time::timeout(wait, room).await.ok().and_then(Result::ok).ok_or(Held::Busy)?;
        self.look(Instant::now(), true)?;
        Ok(Pass { breaker: self, ended: false, _room: room })
    }

    fn look(&self, now: Instant, take: bool) -> Result<(), Held> {
        let mut state = self.state();
        match *state {
            State::Works(_) => Ok(()),
            State::Tried => Err(Held::Rests(Duration::from_secs(1))),
            State::Rests(until) if now < until => Err(Held::Rests(until.duration_since(now))),
            State::Rests(_) => {
                if take {
                    *state = State::Tried;
                }
                Ok(())
            }
        }
    }

    fn end(&self, worked: bool) {
        let mut state = self.state();
        *state = match (*state, worked) {
            (_, true) => State::Works(0),
            (State::Works(failures), false) if failures.saturating_add(1) < FAILURES => {
                State::Works(failures.saturating_add(1))
            }
            // What was under way when the breaker opened does not make the rest any longer.
            (State::Rests(until), false) => State::Rests(until),
            (_, false) => State::Rests(Instant::now().checked_add(REST).unwrap_or_else(Instant::now)),
        };
    }
}

/// One admitted call. Dropped without an end, it counts as failed: somebody lost patience.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    ended: bool,
    _room: OwnedSemaphorePermit,
}

impl Pass<'_> {
    /// Says how the call ended.
    pub(super) fn end(mut self, worked: bool) {
        self.ended = true;
        self.breaker.end(worked);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.breaker.end(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(1);

    async fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.admit(WAIT).await.unwrap().end(false);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn r32_a_dead_host_is_left_alone_and_tried_by_one_call_half_a_minute_later() {
        let breaker = Breaker::new();
        fail(&breaker, FAILURES).await;
        assert_eq!(breaker.admit(WAIT).await.unwrap_err(), Held::Rests(REST));
        tokio::time::advance(REST).await;
        let trial = breaker.admit(WAIT).await.unwrap();
        assert!(matches!(breaker.admit(WAIT).await.unwrap_err(), Held::Rests(_)));
        trial.end(true);
        assert!(breaker.admit(WAIT).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn r32_a_failed_trial_rests_again() {
        let breaker = Breaker::new();
        fail(&breaker, FAILURES).await;
        tokio::time::advance(REST).await;
        // Dropped: whoever tried was cancelled.
        drop(breaker.admit(WAIT).await.unwrap());
        assert_eq!(breaker.admit(WAIT).await.unwrap_err(), Held::Rests(REST));
    }

    #[tokio::test(start_paused = true)]
    async fn r32_one_success_forgets_the_failures_before_it() {
        let breaker = Breaker::new();
        fail(&breaker, FAILURES - 1).await;
        breaker.admit(WAIT).await.unwrap().end(true);
        fail(&breaker, FAILURES - 1).await;
        assert!(breaker.admit(WAIT).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn r32_a_host_holds_only_so_many_calls_at_once() {
        let breaker = Breaker::new();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(breaker.admit(WAIT).await.unwrap());
        }
        assert_eq!(breaker.admit(WAIT).await.unwrap_err(), Held::Busy);
        held.pop().unwrap().end(true);
        assert!(breaker.admit(WAIT).await.is_ok());
    }
}
