//! Pages of records: every list walks an index from a key, never from a count.

use serde::de::DeserializeOwned;

use super::act::record::Row;
use super::act::{self, Stored};
use super::dedupe;
use super::key::{self, Key, Table, behind};
use super::stage::Rows;
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::change::AuditEntry;
use crate::domain::delivery::DeliveryRecord;
use crate::domain::organization::{Connection, Member};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::scan::Finding;
use crate::domain::task::Task;
use crate::domain::{OrganizationSlug, Timestamp};
use crate::store::{
    DeliveryFilter, FindingFilter, MemberFilter, Page, Paged, ProjectFilter, StoreError, TaskFilter,
};

/// Rows looked at for one page, at most: a page may be shorter than asked for and still not be the last.
const SEEN_MAX: usize = 5_000;
const STEP: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Up,
    Down,
}

/// Walks the keys with `prefix` from the page's cursor and gives each row to `pick`.
fn walk<R: Rows, T>(
    rows: &R,
    prefix: &Key,
    page: &Page,
    order: Order,
    mut pick: impl FnMut(&[u8], Vec<u8>) -> Result<Option<T>, StoreError>,
) -> Result<Paged<T>, StoreError> {
    let end = behind(prefix.as_bytes());
    let mut cursor = page.cursor.as_deref().map(|text| hex::decode(text).unwrap_or_default());
    let mut items = Vec::new();
    let mut seen: usize = 0;
    loop {
        let found = match (order, &cursor) {
            (Order::Up, Some(after)) => {
                let from = [after.as_slice(), &[0]].concat();
                rows.scan(from.as_slice().max(prefix.as_bytes()), end.as_deref(), STEP)?
            }
            (Order::Up, None) => rows.scan(prefix.as_bytes(), end.as_deref(), STEP)?,
            (Order::Down, Some(before)) => rows.scan_back(prefix.as_bytes(), Some(before), STEP)?,
            (Order::Down, None) => rows.scan_back(prefix.as_bytes(), end.as_deref(), STEP)?,
        };
        let last_step = found.len() < STEP;
        for (row, value) in found {
            if items.len() >= page.limit || seen >= SEEN_MAX {
                return Ok(Paged { items, next: cursor.map(hex::encode) });
            }
            seen = seen.saturating_add(1);
            items.extend(pick(&row, value)?);
            cursor = Some(row);
        }
        if last_step {
            return Ok(Paged { items, next: None });
        }
    }
}

/// Follows an index row, whose value is the record's key.
fn follow<R: Rows, T: DeserializeOwned>(rows: &R, key: Vec<u8>) -> Result<Option<T>, StoreError> {
    Ok(rows.read::<Row<T>>(&Key::raw(key))?.map(|row| row.r))
}

fn wanted(filter: &DeliveryFilter, record: &DeliveryRecord) -> bool {
    fn same<T: PartialEq>(want: Option<&T>, have: &T) -> bool {
        want.is_none_or(|want| want == have)
    }
    let within = |at: Timestamp| {
        filter.since.is_none_or(|since| at >= since) && filter.until.is_none_or(|until| at < until)
    };
    (filter.organization.is_none() || filter.organization == record.organization)
        && same(filter.source.as_ref(), &record.source)
        && (filter.connection.is_none() || filter.connection == record.connection)
        && same(filter.state.as_ref(), &record.state)
        && same(filter.event.as_ref(), &record.event)
        && (filter.reason.is_none() || filter.reason == record.reason)
        && same(filter.external_id.as_ref(), &record.external_id)
        && within(record.received_at)
}

