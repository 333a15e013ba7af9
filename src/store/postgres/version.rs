//! Under which versions records lie, by which a change is noticed.

use sqlx::PgConnection;

use super::delivery::text;
use super::job;
use super::record::kind_letter;
use crate::domain::known::RecordKey;
use crate::store::StoreError;

/// Whether all of them lie under their versions; one that is not there has 0. One look for all: each would be a way to
/// the server and back. The `limit` is their number; without it the server would plan the statement anew each time.
const HOLD: &str = "
    select bool_and(coalesce(case e.what
        when 'organization' then (select version from organization where slug = e.name)
        when 'source' then (select version from source where key = e.name)
        when 'connection' then (select version from connection where key = e.name)
        when 'project' then (
            select version from project where organization = e.name and host = e.host and external_id = e.id)
        when 'member' then (
            select version from member where organization = e.name and host = e.host and external_id = e.id)
        when 'pipeline' then (
            select version from pipeline where organization = e.name and host = e.host and project = e.project
                and external_id = e.id and kind = e.kind)
        when 'check_in' then (select version from check_in where id = e.name)
        when 'scan' then (select version from scan where unique_id = e.name)
        when 'hold' then (select version from member_hold where organization = e.name)
        when 'task' then (select fence from task where id = e.name)
    end, 0) = e.version)
    from (
        select * from unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::text[], $7::int8[])
            as u(what, name, host, project, id, kind, version) limit $8
    ) e
";

/// What names a record, as the columns of [`HOLD`].
#[derive(Default)]
struct Named<'a> {
    what: &'static str,
    name: &'a str,
    host: &'a str,
    project: u64,
    id: u64,
    kind: &'static str,
}

/// `None`: its version is none of a row.
fn named(key: &RecordKey) -> Option<Named<'_>> {
    let by_name = |what, name| Named { what, name, ..Named::default() };
    Some(match key {
        RecordKey::Organization(slug) => by_name("organization", slug.as_str()),
        RecordKey::Source(key) => by_name("source", key.as_str()),
        RecordKey::Connection(key) => by_name("connection", key.as_str()),
        RecordKey::Project(slug, host, id) => {
            Named { host: host.as_str(), id: *id, ..by_name("project", slug.as_str()) }
        }
        RecordKey::Member(slug, host, id) => {
            Named { host: host.as_str(), id: *id, ..by_name("member", slug.as_str()) }
        }
        RecordKey::Pipeline(slug, host, project, kind, id) => Named {
            host: host.as_str(),
            project: *project,
            id: *id,
            kind: kind_letter(*kind),
            ..by_name("pipeline", slug.as_str())
        },
        RecordKey::CheckIn(id) => by_name("check_in", id),
        RecordKey::Scan(id) => by_name("scan", id),
        RecordKey::Hold(slug) => by_name("hold", slug.as_str()),
        RecordKey::Task(id) => by_name("task", id),
        RecordKey::Account(..) | RecordKey::Login(..) => return None,
    })
}

/// Whether every record still has the version under which it was read. The caller holds their stripes.
pub(super) async fn hold(
    connection: &mut PgConnection,
    expects: &[(RecordKey, u64)],
) -> Result<bool, StoreError> {
    for (key, expected) in expects {
        let found = match key {
            RecordKey::Account(host, id) => job::account_version(connection, host, *id).await?,
            RecordKey::Login(host, login) => job::login_version(connection, host, login).await?,
            _ => continue,
        };
        if found != *expected {
            return Ok(false);
        }
    }
    let rows: Vec<(Named<'_>, u64)> =
        expects.iter().filter_map(|(key, version)| named(key).map(|named| (named, *version))).collect();
    if rows.is_empty() {
        return Ok(true);
    }
    let texts = |of: fn(&Named<'_>) -> String| rows.iter().map(|(named, _)| of(named)).collect::<Vec<_>>();
    let numbers =
        |of: fn(&(Named<'_>, u64)) -> u64| rows.iter().map(|row| of(row).cast_signed()).collect::<Vec<_>>();
    let held: Option<bool> = sqlx::query_scalar(HOLD)
        .bind(texts(|named| named.what.to_owned()))
        .bind(texts(|named| text(named.name)))
        .bind(texts(|named| text(named.host)))
        .bind(numbers(|(named, _)| named.project))
        .bind(numbers(|(named, _)| named.id))
        .bind(texts(|named| named.kind.to_owned()))
        .bind(numbers(|(_, version)| *version))
        .bind(i64::try_from(rows.len()).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await?;
    Ok(held == Some(true))
}
