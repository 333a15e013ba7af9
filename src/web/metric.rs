//! The names of what the edge counts, and the few lines that count it. A source is named only when it is a known one.

use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use metrics::{Counter, Histogram};

use crate::telemetry::metric::Metric;

/// Requests at the hook door, by `provider`, `source` and `result`.
pub(crate) const INGEST_REQUESTS: &str = Metric::IngestRequests.name();
/// How long a stage of intake took, by `stage` (`read`, `verify`, `commit`).
pub(crate) const INGEST_DURATION: &str = Metric::IngestDuration.name();
/// Sizes of proven bodies.
pub(crate) const INGEST_BODY_BYTES: &str = Metric::IngestBodyBytes.name();
/// Which secret proved deliveries, by `source` and `secret_slot`.
pub(crate) const SIGNATURE_MATCHES: &str = Metric::SignatureMatches.name();

/// What nearly every delivery is counted by, looked up once: a look-up hashes the name and all labels each time.
struct Usual {
    read: Histogram,
    verify: Histogram,
    commit: Histogram,
    body: Histogram,
}

static USUAL: LazyLock<Usual> = LazyLock::new(|| {
    let stage = |name: &'static str| metrics::histogram!(INGEST_DURATION, "stage" => name);
    Usual {
        read: stage("read"),
        verify: stage("verify"),
        commit: stage("commit"),
        body: metrics::histogram!(INGEST_BODY_BYTES),
    }
});

/// What a request goes through.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    Read,
    Verify,
    Commit,
}

/// One source's usual counters, looked up when they are first used.
#[derive(Debug, Default)]
pub(crate) struct SourceMeter {
    stored: OnceLock<Counter>,
    first_secret: OnceLock<Counter>,
}

impl SourceMeter {
    /// Counts a request's result.
    pub(crate) fn count_request(&self, provider: &'static str, source: &str, result: &'static str) {
        if result != "stored" {
            return count_request(provider, source, result);
        }
        let stored = || {
            let source = source.to_owned();
            metrics::counter!(INGEST_REQUESTS, "provider" => provider, "source" => source, "result" => result)
        };
        self.stored.get_or_init(stored).increment(1);
    }

    /// Counts the secret that proved a delivery.
    pub(crate) fn count_match(&self, source: &str, slot: u8) {
        match slot {
            0 => self.first_secret.get_or_init(|| matched(source, slot)).increment(1),
            _ => matched(source, slot).increment(1),
        }
    }
}

/// The word under which a refusal is counted: alerts ask for few words, and a code more must not be one that none asks for.
pub(crate) fn result(code: &str) -> &'static str {
    match code {
        "no-delivery" | "incomplete" | "length-invalid" | "too-slow" => "malformed",
        "proof-failed" | "too-many-failures" => "unauthorized",
        "too-large" => "too_large",
        "media-type" | "encoding-unsupported" => "media_type",
        _ => "unavailable",
    }
}

pub(crate) fn count_request(provider: &'static str, source: &str, result: &'static str) {
    let source = source.to_owned();
    metrics::counter!(INGEST_REQUESTS, "provider" => provider, "source" => source, "result" => result)
        .increment(1);
}

pub(crate) fn record_stage(stage: Stage, took: Duration) {
    let histogram = match stage {
        Stage::Read => &USUAL.read,
        Stage::Verify => &USUAL.verify,
        Stage::Commit => &USUAL.commit,
    };
    histogram.record(took.as_secs_f64());
}

pub(crate) fn record_body(bytes: usize) {
    USUAL.body.record(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)));
}

fn matched(source: &str, slot: u8) -> Counter {
    let (source, slot) = (source.to_owned(), slot.to_string());
    metrics::counter!(SIGNATURE_MATCHES, "source" => source, "secret_slot" => slot)
}
