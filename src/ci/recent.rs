//! What the last check-ins of each project stood on, so that the jobs of one pipeline are decided without reading it
//! all again.
//!
//! Only a hint. A settlement names the version of each record that it stands on and is written only while they hold;
//! nothing is refused on a hint, and none is older than [`LIVES_MS`].

use std::sync::Arc;

use moka::sync::Cache;

use crate::domain::Timestamp;
use crate::domain::ci::{JobKnown, JobLookup};

/// A project is written once a second while its jobs check in, so that a hint would not hold much longer anyway.
const LIVES_MS: i64 = 1000;
/// Projects that are remembered; each takes a few kilobytes.
const PROJECTS_MAX: u64 = 1024;

/// By what was asked, without the check-in's own id.
#[derive(Clone)]
pub(super) struct Recent(Cache<JobLookup, (Timestamp, Arc<JobKnown>)>);

impl Recent {
    pub(super) fn new() -> Self {
        Self(Cache::new(PROJECTS_MAX))
    }

    /// What is remembered of the same question.
    pub(super) fn find(&self, lookup: &JobLookup, now: Timestamp) -> Option<Arc<JobKnown>> {
        let (read_at, known) = self.0.get(&of_any_job(lookup))?;
        // A clock that was set back makes a hint of the future, which is none.
        (0..LIVES_MS).contains(&now.since(read_at)).then_some(known)
    }

    /// Remembers what was read. The check-in itself is not part of it: each job has one of its own.
    pub(super) fn keep(&self, lookup: &JobLookup, known: Arc<JobKnown>, read_at: Timestamp) {
        if known.before.is_none() {
            self.0.insert(of_any_job(lookup), (read_at, known));
        }
    }

    /// What was remembered does not hold any more.
    pub(super) fn forget(&self, lookup: &JobLookup) {
        self.0.invalidate(&of_any_job(lookup));
    }
}

fn of_any_job(lookup: &JobLookup) -> JobLookup {
    JobLookup { check_in: String::new(), ..lookup.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Host;

    fn lookup(project: u64, check_in: &str) -> JobLookup {
        JobLookup {
            organization: None,
            host: Host::of(&"https://gitlab.com".parse().unwrap()).unwrap(),
            login: "acme".into(),
            full_path: "acme/site".into(),
            namespace: Some(72),
            project: Some(project),
            check_in: check_in.into(),
            keys: Vec::new(),
        }
    }

    #[test]
    fn a_hint_is_for_all_jobs_of_one_project_and_for_a_second() {
        let recent = Recent::new();
        let at = Timestamp::from_ms;
        recent.keep(&lookup(20, "one"), Arc::default(), at(5_000));
        assert!(recent.find(&lookup(20, "two"), at(5_999)).is_some());
        assert!(recent.find(&lookup(21, "one"), at(5_000)).is_none());
        for other in [4_999, 6_000] {
            assert!(recent.find(&lookup(20, "one"), at(other)).is_none(), "{other}");
        }
        recent.forget(&lookup(20, "three"));
        assert!(recent.find(&lookup(20, "two"), at(5_000)).is_none());
    }
}
