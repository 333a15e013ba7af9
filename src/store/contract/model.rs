//! What a store is, as plainly as it can be said: the reference that random histories are compared with (R17).
//!
//! Deliveries are named by the order in which they came; a store's own ids are mapped to it.

use std::collections::BTreeMap;

use super::bench::{LEASE_MS, source};
use crate::domain::delivery::{Attempt, DeliveryRecord, DeliveryState};
use crate::domain::{DeliveryId, Timestamp};
use crate::store::StoreFigures;

const BLOCKED_MS_MAX: i64 = 15 * 60 * 1000;

/// What a delivery queues behind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Shared(String),
    Own,
}

/// A delivery.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    key: (String, String),
    body: String,
    received_at: Timestamp,
    indexed: bool,
    gone: bool,
    pub(super) state: DeliveryState,
    pub(super) attempts: Vec<Attempt>,
    duplicates: u32,
    reason: Option<String>,
    last_error: Option<String>,
    finished_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
    replay_suspected: bool,
    blocks: bool,
    place: Place,
    in_line: bool,
    turn: bool,
    blocked: bool,
    failing_since: Option<Timestamp>,
    forgiven: u32,
    pub(super) fence: u64,
    /// Its lease ran out before it was claimed.
    suspect: bool,
}

/// What an accept comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    New(usize),
    Duplicate(usize),
    Woken(usize),
}

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Final(DeliveryState, Option<&'static str>, Option<&'static str>),
    Unbound,
    Retry(Timestamp),
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) entries: Vec<Entry>,
    keys: BTreeMap<(String, String), usize>,
    bodies: BTreeMap<String, (usize, Timestamp)>,
    /// Versions of organizations.
    pub(super) versions: BTreeMap<String, u64>,
    /// Time, action, subject: a delivery's number or a text.
    pub(super) audit: Vec<(Timestamp, &'static str, Option<usize>)>,
}

impl Model {
    pub(super) fn accept(
        &mut self,
        key: (String, String),
        within: Option<i64>,
        body: &str,
        now: Timestamp,
    ) -> Came {
        let first = self.keys.get(&key).copied();
        let same = |at: usize| within.is_none_or(|within| now.since(self.entries[at].received_at) <= within);
        if let Some(at) = first.filter(|at| same(*at)) {
            self.entries[at].duplicates += 1;
            if self.entries[at].state != DeliveryState::Dead {
                return Came::Duplicate(at);
            }
            self.audit.push((now, "delivery.redelivered", Some(at)));
            self.wake(at, now);
            return Came::Woken(at);
        }
        let at = self.entries.len();
        self.keys.insert(key.clone(), at);
        self.entries.push(Entry {
            key,
            body: body.into(),
            received_at: now,
            indexed: false,
            gone: false,
            state: DeliveryState::Queued,
            attempts: Vec::new(),
            duplicates: 0,
            reason: None,
            last_error: None,
            finished_at: None,
            due_at: None,
            replay_suspected: false,
            blocks: false,
            place: Place::Own,
            in_line: false,
            turn: false,
            blocked: false,
            failing_since: None,
            forgiven: 0,
            fence: 0,
            suspect: false,
        });
        Came::New(at)
    }

    fn shown(&self) -> impl DoubleEndedIterator<Item = (usize, &Entry)> {
        self.entries.iter().enumerate().filter(|(_, entry)| entry.indexed && !entry.gone)
    }

    pub(super) fn unindexed(&self) -> Vec<usize> {
        let open = self.entries.iter().enumerate().filter(|(_, entry)| !entry.indexed);
        open.map(|(at, _)| at).collect()
    }

    /// Indexes everything; a body that says so ends there and then.
    pub(super) fn index(&mut self, blocks: bool, now: Timestamp) {
        for at in self.unindexed() {
            let (body, received_at) = (self.entries[at].body.clone(), self.entries[at].received_at);
            let first = *self.bodies.entry(body.clone()).or_insert((at, received_at));
            let ended = body == ENDED;
            let place = Place::Shared(body);
            let alone = !self.entries.iter().any(|other| other.in_line && other.place == place);
            let entry = &mut self.entries[at];
            (entry.indexed, entry.blocks, entry.replay_suspected) = (true, blocks, first.0 != at);
            if ended {
                (entry.state, entry.reason) = (DeliveryState::Ignored, Some("unwanted".into()));
                entry.finished_at = Some(now);
            } else {
                (entry.place, entry.in_line, entry.turn, entry.due_at) = (place, true, alone, Some(now));
            }
        }
    }

