//! Takes a body in, within limits of size, time, speed and of memory for all requests together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::error::Problem;
use super::{Front, Limits};

/// How often a slow body's speed is looked at.
const TICK: Duration = Duration::from_millis(250);
/// What is larger leaves a part of the budget to what is not: strangers with large bodies must not be able to refuse a
/// delivery of the usual size, which a forge may send only once. Most deliveries have 8 to 30 kB.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// One part of so many is left to the small ones.
const SMALL_PART: usize = 4;

/// The memory that all unfinished bodies share.
#[derive(Debug, Clone)]
pub struct Budget {
    left: Arc<AtomicUsize>,
    /// Only small bodies may take the last bytes.
    for_small: usize,
}

impl Budget {
    /// So many bytes for all.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)), for_small: bytes / SMALL_PART }
    }

    /// Bytes that nobody holds.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Acquire)
    }

    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), held: 0 }
    }
}

/// One request's part of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    held: usize,
}

impl Share {
    fn grow(&mut self, by: usize) -> Result<(), Problem> {
        let held = self.held.saturating_add(by);
        let kept = if held > SMALL_BYTES_MAX { self.budget.for_small } else { 0 };
        let take = |left: usize| left.checked_sub(by).filter(|rest| *rest >= kept);
        let taken = self.budget.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        taken.map_err(|_| Problem::busy())?;
        self.held = held;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.held, Ordering::AcqRel);
    }
}

/// A body that has arrived whole, and the memory it is counted under.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
}

/// Why it did not, and how much of it had arrived.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) problem: Problem,
    pub(crate) arrived: usize,
}

/// Refuses by the declared length, before anything is read.
pub(crate) fn declared(headers: &HeaderMap, most: usize) -> Result<Option<usize>, Problem> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    let length =
        length.ok_or_else(|| Problem::bad("length-invalid", "the declared length cannot be read"))?;
    if length > most { Err(Problem::too_large(most)) } else { Ok(Some(length)) }
}

/// Takes a request's body, of so many bytes at most, whole.
pub(crate) async fn take(
    request: &HttpRequest,
    front: &Front,
    payload: &mut Payload,
    most: usize,
    began: Instant,
) -> Result<Body, Problem> {
    let declared = declared(request.headers(), most)?;
    let intake = Intake { limits: &front.limits, most, declared, began, share: front.budget.share() };
    intake.read(payload).await.map_err(|cut| cut.problem)
}

/// One body on its way in.
pub(crate) struct Intake<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) most: usize,
    pub(crate) declared: Option<usize>,
    pub(crate) began: Instant,
    pub(crate) share: Share,
}

impl Intake<'_> {
    /// Reads to the end. The buffer is paid for as it grows, so a declared length alone costs nobody anything.
    pub(crate) async fn read(mut self, payload: &mut Payload) -> Result<Body, Cut> {
        let mut buffer = Vec::new();
        match self.fill(payload, &mut buffer).await {
            Ok(()) => Ok(Body { bytes: Bytes::from(buffer), share: self.share }),
            Err(problem) => Err(Cut { problem, arrived: buffer.len() }),
        }
    }

    /// Hands each piece on as it comes and keeps none, so that only what is put aside counts.
    pub(crate) async fn pour(
        self,
        payload: &mut Payload,
        mut sink: impl FnMut(&[u8]) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut arrived: usize = 0;
        while let Some(chunk) = self.next(payload, arrived).await? {
            arrived = arrived.saturating_add(chunk.len());
            if arrived > self.most {
                return Err(Problem::too_large(self.most));
            }
            sink(&chunk)?;
        }
        Ok(())
    }

    async fn fill(&mut self, payload: &mut Payload, buffer: &mut Vec<u8>) -> Result<(), Problem> {
        while let Some(chunk) = self.next(payload, buffer.len()).await? {
            self.make_room(buffer, chunk.len())?;
            buffer.extend_from_slice(&chunk);
        }
        Ok(())
    }

    /// Waits for the next piece as long as the deadline and the least speed allow.
    async fn next(&self, payload: &mut Payload, arrived: usize) -> Result<Option<Bytes>, Problem> {
        let deadline = self.deadline();
        // Most pieces are there already: only a wait is worth a timer.
        let now = std::future::poll_fn(|context| Poll::Ready(payload.poll_next_unpin(context))).await;
        if let Poll::Ready(piece) = now {
            return self.piece(piece, arrived);
        }
        loop {
            let until = deadline.min(Instant::now().checked_add(TICK).unwrap_or(deadline));
            match timeout_at(until, payload.next()).await {
                Ok(piece) => return self.piece(piece, arrived),
                Err(_) => self.check_speed(arrived)?,
            }
        }
    }

    fn piece(
        &self,
        piece: Option<Result<Bytes, PayloadError>>,
        arrived: usize,
    ) -> Result<Option<Bytes>, Problem> {
        match piece {
            None => Ok(None),
            Some(Ok(chunk)) => {
                self.check_speed(arrived.saturating_add(chunk.len()))?;
                Ok(Some(chunk))
            }
            Some(Err(_)) => Err(Problem::bad("incomplete", "the body ended early").closing()),
        }
    }

    fn deadline(&self) -> Instant {
        self.began.checked_add(self.limits.request_deadline).unwrap_or(self.began)
    }

    fn check_speed(&self, arrived: usize) -> Result<(), Problem> {
        let elapsed = self.began.elapsed();
        let slow_for = elapsed.saturating_sub(self.limits.slow_grace).as_millis();
        let owed = slow_for.saturating_mul(u128::from(self.limits.slow_bytes_per_second)) / 1000;
        let late = Instant::now() >= self.deadline();
        if late || (arrived as u128) < owed { Err(Problem::too_slow()) } else { Ok(()) }
    }

    fn make_room(&mut self, buffer: &mut Vec<u8>, more: usize) -> Result<(), Problem> {
        let needed = buffer.len().saturating_add(more);
        if needed > self.most {
            return Err(Problem::too_large(self.most));
        }
        let held = self.share.held;
        if needed <= held {
            return Ok(());
        }
        let ceiling = self.declared.unwrap_or(self.most).max(needed);
        let wanted = held.saturating_mul(2).clamp(needed, ceiling);
        self.share.grow(wanted.saturating_sub(self.share.held))?;
        buffer.reserve_exact(wanted.saturating_sub(buffer.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s04_large_bodies_leave_room_for_small_ones() {
        let budget = Budget::new(1 << 20);
        let mut large: Vec<Share> = Vec::new();
        loop {
            let mut one = budget.share();
            if one.grow(256 << 10).is_err() {
                break;
            }
            large.push(one);
        }
        assert_eq!((large.len(), budget.left()), (3, 256 << 10));
        let mut small: Vec<Share> = (0..4).map(|_| budget.share()).collect();
        for one in &mut small {
            one.grow(SMALL_BYTES_MAX).unwrap();
        }
        assert_eq!(budget.left(), 0);
        assert!(budget.share().grow(1).is_err(), "it is a budget all the same");
        drop(small);
        let mut growing = budget.share();
        growing.grow(SMALL_BYTES_MAX).unwrap();
        assert!(growing.grow(1).is_err(), "a body that has become large counts as one");
        drop((large, growing));
        assert_eq!(budget.left(), 1 << 20);
    }
}
