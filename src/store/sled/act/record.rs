//! Changes → rows: one arm for each kind of record, with its indexes.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::super::key::{self, Key, Table};
use super::super::row;
use super::super::stage::{Rows, Stage};
use crate::domain::ConnectionKey;
use crate::domain::change::Change;
use crate::domain::ci::{CheckIn, holders_version};
use crate::domain::credential::SealedCredential;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, Member};
use crate::domain::pipeline::Pipeline;
use crate::domain::project::Project;
use crate::domain::task::Task;
use crate::store::{StoreError, credential};

/// More connections to one account are no deployment's.
const HOLDERS_MAX: usize = 256;

/// A record as it lies in its row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Row<T> {
    /// Rises with each write; begins with 1.
    pub(in super::super) v: u64,
    pub(in super::super) r: T,
}

/// Reads a record with its version.
pub(in super::super) fn find<R: Rows, T: serde::de::DeserializeOwned>(
    rows: &R,
    key: &Key,
) -> Result<Option<Versioned<T>>, StoreError> {
    Ok(rows.read::<Row<T>>(key)?.map(|row| Versioned { version: row.v, value: row.r }))
}

fn key_of(record: &RecordKey) -> Key {
    match record {
        RecordKey::Organization(slug) => key::organization(slug),
        RecordKey::Source(source) => key::source(source),
        RecordKey::Connection(connection) => key::connection(connection),
        RecordKey::Project(organization, host, id) => key::project(organization, host, *id),
        RecordKey::Member(organization, host, id) => key::member(organization, host, *id),
        RecordKey::Pipeline(organization, host, project, kind, id) => {
            key::run(organization, host, *project, *kind, *id)
        }
        RecordKey::CheckIn(id) => key::check_in(id),
        RecordKey::Scan(unique_id) => key::scan(unique_id),
        RecordKey::Hold(organization) => key::hold(organization),
        RecordKey::Task(id) => key::task(id),
        RecordKey::Account(host, id) => key::account(host, *id),
        RecordKey::Login(host, login) => key::login(host, login).bytes(b"p"),
    }
}

/// Whether every record still has the version under which it was read.
pub(in super::super) fn hold(stage: &Stage<'_>, expects: &[(RecordKey, u64)]) -> Result<bool, StoreError> {
    for (record, version) in expects {
        if version_of(stage, record)? != *version {
            return Ok(false);
        }
    }
    Ok(true)
}

fn version_of(stage: &Stage<'_>, record: &RecordKey) -> Result<u64, StoreError> {
    let key = key_of(record);
    match record {
        RecordKey::Account(..) => {
            let holder = stage.raw(key.as_bytes())?.map(|name| connection_key(&name)).transpose()?;
            Ok(holders_version(&holder))
        }
        RecordKey::Task(..) => Ok(stage.read::<Task>(&key)?.map_or(0, |task| task.fence)),
        RecordKey::Login(..) => Ok(holders_version(&named(stage, &key)?)),
        _ => Ok(stage.hot::<Row<IgnoredAny>>(&key, row::decode)?.map_or(0, |row| row.v)),
    }
}

/// The connections under an account's name, in the order of their keys.
pub(in super::super) fn named<R: Rows>(rows: &R, login: &Key) -> Result<Vec<ConnectionKey>, StoreError> {
    let found = rows.with_prefix(login, HOLDERS_MAX)?;
    found.iter().map(|(_, name)| connection_key(name)).collect()
}

fn connection_key(name: &[u8]) -> Result<ConnectionKey, StoreError> {
    ConnectionKey::parse(&String::from_utf8_lossy(name))
        .map_err(|_| StoreError::Corrupt("an index names a connection that cannot be".into()))
}

