//! Whether a delivery could be kept right now, and since when each part is how it is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::domain::{Clock, Timestamp};
use crate::telemetry::{Fault, report};

/// A durable write older than this proves nothing any more.
const WRITE_FRESH: Duration = Duration::from_secs(5);
/// Less free than this share of the disk, in percent, or …
const FREE_PERCENT_MIN: u64 = 5;
/// … less than so many bytes: no room to promise anything.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Damages that `/healthz?verbose` names; the log has all.
const DAMAGES_SHOWN: usize = 3;

/// One part's state, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Part {
    /// Which part.
    #[schema(examples("store"))]
    pub name: &'static str,
    /// A stable word; `ok` is the good one.
    #[schema(examples("ok"))]
    pub state: &'static str,
    /// Since when.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    pub since: String,
    /// More, without secrets.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Debug, Clone)]
struct Mark {
    state: &'static str,
    since: Timestamp,
    detail: Option<String>,
}

impl Mark {
    /// Whether the state is another one now.
    fn turn(&mut self, state: &'static str, now: Timestamp, detail: Option<String>) -> bool {
        let turned = self.state != state;
        if turned {
            self.since = now;
        }
        self.state = state;
        self.detail = detail;
        turned
    }
}

#[derive(Debug)]
struct State {
    /// On the clock that nobody can set.
    written_at: Option<Instant>,
    store: Mark,
    disk: Mark,
    replay: Mark,
    intake: Mark,
    catch_up: Mark,
    scrub: Mark,
    /// What [`Health::tell`] has told last; `None` before the first time that all was well.
    told: Option<Vec<&'static str>>,
}

/// What the parts have reported.
pub struct Health {
    clock: Clock,
    state: Mutex<State>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

impl Health {
    /// Not ready: nothing was written or replayed yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let now = clock();
        let mark = |state| Mark { state, since: now, detail: None };
        let state = State {
            written_at: None,
            store: mark("starting"),
            disk: mark("unknown"),
            replay: mark("running"),
            intake: mark("ok"),
            catch_up: mark("unknown"),
            scrub: mark("unknown"),
            told: None,
        };
        Self { clock, state: Mutex::new(state) }
    }

    fn change<T>(&self, with: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = (self.clock)();
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// A write, real or probe, is on stable storage.
    pub fn note_write(&self) {
        self.change(|state, now| {
            state.written_at = Some(Instant::now());
            if state.store.state != "stopped" {
                let _ = state.store.turn("ok", now, None);
            }
        });
    }

    /// A write did not succeed; the next one that does clears this. One line in the log for all until then.
    pub fn note_failure(&self, sentence: &str) {
        let fault = Fault::StoreUnwritable;
        let detail = Some(format!("{}: {sentence}", fault.code()));
        let turned = self
            .change(|state, now| state.store.state != "stopped" && state.store.turn("failing", now, detail));
        if turned {
            report!(fault, reason = sentence, "the store cannot be written to; deliveries are refused");
        }
    }

    /// Nothing will be written again by this process.
    pub fn note_stopped(&self, sentence: &str) {
        let _ = self.change(|state, now| state.store.turn("stopped", now, Some(sentence.to_owned())));
    }

    /// The process is about to end: balancers should look elsewhere.
    pub fn set_draining(&self) {
        let _ = self.change(|state, now| state.intake.turn("draining", now, None));
    }

    /// What was accepted before the start is known again.
    pub fn set_replayed(&self) {
        let _ = self.change(|state, now| state.replay.turn("ok", now, None));
    }

    /// Bytes free on the store's disk, and its size.
    pub fn set_disk(&self, free: u64, total: u64) {
        let low = free < FREE_BYTES_MIN || free.saturating_mul(100) < total.saturating_mul(FREE_PERCENT_MIN);
        let detail = Some(format!("{free} of {total} bytes are free"));
        let turned = self.change(|state, now| state.disk.turn(if low { "full" } else { "ok" }, now, detail));
        if turned && low {
            report!(Fault::DiskFull, free, total, "the disk has too little room; no delivery is taken");
        }
    }

    /// How the last catch-up with the forges went. Does not decide readiness.
    pub fn note_catch_up(&self, state: &'static str, sentence: &str) {
        let detail = Some(sentence.to_owned());
        let _ = self.change(|parts, now| parts.catch_up.turn(state, now, detail));
    }

    /// What the last check of everything that is kept has found. Does not decide readiness: deliveries can be kept.
    pub fn note_scrub(&self, damages: &[String]) {
        let first = damages.iter().take(DAMAGES_SHOWN).cloned().collect::<Vec<_>>().join("; ");
        let detail = (!damages.is_empty()).then(|| format!("{} found: {first}", damages.len()));
        let state = if damages.is_empty() { "ok" } else { "damaged" };
        let _ = self.change(|parts, now| parts.scrub.turn(state, now, detail));
    }

    /// Why a delivery could not be kept right now; empty when it could.
    #[must_use]
    pub fn objections(&self) -> Vec<&'static str> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = state.written_at.is_none_or(|at| at.elapsed() > WRITE_FRESH);
        let mut found = Vec::new();
        let mut object = |wrong: bool, word| {
            if wrong {
                found.push(word)
            }
        };
        object(state.store.state == "stopped", "store-stopped");
        object(state.store.state == "failing", "store-failing");
        object(stale, "no-recent-write");
        object(state.disk.state == "full", "disk-full");
        object(state.replay.state != "ok", "replaying");
        object(state.intake.state != "ok", "draining");
        found
    }

