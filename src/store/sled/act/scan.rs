//! Scans, their numbers and their findings.

use std::collections::BTreeSet;

use super::super::key::{self, Key, Table};
use super::super::stage::{Rows, Stage};
use super::access;
use super::record::{Row, put};
use crate::domain::Timestamp;
use crate::domain::access::{Approval, TokenRecord};
use crate::domain::scan::{Branch, Finding, Scan};
use crate::store::StoreError;

/// Findings looked at by one act at most.
const FINDINGS_MAX: usize = 512;
/// Scans deleted by one act at most.
const SCANS_MAX: usize = 256;

fn counter() -> Key {
    key::meta("scan-number")
}

/// Gives a number out.
pub(in super::super) fn next_number(stage: &mut Stage<'_>) -> Result<u64, StoreError> {
    let next = stage.read::<u64>(&counter())?.unwrap_or(0).saturating_add(1);
    stage.put(counter(), &next)?;
    Ok(next)
}

/// A number that came from elsewhere is not given out again.
pub(super) fn keep_number(stage: &mut Stage<'_>, number: u64) -> Result<(), StoreError> {
    let last = stage.read::<u64>(&counter())?.unwrap_or(0);
    stage.put(counter(), &last.max(number))
}

pub(super) fn put_scan(stage: &mut Stage<'_>, scan: &Scan) -> Result<(), StoreError> {
    stage.mark(key::scan_numbered(scan.number), scan.unique_id.as_bytes());
    put(stage, key::scan(&scan.unique_id), scan).map(drop)
}

/// The row of a finding.
pub(super) fn finding_key(finding: &Finding) -> Key {
    key::findings(&finding.organization, &finding.project, &finding.git_ref).text(&finding.fingerprint)
}

/// Writes findings over those of before.
pub(in super::super) fn record(stage: &mut Stage<'_>, findings: Vec<Finding>) -> Result<(), StoreError> {
    for finding in findings {
        let key = finding_key(&finding);
        let before = stage.read::<Row<Finding>>(&key)?.map(|row| row.r);
        put(stage, key, &finding.seen_after(before.as_ref()))?;
    }
    Ok(())
}

/// Closes what the scan did not see; gives back where to go on.
pub(in super::super) fn close(
    stage: &mut Stage<'_>,
    branch: &Branch,
    scan: u64,
    rules: &BTreeSet<String>,
    after: Option<String>,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let prefix = key::findings(&branch.organization, &branch.project, &branch.git_ref);
    let end = key::behind(prefix.as_bytes());
    let after = after.and_then(|text| hex::decode(text).ok());
    let from = after.map_or_else(|| prefix.as_bytes().to_vec(), |key| [key.as_slice(), &[0]].concat());
    let found = stage.scan(&from, end.as_deref(), FINDINGS_MAX)?;
    let next = (found.len() == FINDINGS_MAX).then(|| found.last().map(|(key, _)| hex::encode(key))).flatten();
    for (row, value) in found {
        let finding = stage.decode::<Row<Finding>>(&row, value)?.r;
        if finding.fixed_at.is_none() && finding.last_scan < scan && rules.contains(&finding.rule) {
            put(stage, Key::raw(row), &finding.fixed_by(scan, now))?;
        }
    }
    Ok(next)
}

/// Deletes scans that began before `before`, oldest first. Returns how many.
pub(super) fn forget(stage: &mut Stage<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let mut gone: u64 = 0;
    for (row, unique_id) in stage.with_prefix(&Key::of(Table::ScanByNumber), SCANS_MAX)? {
        let key = key::scan(&String::from_utf8_lossy(&unique_id));
        let young = stage.read::<Row<Scan>>(&key)?.is_some_and(|found| found.r.opened_at >= before);
        if young {
            break;
        }
        stage.delete(key)?;
        stage.delete(Key::raw(row))?;
        gone = gone.saturating_add(1);
    }
    Ok(gone)
}

/// The approval, as long as it counts.
pub(in super::super) fn approval<R: Rows>(
    rows: &R,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Approval>, StoreError> {
    let found: Option<Approval> = rows.read(&key::approval(hash))?;
    Ok(found.filter(|approval| now < approval.expires_at))
}

/// Remembers an approval, and forgets those that were never fetched.
pub(in super::super) fn approve(
    stage: &mut Stage<'_>,
    hash: &[u8; 32],
    approval: &Approval,
    now: Timestamp,
) -> Result<(), StoreError> {
    for (row, value) in stage.with_prefix(&Key::of(Table::Approval), SCANS_MAX)? {
        if stage.decode::<Approval>(&row, value)?.expires_at <= now {
            stage.delete(Key::raw(row))?;
        }
    }
    stage.put(key::approval(hash), approval)
}

/// Uses an approval up and keeps its token.
pub(in super::super) fn redeem(
    stage: &mut Stage<'_>,
    hash: &[u8; 32],
    token: &TokenRecord,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let approved = approval(stage, hash, now)?;
    if approved.is_none_or(|approval| approval.organization != token.organization) {
        return Ok(false);
    }
    stage.delete(key::approval(hash))?;
    access::put_token(stage, token).map(|()| true)
}
