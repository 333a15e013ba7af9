//! Every metric there is: its name, its labels, and the few ways to change one.
//!
//! Labels are a handful of words each: no repository, no user, no delivery ever becomes one.

use metrics::{Label, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::domain::SourceKey;

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size; the upper ends of its buckets.
    Histogram(&'static [f64]),
}

const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// An event may wait for hours when its forge or our store was away.
const LONG_SECONDS: &[f64] =
    &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0];
const BYTES: &[f64] =
    &[1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 27_262_976.0];
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

macro_rules! metrics {
    ($($name:ident = $text:literal, $form:expr, [$($label:literal),*], $help:literal;)*) => {
        /// Every metric. The names are part of the public contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric {
            $(#[doc = $help] $name,)*
        }

        impl Metric {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in `/metrics`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => concat!("scm_connect_", $text),)* }
            }

            /// How it counts.
            #[must_use]
            pub const fn form(self) -> Form {
                match self { $(Self::$name => $form,)* }
            }

            /// The names of its labels, in the order in which values are given.
            #[must_use]
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($label),*],)* }
            }

            /// What it says, for people.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

metrics! {
    IngestRequests = "ingest_requests_total", Form::Counter, ["provider", "source", "result"],
        "Requests at the hooks, by what was answered.";
    IngestDuration = "ingest_duration_seconds", Form::Histogram(SECONDS), ["stage"],
        "Time that a request spends in each stage of the intake.";
    IngestBodyBytes = "ingest_body_bytes", Form::Histogram(BYTES), [],
        "Size of the bodies that were stored.";
    CommitDuration = "commit_duration_seconds", Form::Histogram(SECONDS), [],
        "Time of one write and sync of the journal.";
    CommitBatchSize = "commit_batch_size", Form::Histogram(COUNTS), [],
        "Deliveries that share one sync.";
    QueueDepth = "queue_depth", Form::Gauge, ["kind", "state"],
        "Pieces of work by state.";
    QueueOldestDueAge = "queue_oldest_due_age_seconds", Form::Gauge, ["kind"],
        "How long the longest waiting piece of due work has been due. Alert on this.";
    Attempts = "attempts_total", Form::Counter, ["kind", "outcome"],
        "Attempts, by how they ended.";
    AttemptDuration = "attempt_duration_seconds", Form::Histogram(SECONDS), ["kind"],
        "Time of one attempt.";
    EndToEnd = "end_to_end_seconds", Form::Histogram(LONG_SECONDS), ["kind"],
        "Time from the receipt to the end of a piece of work.";
    RetriesScheduled = "retries_scheduled_total", Form::Counter, ["reason"],
        "Attempts that will be made again.";
    DeadLettersTotal = "dead_letters_total", Form::Counter, ["kind", "reason"],
        "Pieces of work that were given up.";
    DeadLetters = "dead_letters", Form::Gauge, ["reason"],
        "Pieces of work that were given up and that nobody has looked at.";
    Superseded = "superseded_total", Form::Counter, ["kind"],
        "Pieces of work that came after something newer.";
    LanesBlocked = "lanes_blocked", Form::Gauge, [],
        "Lanes whose head failed and holds others back.";
    SignatureMatches = "signature_matches_total", Form::Counter, ["source", "secret_slot"],
        "Proofs that held, by the secret that proved them. An old secret without matches can go.";
    CatchupRuns = "catchup_runs_total", Form::Counter, ["result"],
        "Rounds of looking for deliveries that were missed.";
    CatchupMissed = "catchup_missed_total", Form::Counter, ["provider"],
        "Deliveries that had been missed.";
    CatchupLastSuccess = "catchup_last_success_timestamp_seconds", Form::Gauge, [],
        "When the last whole round of catching up ended.";
    HookStatus = "hook_status", Form::Gauge, ["source", "status"],
        "1 for the state in which the forge holds a hook.";
    ReconcileDrift = "reconcile_drift_total", Form::Counter, ["kind"],
        "Differences found between the forge and the records.";
    ProviderApiRequests = "provider_api_requests_total", Form::Counter, ["provider", "code"],
        "Requests to a forge's API, by class of answer.";
    ProviderRateLimitRemaining = "provider_rate_limit_remaining", Form::Gauge, ["provider"],
        "Requests that a forge still grants.";
    StoreSizeBytes = "store_size_bytes", Form::Gauge, [],
        "Bytes that the store takes on disk.";
    StoreDamages = "store_damages", Form::Gauge, [],
        "What the last check of everything that is kept has found damaged. Alert on this.";
    ScrubLastPass = "scrub_last_pass_timestamp_seconds", Form::Gauge, [],
        "When everything that is kept was last read whole and compared with its checksums.";
    StoreFreeBytes = "store_free_bytes", Form::Gauge, [],
        "Bytes that are free beside the store.";
    LoopRestarts = "loop_restarts_total", Form::Counter, ["loop"],
        "Background loops that failed and began again.";
    Faults = "faults_total", Form::Counter, ["code"],
        "Faults that were met; the operator's guide has a line on each code.";
}