    /// What may be claimed.
    pub(super) fn due(&self, now: Timestamp) -> Vec<usize> {
        let due = |entry: &Entry| entry.turn && entry.due_at.is_some_and(|due| due <= now);
        (0..self.entries.len()).filter(|at| due(&self.entries[*at])).collect()
    }

    /// Whether somebody must be worked on alone: its lease ran out, so it may have killed whoever held it.
    pub(super) fn is_anybody_suspect(&self, now: Timestamp) -> bool {
        let works = |entry: &&Entry| entry.state == DeliveryState::Working;
        let suspect = |entry: &Entry| entry.suspect || entry.due_at.is_some_and(|due| due <= now);
        self.entries.iter().filter(works).any(suspect)
    }

    pub(super) fn claim(&mut self, given: &[usize], now: Timestamp) {
        for at in given {
            let entry = &mut self.entries[*at];
            entry.suspect = entry.state == DeliveryState::Working;
            (entry.state, entry.due_at) = (DeliveryState::Working, Some(now.plus_ms(LEASE_MS)));
            entry.fence += 1;
            let number = u32::try_from(entry.attempts.len()).unwrap() + 1;
            let (took_ms, led_to, error) = (None, None, None);
            entry.attempts.push(Attempt { number, started_at: now, took_ms, led_to, error });
        }
    }

    pub(super) fn tries(&self, at: usize) -> u32 {
        u32::try_from(self.entries[at].attempts.len()).unwrap() - self.entries[at].forgiven
    }

    pub(super) fn holds(&self, at: usize, fence: u64) -> bool {
        let entry = &self.entries[at];
        !entry.gone && entry.fence == fence && entry.state == DeliveryState::Working
    }

    pub(super) fn extend(&mut self, at: usize, fence: u64, until: Timestamp) -> bool {
        let holds = self.holds(at, fence);
        if holds {
            self.entries[at].due_at = Some(until);
        }
        holds
    }

    fn leave(&mut self, at: usize, now: Timestamp) {
        let entry = &mut self.entries[at];
        let (had_turn, place) = (entry.turn, entry.place.clone());
        (entry.in_line, entry.turn, entry.blocked) = (false, false, false);
        if had_turn && place != Place::Own {
            let next = self.entries.iter_mut().find(|other| other.in_line && other.place == place);
            if let Some(next) = next {
                (next.turn, next.due_at) = (true, Some(now));
            }
        }
    }

    fn aside(&mut self, at: usize, due: Timestamp) {
        let entry = &mut self.entries[at];
        (entry.place, entry.in_line, entry.turn, entry.due_at) = (Place::Own, true, true, Some(due));
    }

    fn wake(&mut self, at: usize, now: Timestamp) {
        self.leave(at, now);
        let entry = &mut self.entries[at];
        (entry.state, entry.reason, entry.finished_at) = (DeliveryState::Queued, None, None);
        (entry.failing_since, entry.forgiven) = (None, u32::try_from(entry.attempts.len()).unwrap());
        self.aside(at, now);
    }

    pub(super) fn settle(&mut self, at: usize, end: &End, now: Timestamp) {
        let error = match end {
            End::Final(state, reason, error) => {
                self.leave(at, now);
                let entry = &mut self.entries[at];
                (entry.state, entry.reason) = (*state, reason.map(Into::into));
                (entry.last_error, entry.due_at) = (error.map(Into::into), None);
                (entry.finished_at, entry.failing_since) = (Some(now), None);
                *error
            }
            End::Unbound => {
                self.leave(at, now);
                let entry = &mut self.entries[at];
                (entry.state, entry.reason) = (DeliveryState::Waiting, Some("unbound".into()));
                (entry.due_at, entry.forgiven) = (None, u32::try_from(entry.attempts.len()).unwrap());
                None
            }
            End::Retry(again) => {
                let since = *self.entries[at].failing_since.get_or_insert(now);
                if self.entries[at].blocks && now.since(since) < BLOCKED_MS_MAX {
                    (self.entries[at].due_at, self.entries[at].blocked) = (Some(*again), true);
                } else {
                    self.leave(at, now);
                    self.aside(at, *again);
                }
                let entry = &mut self.entries[at];
                (entry.state, entry.reason) = (DeliveryState::Waiting, Some("retry".into()));
                entry.last_error = Some(AWAY.into());
                Some(AWAY)
            }
        };
        let entry = &mut self.entries[at];
        let state = entry.state;
        let attempt = entry.attempts.last_mut().unwrap();
        attempt.took_ms = Some(now.since(attempt.started_at).max(0).unsigned_abs());
        (attempt.led_to, attempt.error) = (Some(state), error.map(Into::into));
    }

