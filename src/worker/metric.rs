//! What the loops count. The names are part of the public contract; labels are a handful of words each.

use metrics::{counter, gauge, histogram};

use crate::telemetry::metric::Metric;

pub(super) const ATTEMPTS: &str = Metric::Attempts.name();
pub(super) const ATTEMPT_DURATION: &str = Metric::AttemptDuration.name();
pub(super) const END_TO_END: &str = Metric::EndToEnd.name();
pub(super) const RETRIES_SCHEDULED: &str = Metric::RetriesScheduled.name();
pub(super) const DEAD_LETTERS_TOTAL: &str = Metric::DeadLettersTotal.name();
pub(super) const SUPERSEDED: &str = Metric::Superseded.name();
pub(super) const QUEUE_DEPTH: &str = Metric::QueueDepth.name();
pub(super) const QUEUE_OLDEST_DUE_AGE: &str = Metric::QueueOldestDueAge.name();
pub(super) const DEAD_LETTERS: &str = Metric::DeadLetters.name();
pub(super) const LANES_BLOCKED: &str = Metric::LanesBlocked.name();
pub(super) const STORE_SIZE_BYTES: &str = Metric::StoreSizeBytes.name();
pub(super) const STORE_FREE_BYTES: &str = Metric::StoreFreeBytes.name();
pub(super) const STORE_DAMAGES: &str = Metric::StoreDamages.name();
pub(super) const SCRUB_LAST_PASS: &str = Metric::ScrubLastPass.name();
pub(super) const LOOP_RESTARTS: &str = Metric::LoopRestarts.name();

/// The kind of work that most of these are about.
pub(super) const KIND: &str = "delivery";
/// The other one: what forges are asked and told.
pub(super) const TASK: &str = "task";

/// An attempt ended like this.
pub(super) fn attempt(outcome: &'static str, took_s: f64) {
    counter!(ATTEMPTS, "kind" => KIND, "outcome" => outcome).increment(1);
    histogram!(ATTEMPT_DURATION, "kind" => KIND).record(took_s);
}

/// A try at a task ended like this.
pub(super) fn task(outcome: &'static str, took_s: f64) {
    counter!(ATTEMPTS, "kind" => TASK, "outcome" => outcome).increment(1);
    histogram!(ATTEMPT_DURATION, "kind" => TASK).record(took_s);
}

/// A delivery came to rest so long after its receipt.
pub(super) fn rested(after_ms: i64) {
    histogram!(END_TO_END, "kind" => KIND).record(seconds(after_ms));
}

/// Something newer was known.
pub(super) fn superseded() {
    counter!(SUPERSEDED, "kind" => KIND).increment(1);
}

/// An attempt will be made again.
pub(super) fn retry(reason: &'static str) {
    counter!(RETRIES_SCHEDULED, "reason" => reason).increment(1);
}

/// A delivery was given up.
pub(super) fn dead(reason: &str) {
    counter!(DEAD_LETTERS_TOTAL, "kind" => KIND, "reason" => word(reason)).increment(1);
}

/// A loop is there, so that "never began anew" can be told from "no data".
pub(super) fn begin(name: &'static str) {
    counter!(LOOP_RESTARTS, "loop" => name).increment(0);
}

/// A loop begins anew after an error.
pub(super) fn restart(name: &'static str) {
    counter!(LOOP_RESTARTS, "loop" => name).increment(1);
}

/// How many pieces of work are in a state.
pub(super) fn depth(kind: &'static str, state: &'static str, count: u64) {
    gauge!(QUEUE_DEPTH, "kind" => kind, "state" => state).set(float(count));
}

/// For how long the longest waiting piece of due work has been due.
pub(super) fn oldest_due(kind: &'static str, age_ms: i64) {
    gauge!(QUEUE_OLDEST_DUE_AGE, "kind" => kind).set(seconds(age_ms));
}

/// How many dead letters have this reason.
pub(super) fn dead_letters(reason: &str, count: u64) {
    gauge!(DEAD_LETTERS, "reason" => word(reason)).set(float(count));
}

/// A number without labels.
pub(super) fn set(name: &'static str, value: u64) {
    gauge!(name).set(float(value));
}

/// A stored reason as a label: a stable word, or else `other`, so that no stored text can make labels grow.
fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_lowercase() || matches!(b, b'_' | b'-');
    let known = !text.is_empty() && text.len() <= 32 && text.bytes().all(plain);
    if known { text.to_owned() } else { "other".to_owned() }
}

fn seconds(ms: i64) -> f64 {
    std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64()
}

/// A gauge may lose the last digits of a very large number.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "gauges are floating point")]
fn float(count: u64) -> f64 {
    count as f64
}
