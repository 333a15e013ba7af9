//! The order of rows: one sled tree holds every table, each behind a byte of its own.
//!
//! One tree makes one batch atomic over all tables. Numbers are big-endian, so that they sort; texts end with a zero
//! byte, which none of them can hold.

use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::delivery::DeliveryState;
use crate::domain::pipeline::RunKind;
use crate::domain::roster::Subject;
use crate::domain::{ConnectionKey, DeliveryId, Host, OrganizationSlug, SourceKey, Timestamp};
pub(super) use crate::store::frame::short_hash;

/// The first byte of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Table {
    Meta = b'0',
    Part = b'1',
    Delivery = b'd',
    Body = b'b',
    External = b'x',
    LaneOf = b'l',
    Queue = b'q',
    Attempt = b't',
    Unbound = b'w',
    Blocked = b'z',
    ByState = b's',
    ByOrganization = b'o',
    BySource = b'r',
    Carried = b'f',
    Organization = b'O',
    Source = b'S',
    Connection = b'C',
    ConnectionOfSource = b'c',
    ConnectionOfOrganization = b'e',
    Installation = b'i',
    Account = b'a',
    Project = b'P',
    ProjectById = b'p',
    ProjectByPath = b'n',
    ProjectOfConnection = b'k',
    Member = b'M',
    MemberById = b'm',
    MemberByLogin = b'u',
    MemberOfConnection = b'v',
    Pipeline = b'R',
    PipelineByTime = b'y',
    Audit = b'A',
    AuditOfOrganization = b'B',
    CheckIn = b'J',
    CheckInByTime = b'j',
    ConnectionOfLogin = b'L',
    ProjectOfNumber = b'N',
    Scan = b'X',
    ScanByNumber = b'W',
    Finding = b'F',
    Approval = b'V',
    Ticket = b'2',
    Token = b'T',
    TokenByHash = b'h',
    TokenByEnd = b'E',
    TokenOfMember = b'Q',
    AuditLink = b'D',
    AuditHead = b'Z',
    Hold = b'I',
    Reading = b'U',
    KeptPage = b'Y',
    Credential = b'K',
    Task = b'G',
    TaskByDue = b'g',
    TaskByTime = b'H',
}

impl Table {
    /// All tables.
    pub(super) const ALL: [Self; 55] = [
        Self::Meta,
        Self::Part,
        Self::Delivery,
        Self::Body,
        Self::External,
        Self::LaneOf,
        Self::Queue,
        Self::Attempt,
        Self::Unbound,
        Self::Blocked,
        Self::ByState,
        Self::ByOrganization,
        Self::BySource,
        Self::Carried,
        Self::Organization,
        Self::Source,
        Self::Connection,
        Self::ConnectionOfSource,
        Self::ConnectionOfOrganization,
        Self::Installation,
        Self::Account,
        Self::Project,
        Self::ProjectById,
        Self::ProjectByPath,
        Self::ProjectOfConnection,
        Self::Member,
        Self::MemberByLogin,
        Self::MemberById,
        Self::MemberOfConnection,
        Self::Pipeline,
        Self::PipelineByTime,
        Self::Audit,
        Self::AuditOfOrganization,
        Self::CheckIn,
        Self::CheckInByTime,
        Self::ConnectionOfLogin,
        Self::ProjectOfNumber,
        Self::Scan,
        Self::ScanByNumber,
        Self::Finding,
        Self::Approval,
        Self::Ticket,
        Self::Token,
        Self::TokenByHash,
        Self::TokenByEnd,
        Self::TokenOfMember,
        Self::AuditLink,
        Self::AuditHead,
        Self::Hold,
        Self::Reading,
        Self::KeptPage,
        Self::Credential,
        Self::Task,
        Self::TaskByDue,
        Self::TaskByTime,
    ];
}

/// A key under construction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

