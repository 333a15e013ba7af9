//! The Semgrep command line as a client, unchanged: it opens a scan, asks for rules, reports, and ends.
//!
//! Who holds an organization's CI token says where the job runs; that is a claim like any other. A token that was
//! handed to a proven job speaks for its own project alone, and may end what it began for six hours.

mod report;
mod rules;
mod spool;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

pub use rules::{Rules, RulesError};
pub use spool::{Spool, Spooled, Spooling};

use super::check_in::{CheckIns, Failed};
use super::told;
use crate::domain::access::TokenRecord;
use crate::domain::change::Change;
use crate::domain::ci::{CiCaller, ClaimedJob, Refused, Witness};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::scan::{Branch, Finding, Scan, ScanState};
use crate::domain::{Clock, OrganizationSlug, Timestamp};
use crate::store::{Store, StoreError};
use report::Seen;

/// A token that is over may still end the scan that it opened for so long (ruling 22).
const ENDING_MS: i64 = 6 * 60 * 60 * 1000;
/// A scan that others write at the same moment is read again so often.
const TRIES_MAX: usize = 16;

/// Who reports.
#[derive(Debug, Clone)]
pub enum Reporter {
    /// Whoever holds the organization's token.
    Organization(CiCaller),
    /// A proven job, with the token of its project; its time may be over.
    Job(Box<TokenRecord>),
}

impl Reporter {
    /// The organization.
    #[must_use]
    pub fn organization(&self) -> &OrganizationSlug {
        match self {
            Self::Organization(caller) => caller.organization(),
            Self::Job(token) => &token.organization,
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Organization(caller) => caller.id(),
            Self::Job(token) => &token.id,
        }
    }

    fn may_end(&self, scan: &Scan, now: Timestamp) -> bool {
        match self {
            Self::Organization(caller) => *caller.organization() == scan.organization,
            Self::Job(token) => {
                let in_time = token.is_live(now) || now.since(scan.opened_at) <= ENDING_MS;
                token.revoked_at.is_none() && token.id == scan.opened_by && in_time
            }
        }
    }
}

/// Why a scanner gets no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ScanFailed {
    /// As at a check-in.
    #[error("{0}")]
    CheckIn(#[from] Failed),
    /// There is no such scan, or it is somebody else's.
    #[error("there is no such scan")]
    Unknown,
    /// The client's id belongs to another scan.
    #[error("another scan has this id")]
    Taken,
    /// What was sent cannot be read.
    #[error("the report cannot be read: {0}")]
    Unreadable(String),
    /// It cannot be put aside.
    #[error("the report cannot be put aside: {0}")]
    Spool(String),
}

impl From<StoreError> for ScanFailed {
    fn from(error: StoreError) -> Self {
        Self::CheckIn(Failed::Store(error))
    }
}

/// Takes scans.
pub struct Scans {
    store: Arc<dyn Store>,
    check_ins: Arc<CheckIns>,
    rules: RwLock<Arc<HashMap<OrganizationSlug, Arc<Rules>>>>,
    spool: Spool,
    clock: Clock,
}

impl std::fmt::Debug for Scans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scans").field("spool", &self.spool).finish_non_exhaustive()
    }
}