/// A label's value. There is no variant for text that a stranger chose.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A word of the program.
    Word(&'static str),
    /// A declared source.
    Source(&'a SourceKey),
    /// The place of a secret in its list.
    Slot(u8),
    /// A stable word that was stored, such as the reason of a dead letter; anything else counts as `other`.
    Stored(&'a str),
}

impl Value<'_> {
    fn text(self) -> String {
        match self {
            Self::Word(word) => word.to_owned(),
            Self::Source(key) => key.as_str().to_owned(),
            Self::Slot(slot) => slot.to_string(),
            Self::Stored(word) => {
                let plain = |b: u8| b.is_ascii_lowercase() || matches!(b, b'_' | b'-');
                let known = !word.is_empty() && word.len() <= 32 && word.bytes().all(plain);
                if known { word.to_owned() } else { "other".to_owned() }
            }
        }
    }
}

fn labels(metric: Metric, values: &[Value<'_>]) -> Vec<Label> {
    debug_assert_eq!(metric.labels().len(), values.len(), "{} has other labels", metric.name());
    metric.labels().iter().zip(values).map(|(name, value)| Label::new(*name, value.text())).collect()
}

/// Adds to a counter.
pub fn count(metric: Metric, values: &[Value<'_>], by: u64) {
    counter!(metric.name(), labels(metric, values)).increment(by);
}

/// Adds a value to a histogram.
pub fn observe(metric: Metric, values: &[Value<'_>], value: f64) {
    histogram!(metric.name(), labels(metric, values)).record(value);
}

/// Sets a gauge.
pub fn set(metric: Metric, values: &[Value<'_>], value: f64) {
    gauge!(metric.name(), labels(metric, values)).set(value);
}

/// Makes a metric appear before anything has happened, so that an alert can tell "none" from "no data".
fn prime(metric: Metric, values: &[Value<'_>]) {
    match metric.form() {
        Form::Counter => count(metric, values, 0),
        Form::Gauge => set(metric, values, 0.0),
        Form::Histogram(_) => drop(histogram!(metric.name(), labels(metric, values))),
    }
}

/// Shows the metrics.
#[derive(Clone)]
pub struct Exporter(PrometheusHandle);

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exporter")
    }
}

impl Exporter {
    /// The text of `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds what histograms have gathered; to be called every few seconds, so that nothing piles up unscraped.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

/// Starts to count, once per process.
///
/// # Errors
/// When something counts already.
pub fn install() -> Result<Exporter, String> {
    let recorder = recorder()?;
    let exporter = Exporter(recorder.handle());
    metrics::set_global_recorder(recorder).map_err(|error| format!("metrics cannot start: {error}"))?;
    begin();
    Ok(exporter)
}

fn recorder() -> Result<PrometheusRecorder, String> {
    let mut builder = PrometheusBuilder::new();
    for metric in Metric::ALL {
        if let Form::Histogram(buckets) = metric.form() {
            let matcher = Matcher::Full(metric.name().to_owned());
            let set = builder.set_buckets_for_metric(matcher, buckets);
            builder = set.map_err(|error| format!("metrics cannot start: {error}"))?;
        }
    }
    Ok(builder.build_recorder())
}

/// Describes everything, and shows what can be shown before anything happened.
fn begin() {
    for metric in Metric::ALL {
        match metric.form() {
            Form::Counter => metrics::describe_counter!(metric.name(), metric.help()),
            Form::Gauge => metrics::describe_gauge!(metric.name(), metric.help()),
            Form::Histogram(_) => metrics::describe_histogram!(metric.name(), metric.help()),
        }
    }
    let one = |metric, words: &[&'static str]| {
        for word in words {
            prime(metric, &[Value::Word(word)]);
        }
    };
    let work = |metric, words: &[&'static str]| {
        for word in words {
            prime(metric, &[Value::Word(KIND), Value::Word(word)]);
        }
    };
    prime(
        Metric::IngestRequests,
        &[Value::Word("unknown"), Value::Word("unknown"), Value::Word("unauthorized")],
    );
    one(Metric::IngestDuration, &["read", "verify", "commit"]);
    work(Metric::QueueDepth, &["queued", "working", "waiting", "dead"]);
    work(Metric::Attempts, OUTCOMES);
    work(Metric::DeadLettersTotal, REASONS);
    one(Metric::DeadLetters, REASONS);
    one(Metric::RetriesScheduled, &["error"]);
    let faults: Vec<&'static str> = super::Fault::ALL.iter().map(|fault| fault.code()).collect();
    one(Metric::Faults, &faults);
    for metric in [Metric::QueueOldestDueAge, Metric::AttemptDuration, Metric::EndToEnd, Metric::Superseded] {
        one(metric, &[KIND]);
    }
    for metric in [
        Metric::IngestBodyBytes,
        Metric::CommitDuration,
        Metric::CommitBatchSize,
        Metric::LanesBlocked,
        Metric::StoreSizeBytes,
        Metric::StoreFreeBytes,
        Metric::StoreDamages,
    ] {
        prime(metric, &[]);
    }
}

/// The `kind` of the work that is done on deliveries.
pub const KIND: &str = "delivery";
/// How attempts end.
pub const OUTCOMES: &[&str] = &["done", "ignored", "superseded", "waiting", "retry", "dead", "lease_lost"];
/// Why deliveries are given up.
pub const REASONS: &[&str] = &["unreadable", "crash_loop", "exhausted"];
/// What a request at a hook is answered.
pub const RESULTS: &[&str] = &[
    "stored",
    "woken",
    "duplicate",
    "ping",
    "malformed",
    "unauthorized",
    "too_large",
    "media_type",
    "unavailable",
];

/// Shows a source's metrics from its first moment on; to be called for each declared source.
pub fn begin_source(provider: &'static str, source: &SourceKey, secrets: u8) {
    for result in RESULTS {
        prime(Metric::IngestRequests, &[Value::Word(provider), Value::Source(source), Value::Word(result)]);
    }
    for slot in 0..secrets {
        prime(Metric::SignatureMatches, &[Value::Source(source), Value::Slot(slot)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `/metrics` shows after `act`.
    fn shown(act: impl FnOnce()) -> String {
        let recorder = recorder().unwrap();
        let exporter = Exporter(recorder.handle());
        metrics::with_local_recorder(&recorder, || {
            begin();
            act();
        });
        exporter.tidy();
        exporter.render()
    }

    #[test]
    fn every_metric_of_the_intake_is_there_before_anything_happens() {
        let key = SourceKey::parse("acme").unwrap();
        let page = shown(|| begin_source("github", &key, 2));
        let later = [
            Metric::CatchupRuns,
            Metric::CatchupMissed,
            Metric::CatchupLastSuccess,
            Metric::HookStatus,
            Metric::ReconcileDrift,
            Metric::ProviderApiRequests,
            Metric::ProviderRateLimitRemaining,
            Metric::ScrubLastPass,
            Metric::LoopRestarts,
        ];
        for metric in Metric::ALL.iter().filter(|metric| !later.contains(metric)) {
            let name = metric.name();
            assert!(page.contains(&format!("# TYPE {name} ")), "{name} in\n{page}");
            assert!(page.contains(&format!("# HELP {name} {}", metric.help())), "{name} in\n{page}");
        }
        assert!(
            page.contains("scm_connect_signature_matches_total{source=\"acme\",secret_slot=\"1\"} 0"),
            "{page}"
        );
        assert!(page.contains("scm_connect_commit_duration_seconds_bucket{le=\"0.001\"} 0"), "{page}");
    }

    #[test]
    fn histograms_have_buckets_so_that_replicas_can_be_added_up() {
        let page = shown(|| observe(Metric::IngestDuration, &[Value::Word("commit")], 0.003));
        let bucket =
            |le: &str| format!("scm_connect_ingest_duration_seconds_bucket{{stage=\"commit\",le=\"{le}\"}}");
        assert!(page.contains(&format!("{} 0", bucket("0.0025"))), "{page}");
        assert!(page.contains(&format!("{} 1", bucket("0.005"))), "{page}");
        assert!(!page.contains("quantile"), "{page}");
    }

    #[test]
    fn a_stored_word_that_is_no_word_becomes_other() {
        let page = shown(|| {
            for word in ["exhausted", "Some Repo/Name", "x\"} 1\n", &"a".repeat(40), ""] {
                set(Metric::DeadLetters, &[Value::Stored(word)], 1.0);
            }
        });
        let lines = page.lines().filter(|line| line.starts_with("scm_connect_dead_letters{"));
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines.contains(&"scm_connect_dead_letters{reason=\"other\"} 1"), "{lines:?}");
    }

    #[test]
    fn no_label_can_name_a_repository_a_person_or_a_delivery() {
        let bounded = [
            "provider",
            "source",
            "result",
            "stage",
            "kind",
            "state",
            "outcome",
            "reason",
            "secret_slot",
            "status",
            "code",
            "loop",
        ];
        for metric in Metric::ALL {
            assert!(metric.labels().iter().all(|label| bounded.contains(label)), "{metric:?}");
        }
    }
}