/// Writes all of them.
pub(in super::super) fn apply(stage: &mut Stage<'_>, changes: Vec<Change>) -> Result<(), StoreError> {
    changes.into_iter().try_for_each(|change| match change {
        Change::PutOrganization(organization) => {
            put(stage, key::organization(&organization.slug), &organization).map(drop)
        }
        Change::PutSource(source) => put(stage, key::source(&source.key), &source).map(drop),
        Change::PutConnection(connection) => put_connection(stage, &connection),
        Change::PutProject(project) => put_project(stage, &project),
        Change::PutMember(member) => put_member(stage, &member),
        Change::PutPipeline(run) => put_run(stage, &run),
        Change::DropProject(organization, host, id) => {
            drop_project(stage, &key::project(&organization, &host, id))
        }
        Change::PutCheckIn(check_in) => put_check_in(stage, &check_in),
        Change::PutScan(scan) => super::scan::put_scan(stage, &scan),
        Change::PutToken(token) => super::access::put_token(stage, &token),
        Change::EndAccess(member, at) => super::access::end_access(stage, &member, at),
        Change::PutHold(hold) => put(stage, key::hold(&hold.organization), hold.as_ref()).map(drop),
        Change::DropHold(organization) => stage.delete(key::hold(&organization)),
        Change::PutCredential(one) => put_credential(stage, *one),
        Change::DropCredential(owner, kind) => stage.delete(key::credential(&owner, kind)),
        Change::Wish(wish) => super::task::wish(stage, &wish),
        Change::Audit(entry) => super::trail::put(stage, entry),
    })
}

/// Writes a credential. When the keys were changed since it was sealed, it is sealed anew: the older ones will be gone.
pub(in super::super) fn put_credential(
    stage: &mut Stage<'_>,
    one: SealedCredential,
) -> Result<(), StoreError> {
    let one = credential::renewed(stage.keyring(), &one)?.unwrap_or(one);
    stage.put(key::credential(&one.about.owner, one.about.kind), &one)
}

/// Writes a record under the next version and gives back the one before.
pub(super) fn put<T: Serialize + serde::de::DeserializeOwned + Clone>(
    stage: &mut Stage<'_>,
    key: Key,
    record: &T,
) -> Result<Option<T>, StoreError> {
    let before: Option<Row<T>> = stage.read(&key)?;
    let v = before.as_ref().map_or(0, |row| row.v).saturating_add(1);
    stage.put(key, &Row { v, r: record.clone() })?;
    Ok(before.map(|row| row.r))
}

pub(super) fn connection_indexes(connection: &Connection) -> Vec<Key> {
    let own = connection.key.as_str();
    let mut keys = vec![
        Key::of(Table::ConnectionOfSource).text(connection.source.as_str()).text(own),
        Key::of(Table::ConnectionOfOrganization).text(connection.organization.as_str()).text(own),
    ];
    if connection.holds() {
        keys.extend(connection.installation.map(|id| key::installation(&connection.host, id)));
        keys.extend(connection.account.external_id.map(|id| key::account(&connection.host, id)));
    }
    if connection.rejected_at.is_none() {
        let tag = if connection.holds() { b"p" } else { b"c" };
        keys.push(key::login(&connection.host, &connection.account.login).bytes(tag).text(own));
    }
    keys
}

fn put_connection(stage: &mut Stage<'_>, connection: &Connection) -> Result<(), StoreError> {
    let before = put(stage, key::connection(&connection.key), connection)?;
    reindex(
        stage,
        before.as_ref().map(connection_indexes),
        connection_indexes(connection),
        connection.key.as_str().as_bytes(),
    )
}

pub(super) fn project_indexes(project: &Project) -> Vec<Key> {
    let path = project.full_path.to_lowercase();
    let of_connection = Key::of(Table::ProjectOfConnection).text(project.connection.as_str());
    let mut keys = vec![
        Key::of(Table::ProjectById).text(&project.id()),
        Key::of(Table::ProjectByPath).text(project.organization.as_str()).text(&path).text(&project.id()),
        of_connection
            .text(project.organization.as_str())
            .text(project.host.as_str())
            .number(project.external_id),
    ];
    if project.number().is_some() && !project.removed && !project.moved_away {
        let own = |key: Key| key.text(project.organization.as_str()).number(project.external_id);
        keys.push(own(key::of_number(&project.host, b'p', project.external_id)));
        keys.extend(project.namespace.map(|number| own(key::of_number(&project.host, b'n', number))));
    }
    keys
}