impl Scans {
    /// With each organization's rules.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        check_ins: Arc<CheckIns>,
        rules: HashMap<OrganizationSlug, Arc<Rules>>,
        spool: Spool,
        clock: Clock,
    ) -> Self {
        Self { store, check_ins, rules: RwLock::new(Arc::new(rules)), spool, clock }
    }

    /// Puts other rules in force.
    pub fn set_rules(&self, rules: HashMap<OrganizationSlug, Arc<Rules>>) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// The rules of an organization, as they are handed out.
    #[must_use]
    pub fn rules(&self, organization: &OrganizationSlug) -> Arc<Rules> {
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        rules.get(organization).cloned().unwrap_or_default()
    }

    /// Opens a scan; a repeated request gets the same one.
    ///
    /// # Errors
    /// When the job's check-in is refused, or the id is another scan's.
    pub async fn open(&self, by: &Reporter, unique_id: &str, said: &Value) -> Result<Scan, ScanFailed> {
        if let Some(before) = self.store.scan(unique_id).await? {
            return same(by, before.value);
        }
        if let Some(field) = told::smuggled(said) {
            return Err(Failed::Smuggled(field).into());
        }
        let now = (self.clock)();
        let scan = self.draft(by, unique_id, said, now).await?;
        let expects = vec![(RecordKey::Scan(unique_id.to_owned()), 0)];
        if self.store.apply(vec![Change::PutScan(Box::new(scan.clone()))], expects).await? {
            return Ok(scan);
        }
        let before = self.store.scan(unique_id).await?.ok_or(ScanFailed::Unknown)?;
        same(by, before.value)
    }

    async fn draft(
        &self,
        by: &Reporter,
        unique_id: &str,
        said: &Value,
        now: Timestamp,
    ) -> Result<Scan, ScanFailed> {
        let job = told::job(said).map_err(Failed::from)?;
        let (git_ref, sha) = (job.git_ref.clone().unwrap_or_default(), job.sha.clone());
        let (connection, project, full_path) = match by {
            Reporter::Organization(caller) => {
                let witness = Witness::Claimed(Box::new(ClaimedJob::told(caller.clone(), job)));
                let check_in = self.check_ins.settle(&witness).await?.check_in;
                (check_in.connection, check_in.project, check_in.full_path)
            }
            Reporter::Job(token) => {
                let scope = token.scope.as_ref().ok_or(ScanFailed::Unknown)?;
                let project = self.store.project(&scope.project).await?.ok_or(ScanFailed::Unknown)?;
                let connection = self.store.connection(&project.connection).await?;
                if connection.is_none_or(|connection| connection.rejected_at.is_some()) {
                    return Err(Failed::Refused(Refused::Rejected).into());
                }
                (project.connection.clone(), project.id(), project.full_path.clone())
            }
        };
        Ok(Scan {
            number: self.store.next_scan_number().await?,
            unique_id: unique_id.to_owned(),
            organization: by.organization().clone(),
            connection,
            project,
            full_path,
            git_ref,
            sha,
            is_full: said.get("is_full_scan").and_then(Value::as_bool).unwrap_or(false),
            opened_by: by.id().to_owned(),
            state: ScanState::Open,
            findings: 0,
            exit_code: None,
            opened_at: now,
            updated_at: now,
        })
    }

    /// The scan with the client's id, if the reporter opened it or speaks for its organization.
    ///
    /// # Errors
    /// When there is none.
    pub async fn find(&self, by: &Reporter, unique_id: &str) -> Result<Scan, ScanFailed> {
        let found = self.store.scan(unique_id).await?.ok_or(ScanFailed::Unknown)?;
        if by.may_end(&found.value, (self.clock)()) { Ok(found.value) } else { Err(ScanFailed::Unknown) }
    }

    /// The scan with our number, if the reporter may end it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn numbered(&self, by: &Reporter, number: u64) -> Result<Versioned<Scan>, ScanFailed> {
        let found = self.store.scan_numbered(number).await?.ok_or(ScanFailed::Unknown)?;
        if by.may_end(&found.value, (self.clock)()) { Ok(found) } else { Err(ScanFailed::Unknown) }
    }

    /// A place for a report that is on its way in.
    ///
    /// # Errors
    /// When the disk or the keys say no.
    pub fn begin_report(&self, scan: &Scan) -> Result<Spooling, ScanFailed> {
        let keyring = self.store.keyring();
        let begun = self.spool.begin(keyring, &scan.organization, scan.number, (self.clock)());
        begun.map_err(|error| ScanFailed::Spool(error.to_string()))
    }

    /// Takes a whole report: keeps its findings, and closes those that a full scan no longer sees. The same report
    /// twice changes nothing.
    ///
    /// # Errors
    /// When it cannot be read; nothing of it is kept then.
    pub async fn take_report(&self, scan: &Scan, report: Spooled) -> Result<u64, ScanFailed> {
        let (sender, mut batches) = tokio::sync::mpsc::channel::<Vec<Seen>>(2);
        let reading = tokio::task::spawn_blocking(move || {
            report::take(report, |batch| {
                sender.blocking_send(batch).map_err(|_| "nobody keeps it".to_owned())
            })
        });
        let mut kept: u64 = 0;
        while let Some(batch) = batches.recv().await {
            let now = (self.clock)();
            let findings: Vec<Finding> = batch.into_iter().map(|seen| seen.finding(scan, now)).collect();
            kept = kept.saturating_add(findings.len() as u64);
            self.store.record_findings(findings).await?;
        }
        let read = reading.await.map_err(|_| ScanFailed::Unreadable("reading it failed".into()))?;
        let told = read.map_err(ScanFailed::Unreadable)?;
        if scan.is_full {
            let branch = Branch {
                organization: scan.organization.clone(),
                project: scan.project.clone(),
                git_ref: scan.git_ref.clone(),
            };
            let mut after = None;
            loop {
                let now = (self.clock)();
                after = self.store.close_findings(&branch, scan.number, &told.rules, after, now).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        self.advance(scan.number, |scan| {
            scan.state = scan.state.max(ScanState::Reported);
            scan.findings = kept;
        })
        .await?;
        Ok(kept)
    }

    /// The scanner has ended.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn end(&self, number: u64, state: ScanState, exit_code: Option<i64>) -> Result<(), ScanFailed> {
        self.advance(number, |scan| {
            scan.state = state;
            scan.exit_code = exit_code;
        })
        .await
    }

    async fn advance(&self, number: u64, change: impl Fn(&mut Scan)) -> Result<(), ScanFailed> {
        for _ in 0..TRIES_MAX {
            let found = self.store.scan_numbered(number).await?.ok_or(ScanFailed::Unknown)?;
            let mut scan = found.value;
            change(&mut scan);
            scan.updated_at = (self.clock)();
            let expects = vec![(RecordKey::Scan(scan.unique_id.clone()), found.version)];
            if self.store.apply(vec![Change::PutScan(Box::new(scan))], expects).await? {
                return Ok(());
            }
        }
        Err(ScanFailed::CheckIn(Failed::Busy))
    }
}

fn same(by: &Reporter, before: Scan) -> Result<Scan, ScanFailed> {
    let is_own = *by.organization() == before.organization && by.id() == before.opened_by;
    if is_own { Ok(before) } else { Err(ScanFailed::Taken) }
}
