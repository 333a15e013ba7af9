//! What scanners report: one scan of one branch of one project, and the findings that it left.

use serde::{Deserialize, Serialize};

use super::{ConnectionKey, OrganizationSlug, Timestamp};

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanState {
    /// It runs.
    Open,
    /// Its findings are here.
    Reported,
    /// It has ended.
    Done,
    /// It has failed.
    Failed,
}

/// One run of a scanner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// Our number, below 2⁵³, because the client counts in such numbers.
    pub number: u64,
    /// The client's id; a repeated request carries the same.
    pub unique_id: String,
    /// Whose it is.
    pub organization: OrganizationSlug,
    /// The connection of its project.
    pub connection: ConnectionKey,
    /// The project's id in lists.
    pub project: String,
    /// What the project was called then.
    pub full_path: String,
    /// Branch or tag.
    pub git_ref: String,
    /// The commit.
    pub sha: Option<String>,
    /// Whether it looked at everything, so that what it does not report is gone.
    pub is_full: bool,
    /// The id of the token that opened it.
    pub opened_by: String,
    /// How far it is.
    pub state: ScanState,
    /// Findings that it reported.
    pub findings: u64,
    /// How the scanner ended.
    pub exit_code: Option<i64>,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it was last heard of.
    pub updated_at: Timestamp,
}

/// Where findings are: one branch of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Whose.
    pub organization: OrganizationSlug,
    /// The project's id.
    pub project: String,
    /// Branch or tag.
    pub git_ref: String,
}

/// One finding on one branch, from when it was first seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whose.
    pub organization: OrganizationSlug,
    /// The project's id.
    pub project: String,
    /// What the project is called.
    pub full_path: String,
    /// Branch or tag.
    pub git_ref: String,
    /// The scanner's mark by which it is the same finding in the next scan.
    pub fingerprint: String,
    /// The rule.
    pub rule: String,
    /// The file.
    pub path: String,
    /// The first line, from 1.
    pub line: u64,
    /// The last line.
    pub end_line: u64,
    /// What the rule says, at most 2 KiB.
    pub message: String,
    /// 0 for information, 1 for a warning, 2 for an error.
    pub severity: u8,
    /// Whether it stops a merge.
    pub is_blocking: bool,
    /// The commit in which it was last seen.
    pub sha: Option<String>,
    /// The number of the scan that looked for it last: what an earlier one says later is old news.
    pub last_scan: u64,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// When it was last seen.
    pub last_seen_at: Timestamp,
    /// When a full scan of its rule no longer saw it.
    pub fixed_at: Option<Timestamp>,
}

impl Finding {
    /// As it is after it was seen again.
    #[must_use]
    pub fn seen_after(self, before: Option<&Self>) -> Self {
        match before {
            None => self,
            Some(before) if before.last_scan > self.last_scan => before.clone(),
            Some(before) => Self { first_seen_at: before.first_seen_at, ..self },
        }
    }

    /// As it is after a full scan of its rule did not see it.
    #[must_use]
    pub fn fixed_by(self, scan: u64, now: Timestamp) -> Self {
        Self { last_scan: scan, fixed_at: Some(now), ..self }
    }
}
