//! What a forge sent and nobody took: which of it is worth asking for once more, and what the gap is called.
//!
//! ```text
//!  the forge's log ──▶ Sieve ──▶ Missing, oldest first ──▶ held here? ──▶ asked for ──▶ CatchUp, Gap
//! ```

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::lamp::Dark;

/// So often a thing is tried, the first time by itself; then it is let go of, and reading the state makes up for it.
const ATTEMPTS_MAX: u32 = 4;
/// Within this, what was asked for may still be on its way.
const ON_ITS_WAY_MS: i64 = 4 * 60 * 1000;
/// What is missing is remembered so long after it was last seen to be.
const SEEN_MS: i64 = 30 * 60 * 1000;
const SEEN_MAX: usize = 5_000;
const GAPS_MAX: usize = 50;

/// One attempt of a forge to deliver something, as its log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number in the log.
    pub number: u64,
    /// What it was to deliver; the same for all attempts of it.
    pub external_id: String,
    /// When; not every forge says.
    pub at: Option<Timestamp>,
    /// Whether it was taken.
    pub arrived: bool,
    /// Whether our door answered that it proves nothing: the forge signs with another secret than the one known here.
    pub refused: bool,
}

/// A thing that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its id, which the next attempt has, too.
    pub external_id: String,
    /// The newest attempt's number: that one is asked for.
    pub number: u64,
    /// When it was first tried.
    pub at: Option<Timestamp>,
    /// How often it was tried: the first time by itself, then because somebody asked for it.
    pub attempts: u32,
    /// Our door refused the newest attempt.
    pub refused: bool,
}

impl Missing {
    /// Asking once more would change nothing. What our own door refuses is not lost: the secrets may agree again.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.attempts >= ATTEMPTS_MAX && !self.refused
    }
}

#[derive(Debug)]
struct Thing {
    missing: Missing,
    arrived: bool,
}

/// The attempts of a log, taken the newest first, grouped by what they were to deliver.
#[derive(Debug, Default)]
pub struct Sieve {
    things: BTreeMap<String, Thing>,
    /// Whether our door refused the newest attempt of all.
    refuses: Option<bool>,
}

impl Sieve {
    /// Takes the next older attempt.
    pub fn take(&mut self, attempt: Attempt) {
        let Attempt { number, external_id, at, arrived, refused } = attempt;
        self.refuses.get_or_insert(refused);
        let thing = self.things.entry(external_id).or_insert_with_key(|id| Thing {
            missing: Missing { external_id: id.clone(), number, at: None, attempts: 0, refused },
            arrived: false,
        });
        thing.arrived |= arrived;
        thing.missing.at = at.or(thing.missing.at);
        thing.missing.attempts = thing.missing.attempts.saturating_add(1);
    }

    /// Whether our door refuses what the forge sends now.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.refuses == Some(true)
    }

    /// What no attempt has delivered, the oldest first.
    #[must_use]
    pub fn missing(self) -> Vec<Missing> {
        let things = self.things.into_values().filter(|thing| !thing.arrived);
        let mut missing: Vec<Missing> = things.map(|thing| thing.missing).collect();
        missing.sort_by_key(|one| (one.at, one.number));
        missing
    }
}

/// Why deliveries were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nobody listened here.
    NotListening,
    /// Somebody did, and the forge did not get through.
    NotReached,
}

/// A while from which deliveries were missing, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When it began, as far as that is known.
    pub from: Timestamp,
    /// When it ended.
    pub until: Timestamp,
    /// Why.
    pub cause: Cause,
    /// Deliveries that did not arrive the first time.
    pub missed: u64,
    /// Of these, those that are here by now.
    pub recovered: u64,
    /// Of these, those that the forge does not bring any more.
    pub lost: u64,
    /// Whether the forge keeps a log that was looked into; else reading the state alone makes up for it.
    pub has_log: bool,
    /// When nothing of it was missing any more.
    pub closed_at: Option<Timestamp>,
}

impl Gap {
    /// `not listening 14:02–14:19; GitHub 41 missed, 41 recovered`.
    #[must_use]
    pub fn sentence(&self, forge: &str) -> String {
        let minute = |at: Timestamp| at.rfc3339().get(..16).unwrap_or_default().replace('T', " ");
        let (from, until) = (minute(self.from), minute(self.until));
        let is_one_day = from.get(..10) == until.get(..10);
        let until = if is_one_day { until.get(11..).unwrap_or_default().to_owned() } else { until };
        let what = match self.cause {
            Cause::NotListening => "not listening",
            Cause::NotReached => "not reached",
        };
        if !self.has_log {
            return format!(
                "{what} {from}–{until}; {forge}: no log was looked into; its lists are read instead"
            );
        }
        let Self { missed, recovered, lost, .. } = self;
        let lost = if *lost > 0 { format!(", {lost} lost; the state was read") } else { String::new() };
        format!("{what} {from}–{until}; {forge} {missed} missed, {recovered} recovered{lost}")
    }
}

/// Where a look that was not finished goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// When it began.
    pub began_at: Timestamp,
    /// In which log.
    pub log: String,
    /// Where in it; `None`: at its beginning.
    pub next: Option<String>,
    /// What was missing in the part behind.
    pub still: u64,
}

