//! The names of what the edge counts, and the few lines that count it. A source is named only when it is a known one.

use std::time::Duration;

/// Requests at the hook door, by `provider`, `source` and `result`.
pub(crate) const INGEST_REQUESTS: &str = "scm_connect_ingest_requests_total";
/// How long a stage of intake took, by `stage` (`read`, `verify`, `commit`).
pub(crate) const INGEST_DURATION: &str = "scm_connect_ingest_duration_seconds";
/// Sizes of proven bodies.
pub(crate) const INGEST_BODY_BYTES: &str = "scm_connect_ingest_body_bytes";
/// Which secret proved deliveries, by `source` and `secret_slot`.
pub(crate) const SIGNATURE_MATCHES: &str = "scm_connect_signature_matches_total";

pub(crate) fn count_request(provider: &'static str, source: &str, result: &'static str) {
    let source = source.to_owned();
    metrics::counter!(INGEST_REQUESTS, "provider" => provider, "source" => source, "result" => result)
        .increment(1);
}

pub(crate) fn record_stage(stage: &'static str, took: Duration) {
    metrics::histogram!(INGEST_DURATION, "stage" => stage).record(took.as_secs_f64());
}

pub(crate) fn record_body(bytes: usize) {
    metrics::histogram!(INGEST_BODY_BYTES).record(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)));
}

pub(crate) fn count_match(source: &str, slot: u8) {
    let (source, slot) = (source.to_owned(), slot.to_string());
    metrics::counter!(SIGNATURE_MATCHES, "source" => source, "secret_slot" => slot).increment(1);
}