/// Deliveries, newest first, through the narrowest index the filter allows.
pub(super) fn deliveries<R: Rows>(
    rows: &R,
    filter: &DeliveryFilter,
    page: &Page,
) -> Result<Paged<DeliveryRecord>, StoreError> {
    if let Some(external_id) = &filter.external_id {
        return siblings(rows, external_id, filter, page);
    }
    let index = if let Some(state) = filter.state {
        key::by_state(state)
    } else if let Some(organization) = &filter.organization {
        key::by_organization(organization)
    } else if let Some(source) = &filter.source {
        key::by_source(source)
    } else {
        Key::of(Table::Delivery)
    };
    walk(rows, &index, page, Order::Down, |row, _| {
        let Some(id) = key::id_at_end(row) else { return Ok(None) };
        let stored: Option<Stored> = act::load(rows, id)?;
        Ok(stored.map(|stored| stored.record).filter(|record| wanted(filter, record)))
    })
}

/// Deliveries with one forge's id: a handful, which several hooks sent.
fn siblings<R: Rows>(
    rows: &R,
    external_id: &str,
    filter: &DeliveryFilter,
    page: &Page,
) -> Result<Paged<DeliveryRecord>, StoreError> {
    let before = page.cursor.as_deref().map(|text| hex::decode(text).unwrap_or_default());
    let mut paged = Paged { items: Vec::new(), next: None };
    let mut last = None;
    for id in dedupe::siblings(rows, external_id)? {
        if before.as_ref().is_some_and(|before| id.as_bytes().as_slice() >= before.as_slice()) {
            continue;
        }
        if paged.items.len() >= page.limit {
            paged.next = last.map(hex::encode);
            break;
        }
        last = Some(*id.as_bytes());
        let stored: Option<Stored> = act::load(rows, id)?;
        paged.items.extend(stored.map(|stored| stored.record).filter(|record| wanted(filter, record)));
    }
    Ok(paged)
}

/// Organizations, sources: tables whose rows are the records.
pub(super) fn table<R: Rows, T: DeserializeOwned>(
    rows: &R,
    table: Table,
    page: &Page,
) -> Result<Paged<T>, StoreError> {
    walk(rows, &Key::of(table), page, Order::Up, |row, value| Ok(Some(rows.decode::<Row<T>>(row, value)?.r)))
}

pub(super) fn connections<R: Rows>(
    rows: &R,
    organization: Option<&OrganizationSlug>,
    page: &Page,
) -> Result<Paged<Connection>, StoreError> {
    let Some(organization) = organization else { return table(rows, Table::Connection, page) };
    let index = Key::of(Table::ConnectionOfOrganization).text(organization.as_str());
    walk(rows, &index, page, Order::Up, |_, value| {
        follow(rows, Key::of(Table::Connection).bytes(&value).bytes(&[0]).into_bytes())
    })
}

pub(super) fn projects<R: Rows>(
    rows: &R,
    filter: &ProjectFilter,
    page: &Page,
) -> Result<Paged<Project>, StoreError> {
    let search = filter.search.as_ref().map(|text| text.to_lowercase());
    let wanted = |project: &Project| {
        filter.connection.as_ref().is_none_or(|key| *key == project.connection)
            && filter.state.is_none_or(|state| state == project.state())
            && search.as_ref().is_none_or(|text| project.full_path.to_lowercase().contains(text))
    };
    let index = match &filter.organization {
        Some(organization) => Key::of(Table::ProjectByPath).text(organization.as_str()),
        None => Key::of(Table::ProjectByPath),
    };
    walk(rows, &index, page, Order::Up, |_, value| Ok(follow::<R, Project>(rows, value)?.filter(wanted)))
}

pub(super) fn members<R: Rows>(
    rows: &R,
    filter: &MemberFilter,
    page: &Page,
) -> Result<Paged<Member>, StoreError> {
    let login = filter.login.as_ref().map(|text| text.to_lowercase());
    let wanted = |member: &Member| {
        filter.state.is_none_or(|state| state == member.state)
            && login.as_ref().is_none_or(|login| *login == member.login.to_lowercase())
    };
    let index = match &filter.organization {
        Some(organization) => Key::of(Table::MemberByLogin).text(organization.as_str()),
        None => Key::of(Table::MemberByLogin),
    };
    walk(rows, &index, page, Order::Up, |_, value| Ok(follow::<R, Member>(rows, value)?.filter(wanted)))
}

