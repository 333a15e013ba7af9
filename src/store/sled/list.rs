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
use crate::store::list::SEEN_MAX;
use crate::store::{
    AuditFilter, ConnectionFilter, DeliveryFilter, FindingFilter, MemberFilter, Page, Paged, ProjectFilter,
    StoreError, TaskFilter,
};

const STEP: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Up,
    Down,
}

/// Keys from the first one, up to the last one without it.
struct Span {
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

impl Span {
    /// All keys with this prefix.
    fn of(prefix: &Key) -> Self {
        Self { from: prefix.as_bytes().to_vec(), to: behind(prefix.as_bytes()) }
    }

    fn begins_at(self, from: Option<Key>) -> Self {
        Self { from: from.map_or(self.from, Key::into_bytes), ..self }
    }

    fn ends_before(self, to: Option<Key>) -> Self {
        Self { to: to.map(Key::into_bytes).or(self.to), ..self }
    }
}

/// Walks the keys with `prefix` from the page's cursor and gives each row to `pick`.
fn walk<R: Rows, T>(
    rows: &R,
    prefix: &Key,
    page: &Page,
    order: Order,
    pick: impl FnMut(&[u8], Vec<u8>) -> Result<Option<T>, StoreError>,
) -> Result<Paged<T>, StoreError> {
    walk_span(rows, &Span::of(prefix), page, order, pick)
}

fn walk_span<R: Rows, T>(
    rows: &R,
    Span { from, to }: &Span,
    page: &Page,
    order: Order,
    mut pick: impl FnMut(&[u8], Vec<u8>) -> Result<Option<T>, StoreError>,
) -> Result<Paged<T>, StoreError> {
    if to.as_ref().is_some_and(|to| to <= from) {
        return Ok(Paged { items: Vec::new(), next: None });
    }
    let mut cursor = page.cursor.as_deref().map(|text| hex::decode(text).unwrap_or_default());
    let mut items = Vec::new();
    let mut seen: usize = 0;
    loop {
        let found = match (order, &cursor) {
            (Order::Up, Some(after)) => {
                let next = [after.as_slice(), &[0]].concat();
                rows.scan(next.as_slice().max(from.as_slice()), to.as_deref(), STEP)?
            }
            (Order::Up, None) => rows.scan(from, to.as_deref(), STEP)?,
            (Order::Down, Some(before)) => rows.scan_back(from, Some(before), STEP)?,
            (Order::Down, None) => rows.scan_back(from, to.as_deref(), STEP)?,
        };
        let last_step = found.len() < STEP;
        for (row, value) in found {
            if items.len() >= page.limit || seen >= SEEN_MAX.max(page.limit) {
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
    let span = Span::of(&index).ends_before(filter.behind.map(|id| index.clone().id(id)));
    walk_span(rows, &span, page, Order::Down, |row, _| {
        let Some(id) = key::id_at_end(row) else { return Ok(None) };
        let stored: Option<Stored> = act::load(rows, id)?;
        Ok(stored.map(|stored| stored.record).filter(|record| filter.wants(record)))
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
        paged.items.extend(stored.map(|stored| stored.record).filter(|record| filter.wants(record)));
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
    filter: &ConnectionFilter,
    page: &Page,
) -> Result<Paged<Connection>, StoreError> {
    let Some(organization) = &filter.organization else {
        return walk(rows, &Key::of(Table::Connection), page, Order::Up, |row, value| {
            Ok(Some(rows.decode::<Row<Connection>>(row, value)?.r).filter(|it| filter.wants(it)))
        });
    };
    let index = Key::of(Table::ConnectionOfOrganization).text(organization.as_str());
    walk(rows, &index, page, Order::Up, |_, value| {
        let found =
            follow::<R, Connection>(rows, Key::of(Table::Connection).bytes(&value).bytes(&[0]).into_bytes())?;
        Ok(found.filter(|it| filter.wants(it)))
    })
}

pub(super) fn projects<R: Rows>(
    rows: &R,
    filter: &ProjectFilter,
    page: &Page,
) -> Result<Paged<Project>, StoreError> {
    let index = match &filter.organization {
        Some(organization) => Key::of(Table::ProjectByPath).text(organization.as_str()),
        None => Key::of(Table::ProjectByPath),
    };
    walk(rows, &index, page, Order::Up, |_, value| {
        Ok(follow::<R, Project>(rows, value)?.filter(|it| filter.wants(it)))
    })
}

pub(super) fn members<R: Rows>(
    rows: &R,
    filter: &MemberFilter,
    page: &Page,
) -> Result<Paged<Member>, StoreError> {
    let index = match (&filter.organization, &filter.login) {
        (None, _) => Key::of(Table::MemberByLogin),
        (Some(organization), None) => Key::of(Table::MemberByLogin).text(organization.as_str()),
        (Some(organization), Some(login)) => {
            Key::of(Table::MemberByLogin).text(organization.as_str()).text(&login.to_lowercase())
        }
    };
    walk(rows, &index, page, Order::Up, |_, value| {
        Ok(follow::<R, Member>(rows, value)?.filter(|it| filter.wants(it)))
    })
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

/// Lines of the audit log, newest first. Their keys begin with the time, so that a span of it is walked alone.
pub(super) fn audit<R: Rows>(
    rows: &R,
    filter: &AuditFilter,
    page: &Page,
) -> Result<Paged<AuditEntry>, StoreError> {
    let index = match &filter.organization {
        None => Key::of(Table::Audit),
        Some(organization) => Key::of(Table::AuditOfOrganization).text(organization.as_str()),
    };
    let at = |at: Option<Timestamp>| at.map(|at| index.clone().time(at));
    let span = Span::of(&index).begins_at(at(filter.since)).ends_before(at(filter.until));
    walk_span(rows, &span, page, Order::Down, |row, value| {
        let line: Option<AuditEntry> = match &filter.organization {
            None => Some(rows.decode(row, value)?),
            Some(_) => rows.read(&Key::raw(value))?,
        };
        Ok(line.filter(|line| filter.wants(line)))
    })
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
