//! Changes → rows: one arm for each kind of record, and the versions by which a change is noticed.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::PgConnection;

use super::act::{STRIPES, Stripe};
use super::delivery::text;
use super::{access, credential, job, roster, scan, task, trail};
use crate::domain::change::Change;
use crate::domain::known::RecordKey;
use crate::domain::organization::{Connection, Member, MemberState, Organization, Source};
use crate::domain::pipeline::{Pipeline, RunKind};
use crate::domain::project::{Project, ProjectState};
use crate::domain::{Host, OrganizationSlug};
use crate::store::StoreError;
use crate::store::frame::short_hash;

/// Which record a change writes; the audit log has no versions.
fn key_of(change: &Change) -> Option<RecordKey> {
    Some(match change {
        Change::PutOrganization(it) => RecordKey::Organization(it.slug.clone()),
        Change::PutSource(it) => RecordKey::Source(it.key.clone()),
        Change::PutConnection(it) => RecordKey::Connection(it.key.clone()),
        Change::PutProject(it) => {
            RecordKey::Project(it.organization.clone(), it.host.clone(), it.external_id)
        }
        Change::PutMember(it) => RecordKey::Member(it.organization.clone(), it.host.clone(), it.external_id),
        Change::PutPipeline(it) => {
            RecordKey::Pipeline(it.organization.clone(), it.host.clone(), it.project, it.kind, it.external_id)
        }
        Change::DropProject(organization, host, id) => {
            RecordKey::Project(organization.clone(), host.clone(), *id)
        }
        Change::PutCheckIn(it) => RecordKey::CheckIn(it.id.clone()),
        Change::PutScan(it) => RecordKey::Scan(it.unique_id.clone()),
        Change::PutHold(it) => RecordKey::Hold(it.organization.clone()),
        Change::DropHold(organization) => RecordKey::Hold(organization.clone()),
        Change::Wish(it) => RecordKey::Task(it.id()),
        // A credential is written with its connection or source, whose stripe is held.
        Change::PutToken(_)
        | Change::EndAccess(..)
        | Change::PutCredential(_)
        | Change::DropCredential(..)
        | Change::Audit(_) => return None,
    })
}

fn stripe(key: &RecordKey) -> i32 {
    let of = |what: &str, organization: &OrganizationSlug, host: &Host, numbers: [u64; 2]| {
        let [first, second] = numbers.map(u64::to_be_bytes);
        short_hash(&[
            what.as_bytes(),
            organization.as_str().as_bytes(),
            host.as_str().as_bytes(),
            &first,
            &second,
        ])
    };
    let hash = match key {
        RecordKey::Organization(slug) => short_hash(&[b"organization", slug.as_str().as_bytes()]),
        RecordKey::Source(key) => short_hash(&[b"source", key.as_str().as_bytes()]),
        RecordKey::Connection(key) => short_hash(&[b"connection", key.as_str().as_bytes()]),
        RecordKey::Project(organization, host, id) => of("project", organization, host, [*id, 0]),
        RecordKey::Member(organization, host, id) => of("member", organization, host, [*id, 0]),
        RecordKey::Pipeline(organization, host, project, kind, id) => {
            of(kind_word(*kind), organization, host, [*project, *id])
        }
        RecordKey::CheckIn(id) => short_hash(&[b"check-in", id.as_bytes()]),
        RecordKey::Scan(id) => short_hash(&[b"scan", id.as_bytes()]),
        RecordKey::Hold(slug) => short_hash(&[b"hold", slug.as_str().as_bytes()]),
        RecordKey::Task(id) => short_hash(&[b"task", id.as_bytes()]),
        RecordKey::Account(host, id) => {
            short_hash(&[b"account", host.as_str().as_bytes(), &id.to_be_bytes()])
        }
        RecordKey::Login(host, login) => short_hash(&[b"login", host.as_str().as_bytes(), login.as_bytes()]),
    };
    let first = hash.first().copied().unwrap_or_default();
    i32::from(first).rem_euclid(STRIPES).saturating_add(1)
}