pub(super) fn pipelines<R: Rows>(
    rows: &R,
    project: &Project,
    page: &Page,
) -> Result<Paged<Pipeline>, StoreError> {
    let index =
        Key::of(Table::PipelineByTime).text(project.organization.as_str()).text(project.host.as_str());
    walk(rows, &index.number(project.external_id), page, Order::Down, |_, value| follow(rows, value))
}

/// The line with this id, among those of its moment.
pub(super) fn audit_entry<R: Rows>(rows: &R, id: &str) -> Result<Option<AuditEntry>, StoreError> {
    let Some(at) = AuditEntry::time_in(id) else { return Ok(None) };
    let moment = Key::of(Table::Audit).time(at);
    let mut page = Page { limit: 1, cursor: None };
    loop {
        let found = walk(rows, &moment, &page, Order::Up, |row, value| {
            let entry: AuditEntry = rows.decode(row, value)?;
            Ok((entry.id() == id).then_some(entry))
        })?;
        page.cursor = found.next;
        if !found.items.is_empty() || page.cursor.is_none() {
            return Ok(found.items.into_iter().next());
        }
    }
}

pub(super) fn audit<R: Rows>(
    rows: &R,
    organization: Option<&OrganizationSlug>,
    page: &Page,
) -> Result<Paged<AuditEntry>, StoreError> {
    match organization {
        None => walk(rows, &Key::of(Table::Audit), page, Order::Down, |row, value| {
            rows.decode(row, value).map(Some)
        }),
        Some(organization) => {
            let index = Key::of(Table::AuditOfOrganization).text(organization.as_str());
            walk(rows, &index, page, Order::Down, |_, value| rows.read(&Key::raw(value)))
        }
    }
}

/// Findings, through the narrowest part of the table that the filter allows.
pub(super) fn findings<R: Rows>(
    rows: &R,
    filter: &FindingFilter,
    page: &Page,
) -> Result<Paged<Finding>, StoreError> {
    let all = Key::of(Table::Finding).text(filter.organization.as_str());
    let index = match (&filter.project, &filter.git_ref) {
        (None, _) => all,
        (Some(project), None) => all.text(project),
        (Some(project), Some(git_ref)) => all.text(project).text(git_ref),
    };
    let wanted = |finding: &Finding| {
        filter.full_path.as_ref().is_none_or(|path| path.eq_ignore_ascii_case(&finding.full_path))
            && filter.git_ref.as_ref().is_none_or(|git_ref| *git_ref == finding.git_ref)
            && filter.is_open.is_none_or(|is_open| is_open == finding.fixed_at.is_none())
    };
    walk(rows, &index, page, Order::Up, |row, value| {
        Ok(Some(rows.decode::<Row<Finding>>(row, value)?.r).filter(wanted))
    })
}

pub(super) fn tokens<R: Rows>(
    rows: &R,
    organization: Option<&OrganizationSlug>,
    kind: Option<TokenKind>,
    page: &Page,
) -> Result<Paged<TokenRecord>, StoreError> {
    walk(rows, &Key::of(Table::Token), page, Order::Up, |row, value| {
        let token: TokenRecord = rows.decode(row, value)?;
        let wanted = organization.is_none_or(|organization| *organization == token.organization);
        Ok((wanted && kind.is_none_or(|kind| kind == token.kind)).then_some(token))
    })
}

/// Tasks, the one that was wished last first.
pub(super) fn tasks<R: Rows>(rows: &R, filter: &TaskFilter, page: &Page) -> Result<Paged<Task>, StoreError> {
    walk(rows, &Key::of(Table::TaskByTime), page, Order::Down, |_, id| {
        Ok(Some(act::task::named(rows, &id)?).filter(|task| filter.wants(task)))
    })
}
