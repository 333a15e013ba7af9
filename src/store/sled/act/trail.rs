//! The audit log: each line gets its place in its organization's chain.

use super::super::key::{self, Key, Table};
use super::super::stage::{Rows, Stage};
use crate::domain::OrganizationSlug;
use crate::domain::audit::{self, Link};
use crate::domain::change::AuditEntry;
use crate::store::{Chain, StoreError};

/// More organizations have no daemon.
const CHAINS_MAX: usize = 1_000_000;

/// Adds a line. One that comes from another store has its place already.
pub(super) fn put(stage: &mut Stage<'_>, entry: AuditEntry) -> Result<(), StoreError> {
    let counter = key::meta("audit-sequence");
    let sequence = stage.read::<u64>(&counter)?.unwrap_or(0).saturating_add(1);
    stage.put(counter, &sequence)?;
    let entry = linked(stage, entry)?;
    let key = Key::of(Table::Audit).time(entry.at).number(sequence);
    if let Some(organization) = &entry.organization {
        let index =
            Key::of(Table::AuditOfOrganization).text(organization.as_str()).time(entry.at).number(sequence);
        stage.mark(index, key.as_bytes());
    }
    if let Some(link) = &entry.link {
        let chain = key::chain(entry.organization.as_ref());
        stage.mark(chain.number(link.number), key.as_bytes());
    }
    stage.put(key, &entry)
}

fn linked(stage: &mut Stage<'_>, entry: AuditEntry) -> Result<AuditEntry, StoreError> {
    let head = key::chain_head(entry.organization.as_ref());
    let last: Option<Link> = stage.read(&head)?;
    let entry = match entry.link {
        Some(_) => entry,
        None => {
            let entry = audit::clean(entry);
            AuditEntry { link: Some(audit::link(last.as_ref(), &entry)), ..entry }
        }
    };
    if let Some(link) = &entry.link
        && last.is_none_or(|last| link.number > last.number)
    {
        stage.put(head, link)?;
    }
    Ok(entry)
}

pub(in super::super) fn chains<R: Rows>(rows: &R) -> Result<Vec<Chain>, StoreError> {
    let prefix = Key::of(Table::AuditHead);
    let from = prefix.as_bytes().len();
    let found = rows.with_prefix(&prefix, CHAINS_MAX)?.into_iter().map(|(row, value)| {
        let name = row.get(from..row.len().saturating_sub(1)).unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        let damaged = |_| StoreError::Corrupt("a chain of the audit log has no valid organization".into());
        let organization =
            if name.is_empty() { None } else { Some(OrganizationSlug::parse(&name).map_err(damaged)?) };
        Ok((organization, rows.decode(&row, value)?))
    });
    found.collect()
}

pub(in super::super) fn chained<R: Rows>(
    rows: &R,
    organization: Option<&OrganizationSlug>,
    after: u64,
    limit: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    let chain = key::chain(organization);
    let end = key::behind(chain.as_bytes());
    let from = chain.number(after.saturating_add(1));
    let mut lines = Vec::new();
    for (_, line) in rows.scan(from.as_bytes(), end.as_deref(), limit)? {
        lines.extend(rows.read(&Key::raw(line))?);
    }
    Ok(lines)
}