    fn is_shown(&self, at: usize) -> bool {
        self.entries[at].indexed && !self.entries[at].gone
    }

    pub(super) fn replay(&mut self, at: usize, now: Timestamp) -> bool {
        if !self.is_shown(at) {
            return false;
        }
        if self.entries[at].state != DeliveryState::Working {
            self.audit.push((now, "delivery.replayed", Some(at)));
            self.wake(at, now);
        }
        true
    }

    pub(super) fn discard(&mut self, at: usize, now: Timestamp) -> bool {
        let is_dead = self.is_shown(at) && self.entries[at].state == DeliveryState::Dead;
        if is_dead {
            self.audit.push((now, "delivery.discarded", Some(at)));
            let entry = &mut self.entries[at];
            (entry.state, entry.reason) = (DeliveryState::Ignored, Some("discarded".into()));
        }
        is_dead
    }

    pub(super) fn wake_unbound(&mut self, now: Timestamp) -> u64 {
        let waits = |entry: &Entry| {
            entry.state == DeliveryState::Waiting && entry.reason.as_deref() == Some("unbound") && !entry.gone
        };
        let all: Vec<usize> = (0..self.entries.len()).filter(|at| waits(&self.entries[*at])).collect();
        all.iter().for_each(|at| self.wake(*at, now));
        all.len() as u64
    }

    /// Forgets what came before and has ended, the dead aside.
    pub(super) fn purge(&mut self, before: Timestamp) {
        for at in 0..self.entries.len() {
            let entry = &mut self.entries[at];
            let over = entry.state.is_final() && entry.state != DeliveryState::Dead;
            if entry.indexed && over && entry.received_at < before {
                entry.gone = true;
                if self.keys.get(&entry.key) == Some(&at) {
                    self.keys.remove(&entry.key.clone());
                }
            }
        }
        self.bodies.retain(|_, (_, at)| *at >= before);
    }

    /// The record that a store must show; `None`: none.
    pub(super) fn record(&self, at: usize, id: DeliveryId) -> Option<DeliveryRecord> {
        let entry = self.entries.get(at).filter(|_| self.is_shown(at))?;
        Some(DeliveryRecord {
            id,
            source: source(),
            provider: "github".into(),
            organization: None,
            connection: None,
            event: "test".into(),
            action: None,
            external_id: entry.key.0.clone(),
            hook_id: entry.key.1.clone(),
            received_at: entry.received_at,
            state: entry.state,
            attempts: u32::try_from(entry.attempts.len()).unwrap(),
            duplicates: entry.duplicates,
            last_error: entry.last_error.clone(),
            reason: entry.reason.clone(),
            replay_suspected: entry.replay_suspected,
            body_bytes: entry.body.len() as u64,
            secret_slot: 0,
            finished_at: entry.finished_at,
            due_at: entry.due_at,
            lane: entry.body.clone(),
        })
    }

    /// Newest first, those in this state.
    pub(super) fn list(&self, state: DeliveryState) -> Vec<usize> {
        self.shown().rev().filter(|(_, entry)| entry.state == state).map(|(at, _)| at).collect()
    }

    pub(super) fn figures(&self) -> StoreFigures {
        let count = |state| self.list(state).len() as u64;
        let mut dead: BTreeMap<String, u64> = BTreeMap::new();
        for (_, entry) in self.shown().filter(|(_, entry)| entry.state == DeliveryState::Dead) {
            *dead.entry(entry.reason.clone().unwrap_or_default()).or_default() += 1;
        }
        let due = self.entries.iter().filter(|entry| entry.turn).filter_map(|entry| entry.due_at);
        let waiting = self.unindexed().first().map(|at| self.entries[*at].received_at);
        StoreFigures {
            by_state: DeliveryState::ALL.into_iter().map(|state| (state, count(state))).collect(),
            dead_by_reason: dead.into_iter().collect(),
            unindexed: self.unindexed().len() as u64,
            oldest_due_at: due.chain(waiting).min(),
            lanes_blocked: self.entries.iter().filter(|entry| entry.blocked).count() as u64,
            ..StoreFigures::default()
        }
    }
}

/// A body that ends with its index.
pub(super) const ENDED: &str = "ended";
/// What every failed attempt says.
pub(super) const AWAY: &str = "the forge is away";