    /// Writes to the log when readiness has changed since the last call. A start and an orderly stop are no faults.
    pub fn tell(&self) {
        let found = self.objections();
        if found.contains(&"draining") {
            return;
        }
        let before = self.change(|state, _| {
            let before = state.told.clone();
            if before.is_some() || found.is_empty() {
                state.told = Some(found.clone());
            }
            before
        });
        match before {
            Some(before) if before == found => {}
            Some(_) if found.is_empty() => tracing::info!("deliveries can be kept again"),
            Some(_) => {
                let reasons = found.join(", ");
                report!(Fault::NotReady, reasons, "a delivery could not be kept right now");
            }
            None => {}
        }
    }

    /// Each part's state and since when.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let part = |name, mark: &Mark| Part {
            name,
            state: mark.state,
            since: mark.since.rfc3339(),
            detail: mark.detail.clone(),
        };
        vec![
            part("store", &state.store),
            part("disk", &state.disk),
            part("replay", &state.replay),
            part("intake", &state.intake),
            part("catch_up", &state.catch_up),
            part("scrub", &state.scrub),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn health() -> Health {
        let health = Health::new(Arc::new(|| Timestamp::from_ms(1_000_000)));
        health.set_replayed();
        health.set_disk(1 << 40, 1 << 41);
        health.note_write();
        health
    }

    async fn pass(ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn r49_ready_means_that_something_was_written_within_five_seconds() {
        let health = health();
        pass(5_000).await;
        assert!(health.objections().is_empty());
        pass(1).await;
        assert_eq!(health.objections(), ["no-recent-write"]);
        health.note_write();
        assert!(health.objections().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn r41_a_clock_that_is_set_back_does_not_make_an_old_write_fresh() {
        let wall = Arc::new(AtomicI64::new(1_000_000));
        let read = Arc::clone(&wall);
        let health = Health::new(Arc::new(move || Timestamp::from_ms(read.load(Ordering::Relaxed))));
        health.set_replayed();
        health.note_write();
        wall.store(0, Ordering::Relaxed);
        pass(5_001).await;
        assert_eq!(health.objections(), ["no-recent-write"]);
        health.note_write();
        wall.store(i64::MAX, Ordering::Relaxed);
        assert!(health.objections().is_empty(), "nor a fresh one old when it is set forward");
    }

    #[test]
    fn r49_a_new_process_is_not_ready() {
        let health = Health::new(Arc::new(|| Timestamp::from_ms(5)));
        assert_eq!(health.objections(), ["no-recent-write", "replaying"]);
    }

    #[test]
    fn r49_a_full_disk_and_draining_are_objections() {
        let health = health();
        health.set_disk(4, 100);
        assert_eq!(health.objections(), ["disk-full"]);
        health.set_disk((1 << 40) / 25, 1 << 40);
        assert_eq!(health.objections(), ["disk-full"], "four percent");
        health.set_disk(1 << 40, 1 << 41);
        health.set_draining();
        assert_eq!(health.objections(), ["draining"]);
    }

    #[test]
    fn a_stopped_store_is_not_brought_back_by_a_late_write() {
        let health = health();
        health.note_failure("no space");
        assert_eq!(health.objections(), ["store-failing"]);
        health.note_write();
        assert!(health.objections().is_empty());
        health.note_stopped("sync failed");
        health.note_write();
        assert_eq!(health.objections(), ["store-stopped"]);
    }

    /// What is logged for machines while `act` runs, as codes.
    fn codes(act: impl FnOnce()) -> Vec<String> {
        use crate::telemetry::log::{Format, tests::logged};
        let page = logged(Format::Json, None, act);
        let lines = page.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["fields"]["code"].as_str().unwrap_or("none").to_owned()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn r50_a_fault_that_lasts_is_told_once_and_its_end_too() {
        let health = health();
        let told = codes(|| {
            health.tell();
            for _ in 0..3 {
                health.set_disk(4, 100);
                health.tell();
            }
            health.set_disk(1 << 40, 1 << 41);
            health.tell();
            for _ in 0..3 {
                health.note_failure("no space");
                health.tell();
            }
        });
        assert_eq!(told, ["disk-full", "not-ready", "none", "store-unwritable", "not-ready"]);
        pass(5_001).await;
        assert_eq!(codes(|| health.tell()), ["not-ready"], "for one more reason");
    }

    #[test]
    fn r50_a_start_and_a_stop_are_no_faults() {
        let told = codes(|| {
            let health = Health::new(Arc::new(|| Timestamp::from_ms(5)));
            health.tell();
            health.note_write();
            health.set_replayed();
            health.tell();
            health.set_draining();
            health.tell();
        });
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn r09_damage_is_named_until_a_whole_pass_finds_none_and_decides_no_readiness() {
        let health = health();
        let scrub = |health: &Health| health.parts().into_iter().find(|part| part.name == "scrub").unwrap();
        assert_eq!(scrub(&health).state, "unknown");
        health.note_scrub(&["one".into(), "two".into(), "three".into(), "four".into()]);
        let part = scrub(&health);
        assert_eq!((part.state, part.detail.as_deref()), ("damaged", Some("4 found: one; two; three")));
        assert!(health.objections().is_empty());
        health.note_scrub(&[]);
        assert_eq!(scrub(&health).state, "ok");
    }
}