/// The time behind the table's byte; the other way round, [`Key::time`].
pub(super) fn time_of(key: &[u8]) -> Option<Timestamp> {
    let flipped = u64::from_be_bytes(key.get(1..9)?.try_into().ok()?);
    Some(Timestamp::from_ms((flipped ^ (1 << 63)).cast_signed()))
}

impl Key {
    pub(super) fn of(table: Table) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(table as u8);
        Self(bytes)
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.extend(text.bytes().filter(|byte| *byte != 0));
        self.0.push(0);
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn time(self, at: Timestamp) -> Self {
        // Flipping the sign bit makes negative times sort before positive ones.
        self.number((at.ms() as u64) ^ (1 << 63))
    }

    pub(super) fn id(self, id: DeliveryId) -> Self {
        self.bytes(id.as_bytes())
    }

    /// A key that a scan gave.
    pub(super) const fn raw(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The first key behind all keys with this prefix; `None` when there is none.
pub(super) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// The delivery id in the last sixteen bytes of an index key.
pub(super) fn id_at_end(key: &[u8]) -> Option<DeliveryId> {
    let start = key.len().checked_sub(16)?;
    let bytes: [u8; 16] = key.get(start..)?.try_into().ok()?;
    Some(DeliveryId::from_bytes(bytes))
}

pub(super) fn meta(name: &str) -> Key {
    Key::of(Table::Meta).text(name)
}

pub(super) fn delivery(id: DeliveryId) -> Key {
    Key::of(Table::Delivery).id(id)
}

pub(super) fn attempt(id: DeliveryId, number: u32) -> Key {
    Key::of(Table::Attempt).id(id).bytes(&number.to_be_bytes())
}

pub(super) fn lane(lane: &[u8; 16]) -> Key {
    Key::of(Table::LaneOf).bytes(lane)
}

pub(super) fn queue(due: Timestamp, lane: &[u8; 16]) -> Key {
    Key::of(Table::Queue).time(due).bytes(lane)
}

/// One byte per state; never renumber.
pub(super) fn state_byte(state: DeliveryState) -> u8 {
    match state {
        DeliveryState::Queued => 1,
        DeliveryState::Working => 2,
        DeliveryState::Waiting => 3,
        DeliveryState::Done => 4,
        DeliveryState::Ignored => 5,
        DeliveryState::Superseded => 6,
        DeliveryState::Dead => 7,
    }
}

pub(super) fn by_state(state: DeliveryState) -> Key {
    Key::of(Table::ByState).bytes(&[state_byte(state)])
}

pub(super) fn by_organization(organization: &OrganizationSlug) -> Key {
    Key::of(Table::ByOrganization).text(organization.as_str())
}

pub(super) fn by_source(source: &SourceKey) -> Key {
    Key::of(Table::BySource).text(source.as_str())
}

pub(super) fn organization(slug: &OrganizationSlug) -> Key {
    Key::of(Table::Organization).text(slug.as_str())
}

pub(super) fn source(key: &SourceKey) -> Key {
    Key::of(Table::Source).text(key.as_str())
}

pub(super) fn connection(key: &ConnectionKey) -> Key {
    Key::of(Table::Connection).text(key.as_str())
}

pub(super) fn installation(host: &Host, id: u64) -> Key {
    Key::of(Table::Installation).text(host.as_str()).number(id)
}

pub(super) fn account(host: &Host, id: u64) -> Key {
    Key::of(Table::Account).text(host.as_str()).number(id)
}

/// Connections to the account of this name: the first segment of what it is called, letter case aside. Behind it `p`
/// for those that hold it, `c` for claims, then the connection's key.
pub(super) fn login(host: &Host, login: &str) -> Key {
    let first = login.split('/').next().unwrap_or_default().to_lowercase();
    Key::of(Table::ConnectionOfLogin).text(host.as_str()).text(&first)
}

/// Proven projects with this number of their own (`p`), or in a namespace with this number (`n`).
pub(super) fn of_number(host: &Host, of: u8, number: u64) -> Key {
    Key::of(Table::ProjectOfNumber).text(host.as_str()).bytes(&[of]).number(number)
}

pub(super) fn scan(unique_id: &str) -> Key {
    Key::of(Table::Scan).text(unique_id)
}

pub(super) fn scan_numbered(number: u64) -> Key {
    Key::of(Table::ScanByNumber).number(number)
}

/// Findings of one branch; behind it their marks.
pub(super) fn findings(organization: &OrganizationSlug, project: &str, git_ref: &str) -> Key {
    Key::of(Table::Finding).text(organization.as_str()).text(project).text(git_ref)
}

pub(super) fn credential(owner: &CredentialOwner, kind: CredentialKind) -> Key {
    Key::of(Table::Credential).text(&owner.to_string()).text(kind.as_str())
}

pub(super) fn task(id: &str) -> Key {
    Key::of(Table::Task).text(id)
}

pub(super) fn approval(hash: &[u8; 32]) -> Key {
    Key::of(Table::Approval).bytes(hash)
}

pub(super) fn ticket(hash: &[u8; 32]) -> Key {
    Key::of(Table::Ticket).bytes(hash)
}

/// The lines of a chain, by their number; an empty name is the operator's.
pub(super) fn chain(organization: Option<&OrganizationSlug>) -> Key {
    Key::of(Table::AuditLink).text(organization.map_or("", |slug| slug.as_str()))
}

pub(super) fn chain_head(organization: Option<&OrganizationSlug>) -> Key {
    Key::of(Table::AuditHead).text(organization.map_or("", |slug| slug.as_str()))
}

pub(super) fn hold(organization: &OrganizationSlug) -> Key {
    Key::of(Table::Hold).text(organization.as_str())
}

pub(super) fn reading(connection: &ConnectionKey, subject: Subject) -> Key {
    Key::of(Table::Reading).text(connection.as_str()).text(subject.as_str())
}

/// Pages of readings; behind it generation and number.
pub(super) fn kept_pages(connection: &ConnectionKey, subject: Subject) -> Key {
    Key::of(Table::KeptPage).text(connection.as_str()).text(subject.as_str())
}

/// The tokens that stand for a member.
pub(super) fn tokens_of(member: &str) -> Key {
    Key::of(Table::TokenOfMember).text(member)
}

pub(super) fn check_in(id: &str) -> Key {
    Key::of(Table::CheckIn).text(id)
}

pub(super) fn project(organization: &OrganizationSlug, host: &Host, id: u64) -> Key {
    Key::of(Table::Project).text(organization.as_str()).text(host.as_str()).number(id)
}

/// Whose a project is, by its key.
pub(super) fn organization_of(project: &[u8]) -> Option<&[u8]> {
    project.get(1..)?.split(|byte| *byte == 0).next()
}

pub(super) fn member(organization: &OrganizationSlug, host: &Host, id: u64) -> Key {
    Key::of(Table::Member).text(organization.as_str()).text(host.as_str()).number(id)
}

fn kind_byte(kind: RunKind) -> u8 {
    match kind {
        RunKind::Pipeline => 1,
        RunKind::Job => 2,
        RunKind::Suite => 3,
    }
}

pub(super) fn run(organization: &OrganizationSlug, host: &Host, project: u64, kind: RunKind, id: u64) -> Key {
    let project = Key::of(Table::Pipeline).text(organization.as_str()).text(host.as_str()).number(project);
    project.bytes(&[kind_byte(kind)]).number(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_numbers_do() {
        let key = |ms| Key::of(Table::Queue).time(Timestamp::from_ms(ms)).into_bytes();
        assert!(key(-5) < key(0) && key(0) < key(7) && key(7) < key(1 << 40));
    }

    #[test]
    fn the_end_of_a_prefix_lies_behind_all_its_keys() {
        assert_eq!(behind(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(behind(&[1, 255]), Some(vec![2]));
        assert_eq!(behind(&[255, 255]), None);
    }
}