/// A thing that is missing, as it is remembered from one look to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When it was last seen to be missing.
    pub at: Timestamp,
    /// When it was last asked for.
    pub asked_at: Option<Timestamp>,
    /// It was let go of.
    pub is_lost: bool,
}

/// How far a source's deliveries were compared with what is here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CatchUp {
    /// Everything that was sent before is here, or lost.
    pub read_until: Option<Timestamp>,
    /// A look that was not finished.
    pub walk: Option<Walk>,
    /// What is missing, so that each thing is counted once, and asked for at intervals.
    pub seen: BTreeMap<String, Seen>,
    /// The gaps, the newest last; the last one may be open.
    pub gaps: Vec<Gap>,
}

/// What one look has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// Missing, and seen for the first time.
    pub new: u64,
    /// Missing still, without those that are lost.
    pub still: u64,
    /// Not to be had any more, and seen to be so for the first time.
    pub lost: u64,
    /// When the first and the last missing thing was sent, as far as the forge says.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The forge keeps a log.
    pub has_log: bool,
    /// Where to go on; `None`: it was looked through to its end.
    pub walk: Option<Walk>,
}

impl Looked {
    /// Counts a thing that was not known to be missing.
    pub fn count(&mut self, sent_at: Option<Timestamp>) {
        self.new = self.new.saturating_add(1);
        if let Some(at) = sent_at {
            self.span = Some(self.span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        }
    }
}

impl CatchUp {
    /// Notes that a thing is missing; says whether that is new. `None`: too much is missing to remember each, and this
    /// one waits until there is room.
    pub fn see(&mut self, external_id: &str, now: Timestamp) -> Option<bool> {
        if let Some(seen) = self.seen.get_mut(external_id) {
            seen.at = now;
            return Some(false);
        }
        if self.seen.len() >= SEEN_MAX {
            return None;
        }
        self.seen.insert(external_id.to_owned(), Seen { at: now, asked_at: None, is_lost: false });
        Some(true)
    }

    /// Whether a thing was asked for and may still come.
    #[must_use]
    pub fn is_on_its_way(&self, external_id: &str, now: Timestamp) -> bool {
        let asked_at = self.seen.get(external_id).and_then(|seen| seen.asked_at);
        asked_at.is_some_and(|at| (0..ON_ITS_WAY_MS).contains(&now.since(at)))
    }

    /// Notes that a thing was asked for.
    pub fn asked(&mut self, external_id: &str, now: Timestamp) {
        if let Some(seen) = self.seen.get_mut(external_id) {
            seen.asked_at = Some(now);
        }
    }

    /// Lets go of a thing; says whether that is new.
    pub fn lose(&mut self, external_id: &str) -> bool {
        self.seen.get_mut(external_id).is_some_and(|seen| !std::mem::replace(&mut seen.is_lost, true))
    }

    /// Whether a thing was let go of; remembered as long as it is met in the log, however long that holds it.
    pub fn meets_lost(&mut self, external_id: &str, now: Timestamp) -> bool {
        let lost = self.seen.get_mut(external_id).filter(|seen| seen.is_lost);
        lost.map(|seen| seen.at = now).is_some()
    }

    /// Brings what lies ahead back to now: it was written by a clock that has been set back since.
    pub fn set_back(&mut self, now: Timestamp) {
        self.read_until = self.read_until.map(|at| at.min(now));
        if let Some(walk) = &mut self.walk {
            walk.began_at = walk.began_at.min(now);
        }
    }

    /// The gap that is still open.
    #[must_use]
    pub fn open_gap(&self) -> Option<&Gap> {
        self.gaps.last().filter(|gap| gap.closed_at.is_none())
    }

    /// Writes down what a look that began then has found; gives back the gap that it has opened or closed.
    pub fn looked(
        &mut self,
        looked: Looked,
        dark: Option<Dark>,
        began_at: Timestamp,
        now: Timestamp,
    ) -> Option<Gap> {
        self.seen.retain(|_, seen| now.since(seen.at) < SEEN_MS);
        let opens = self.open_gap().is_none() && (dark.is_some() || looked.new > 0);
        if opens {
            self.gaps.push(named(&looked, dark, now));
            let old = self.gaps.len().saturating_sub(GAPS_MAX);
            self.gaps.drain(..old);
        }
        let is_through = looked.walk.is_none();
        self.walk = looked.walk;
        let closes = is_through && looked.still == 0;
        if closes {
            self.read_until = Some(began_at);
        }
        let gap = self.gaps.last_mut().filter(|gap| gap.closed_at.is_none())?;
        gap.until = dark.map_or(gap.until, |dark| gap.until.max(dark.until));
        gap.missed = gap.missed.saturating_add(looked.new);
        gap.lost = gap.lost.saturating_add(looked.lost);
        if is_through {
            gap.recovered = gap.missed.saturating_sub(gap.lost).saturating_sub(looked.still);
        }
        if closes {
            gap.closed_at = Some(now);
        }
        (opens || closes).then(|| gap.clone())
    }
}

fn named(looked: &Looked, dark: Option<Dark>, now: Timestamp) -> Gap {
    let (cause, (from, until)) = match dark {
        Some(dark) => (Cause::NotListening, (dark.from, dark.until)),
        None => (Cause::NotReached, looked.span.unwrap_or((now, now))),
    };
    Gap { from, until, cause, missed: 0, recovered: 0, lost: 0, has_log: looked.has_log, closed_at: None }
}