fn drop_project(stage: &mut Stage<'_>, key: &Key) -> Result<(), StoreError> {
    let Some(before) = stage.read::<Row<Project>>(key)? else { return Ok(()) };
    for index in project_indexes(&before.r) {
        // Its id may have gone over to the record that takes its place.
        if stage.raw(index.as_bytes())?.is_some_and(|holder| holder == key.as_bytes()) {
            stage.delete(index)?;
        }
    }
    stage.delete(key.clone())
}

pub(super) fn check_in_indexes(check_in: &CheckIn) -> Vec<Key> {
    vec![Key::of(Table::CheckInByTime).time(check_in.at).text(&check_in.id)]
}

fn put_check_in(stage: &mut Stage<'_>, check_in: &CheckIn) -> Result<(), StoreError> {
    check_in_indexes(check_in).into_iter().for_each(|key| stage.mark(key, check_in.id.as_bytes()));
    put(stage, key::check_in(&check_in.id), check_in).map(drop)
}

fn put_project(stage: &mut Stage<'_>, project: &Project) -> Result<(), StoreError> {
    let key = key::project(&project.organization, &project.host, project.external_id);
    let value = key.as_bytes().to_vec();
    let before = put(stage, key, project)?;
    reindex(stage, before.as_ref().map(project_indexes), project_indexes(project), &value)
}

pub(super) fn member_indexes(member: &Member) -> Vec<Key> {
    let login = member.login.to_lowercase();
    let by_login = Key::of(Table::MemberByLogin).text(member.organization.as_str()).text(&login);
    let of_connection = Key::of(Table::MemberOfConnection).text(member.source.as_str());
    vec![
        Key::of(Table::MemberById).text(&member.id()),
        by_login.text(member.host.as_str()).number(member.external_id),
        of_connection
            .text(member.organization.as_str())
            .text(member.host.as_str())
            .number(member.external_id),
    ]
}

fn put_member(stage: &mut Stage<'_>, member: &Member) -> Result<(), StoreError> {
    let key = key::member(&member.organization, &member.host, member.external_id);
    let value = key.as_bytes().to_vec();
    let before = put(stage, key, member)?;
    reindex(stage, before.as_ref().map(member_indexes), member_indexes(member), &value)
}

pub(super) fn run_indexes(run: &Pipeline) -> Vec<Key> {
    // Run numbers rise at both forges, so the newest run of a project is the one with the greatest number.
    let project = Key::of(Table::PipelineByTime).text(run.organization.as_str()).text(run.host.as_str());
    vec![project.number(run.project).number(run.external_id).bytes(key_tail(run))]
}

fn key_tail(run: &Pipeline) -> &'static [u8] {
    use crate::domain::pipeline::RunKind;
    match run.kind {
        RunKind::Pipeline => b"p",
        RunKind::Job => b"j",
        RunKind::Suite => b"s",
    }
}

fn put_run(stage: &mut Stage<'_>, run: &Pipeline) -> Result<(), StoreError> {
    let key = key::run(&run.organization, &run.host, run.project, run.kind, run.external_id);
    let value = key.as_bytes().to_vec();
    let before = put(stage, key, run)?;
    reindex(stage, before.as_ref().map(run_indexes), run_indexes(run), &value)
}

/// Replaces the index rows of a record by those of its new form.
fn reindex(
    stage: &mut Stage<'_>,
    before: Option<Vec<Key>>,
    after: Vec<Key>,
    value: &[u8],
) -> Result<(), StoreError> {
    for old in before.unwrap_or_default() {
        if !after.contains(&old) {
            stage.delete(old)?;
        }
    }
    after.into_iter().for_each(|key| stage.mark(key, value));
    Ok(())
}
