//! What the loops count. The names are part of the public contract; labels are a handful of words each.

use metrics::{counter, gauge, histogram};

pub(super) const ATTEMPTS: &str = "scm_connect_attempts_total";
pub(super) const ATTEMPT_DURATION: &str = "scm_connect_attempt_duration_seconds";
pub(super) const END_TO_END: &str = "scm_connect_end_to_end_seconds";
pub(super) const RETRIES_SCHEDULED: &str = "scm_connect_retries_scheduled_total";
pub(super) const DEAD_LETTERS_TOTAL: &str = "scm_connect_dead_letters_total";
pub(super) const SUPERSEDED: &str = "scm_connect_superseded_total";
pub(super) const QUEUE_DEPTH: &str = "scm_connect_queue_depth";
pub(super) const QUEUE_OLDEST_DUE_AGE: &str = "scm_connect_queue_oldest_due_age_seconds";
pub(super) const DEAD_LETTERS: &str = "scm_connect_dead_letters";
pub(super) const LANES_BLOCKED: &str = "scm_connect_lanes_blocked";
pub(super) const STORE_SIZE_BYTES: &str = "scm_connect_store_size_bytes";
pub(super) const STORE_FREE_BYTES: &str = "scm_connect_store_free_bytes";
pub(super) const STORE_DAMAGES: &str = "scm_connect_store_damages";
pub(super) const SCRUB_LAST_PASS: &str = "scm_connect_scrub_last_pass_timestamp_seconds";
pub(super) const LOOP_RESTARTS: &str = "scm_connect_loop_restarts_total";

/// The kind of work that all of these are about.
pub(super) const KIND: &str = "delivery";

/// An attempt ended like this.
pub(super) fn attempt(outcome: &'static str, took_s: f64) {
    counter!(ATTEMPTS, "kind" => KIND, "outcome" => outcome).increment(1);
    histogram!(ATTEMPT_DURATION, "kind" => KIND).record(took_s);
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

/// A loop begins anew after an error.
pub(super) fn restart(name: &'static str) {
    counter!(LOOP_RESTARTS, "loop" => name).increment(1);
}

/// How many pieces of work are in a state.
pub(super) fn depth(state: &'static str, count: u64) {
    gauge!(QUEUE_DEPTH, "kind" => KIND, "state" => state).set(float(count));
}

/// For how long the longest waiting piece of due work has been due.
pub(super) fn oldest_due(age_ms: i64) {
    gauge!(QUEUE_OLDEST_DUE_AGE, "kind" => KIND).set(seconds(age_ms));
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