/// The stripes that an act must hold: alone where it writes, with others where it only expects.
pub(super) fn stripes(expects: &[(RecordKey, u64)], changes: &[Change]) -> Vec<Stripe> {
    let mut all: BTreeMap<i32, bool> = expects.iter().map(|(key, _)| (stripe(key), false)).collect();
    all.extend(changes.iter().filter_map(key_of).map(|key| (stripe(&key), true)));
    all.extend(changes.iter().flat_map(job::accounts_of).map(|key| (stripe(&key), true)));
    all.into_iter().collect()
}

/// Writes all of them, lines of the audit log last: their chains are what acts wait for each other at. The caller holds
/// their stripes.
pub(super) async fn apply(connection: &mut PgConnection, changes: Vec<Change>) -> Result<(), StoreError> {
    let mut lines = Vec::new();
    for change in changes {
        match change {
            Change::PutOrganization(it) => put_organization(connection, &it, None).await?,
            Change::PutSource(it) => put_source(connection, &it, None).await?,
            Change::PutConnection(it) => put_connection(connection, &it, None).await?,
            Change::PutProject(it) => put_project(connection, &it, None).await?,
            Change::PutMember(it) => put_member(connection, &it, None).await?,
            Change::PutPipeline(it) => put_run(connection, &it, None).await?,
            Change::DropProject(organization, host, id) => {
                job::drop_project(connection, &organization, &host, id).await?;
            }
            Change::PutCheckIn(it) => job::put_check_in(connection, &it, None).await?,
            Change::PutScan(it) => scan::put_scan(connection, &it, None).await?,
            Change::PutToken(it) => access::put_token(connection, &it).await?,
            Change::EndAccess(member, at) => access::end_access(connection, &member, at).await?,
            Change::PutHold(it) => roster::put_hold(connection, &it).await?,
            Change::DropHold(organization) => roster::drop_hold(connection, &organization).await?,
            Change::PutCredential(it) => credential::put(connection, &it).await?,
            Change::DropCredential(owner, kind) => credential::erase(connection, &owner, kind).await?,
            Change::Wish(it) => task::wish(connection, &it).await?,
            Change::Audit(entry) => lines.push(entry),
        }
    }
    // Everybody takes the chains in the same order.
    lines.sort_by(|one, other| one.organization.cmp(&other.organization));
    for line in lines {
        trail::put(connection, line).await?;
    }
    Ok(())
}

pub(super) fn json<T: Serialize>(record: &T) -> Result<String, StoreError> {
    serde_json::to_string(record)
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written as JSON: {error}")))
}

/// A record's version as it was elsewhere; `None`: the next one.
pub(super) type Version = Option<u64>;

pub(super) fn number(version: Version) -> Option<i64> {
    version.map(u64::cast_signed)
}

pub(super) async fn put_organization(
    connection: &mut PgConnection,
    it: &Organization,
    version: Version,
) -> Result<(), StoreError> {
    let sql = "insert into organization as t (slug, version, record) values ($1, coalesce($3, 1), $2::json)
        on conflict (slug) do update set version = coalesce($3, t.version + 1), record = excluded.record";
    let query = sqlx::query(sql).bind(it.slug.as_str()).bind(json(it)?).bind(number(version));
    query.execute(connection).await?;
    Ok(())
}

pub(super) async fn put_source(
    connection: &mut PgConnection,
    it: &Source,
    version: Version,
) -> Result<(), StoreError> {
    let sql = "insert into source as t (key, version, record) values ($1, coalesce($3, 1), $2::json)
        on conflict (key) do update set version = coalesce($3, t.version + 1), record = excluded.record";
    let query = sqlx::query(sql).bind(it.key.as_str()).bind(json(it)?).bind(number(version));
    query.execute(connection).await?;
    Ok(())
}

pub(super) async fn put_connection(
    connection: &mut PgConnection,
    it: &Connection,
    version: Version,
) -> Result<(), StoreError> {
    let sql = "insert into connection as t
            (key, organization, source, host, installation, account, version, record, login, holds, rejected)
        values ($1, $2, $3, $4, $5, $6, coalesce($8, 1), $7::json, $9, $10, $11)
        on conflict (key) do update set organization = excluded.organization, source = excluded.source,
            host = excluded.host, installation = excluded.installation, account = excluded.account,
            login = excluded.login, holds = excluded.holds, rejected = excluded.rejected,
            version = coalesce($8, t.version + 1), record = excluded.record";
    sqlx::query(sql)
        .bind(it.key.as_str())
        .bind(it.organization.as_str())
        .bind(it.source.as_str())
        .bind(text(it.host.as_str()))
        .bind(it.installation.map(u64::cast_signed))
        .bind(it.account.external_id.map(u64::cast_signed))
        .bind(json(it)?)
        .bind(number(version))
        .bind(text(&job::login_of(&it.account.login)))
        .bind(it.holds())
        .bind(it.rejected_at.is_some())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn put_project(
    connection: &mut PgConnection,
    project: &Project,
    version: Version,
) -> Result<(), StoreError> {
    let sql = "insert into project as t
            (organization, host, external_id, id, connection, path, state, version, record, namespace, counts)
        values ($1, $2, $3, $4, $5, $6, $7, coalesce($9, 1), $8::json, $10, $11)
        on conflict (organization, host, external_id) do update set connection = excluded.connection,
            path = excluded.path, state = excluded.state, version = coalesce($9, t.version + 1),
            namespace = excluded.namespace, counts = excluded.counts,
            record = excluded.record";
    sqlx::query(sql)
        .bind(project.organization.as_str())
        .bind(text(project.host.as_str()))
        .bind(project.external_id.cast_signed())
        .bind(project.id())
        .bind(project.connection.as_str())
        .bind(text(&project.full_path.to_lowercase()))
        .bind(project_state(project.state()))
        .bind(json(project)?)
        .bind(number(version))
        .bind(project.namespace.map(u64::cast_signed))
        .bind(project.number().is_some() && !project.removed && !project.moved_away)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn put_member(
    connection: &mut PgConnection,
    member: &Member,
    version: Version,
) -> Result<(), StoreError> {
    let sql = "insert into member as t
            (organization, host, external_id, login, connection, state, version, record, id)
        values ($1, $2, $3, $4, $5, $6, coalesce($8, 1), $7::json, $9)
        on conflict (organization, host, external_id) do update set login = excluded.login,
            connection = excluded.connection, state = excluded.state,
            version = coalesce($8, t.version + 1), record = excluded.record";
    sqlx::query(sql)
        .bind(member.organization.as_str())
        .bind(text(member.host.as_str()))
        .bind(member.external_id.cast_signed())
        .bind(text(&member.login.to_lowercase()))
        .bind(member.source.as_str())
        .bind(member_state(member.state))
        .bind(json(member)?)
        .bind(number(version))
        .bind(member.id())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn put_run(
    connection: &mut PgConnection,
    run: &Pipeline,
    version: Version,
) -> Result<(), StoreError> {
    let sql = "insert into pipeline as t (organization, host, project, external_id, kind, version, record)
        values ($1, $2, $3, $4, $5, coalesce($7, 1), $6::json)
        on conflict (organization, host, project, external_id, kind) do update
            set version = coalesce($7, t.version + 1), record = excluded.record";
    sqlx::query(sql)
        .bind(run.organization.as_str())
        .bind(text(run.host.as_str()))
        .bind(run.project.cast_signed())
        .bind(run.external_id.cast_signed())
        .bind(kind_letter(run.kind))
        .bind(json(run)?)
        .bind(number(version))
        .execute(connection)
        .await?;
    Ok(())
}

/// One letter per kind of run, sorting as they do in a list; never changes.
pub(super) fn kind_letter(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Pipeline => "p",
        RunKind::Job => "j",
        RunKind::Suite => "s",
    }
}

fn kind_word(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Pipeline => "pipeline",
        RunKind::Job => "job",
        RunKind::Suite => "suite",
    }
}

/// The word for a project's state in its column; never changes.
pub(super) fn project_state(state: ProjectState) -> &'static str {
    match state {
        ProjectState::NotSetUp => "not_set_up",
        ProjectState::Waiting => "waiting",
        ProjectState::Active => "active",
        ProjectState::Paused => "paused",
        ProjectState::Archived => "archived",
        ProjectState::Removed => "removed",
        ProjectState::MovedAway => "moved_away",
    }
}

/// The word for a member's state in its column; never changes.
pub(super) fn member_state(state: MemberState) -> &'static str {
    match state {
        MemberState::Pending => "pending",
        MemberState::Active => "active",
        MemberState::Removed => "removed",
    }
}
