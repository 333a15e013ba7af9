//! The schema and its steps forward. Each step is a file that never changes once it was released; a database that has
//! seen a later one is left alone.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr};
use url::Url;

use super::connect;
use super::error::opening;
use crate::store::OpenError;

/// Every step: its number, its name, its text.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "begin", include_str!("migrations/0001_begin.sql")),
    (2, "jobs", include_str!("migrations/0002_jobs.sql")),
    (3, "scans", include_str!("migrations/0003_scans.sql")),
    (4, "tasks", include_str!("migrations/0004_tasks.sql")),
    (5, "members", include_str!("migrations/0005_members.sql")),
    (6, "tickets", include_str!("migrations/0006_tickets.sql")),
    (7, "marks", include_str!("migrations/0007_marks.sql")),
    (8, "keys", include_str!("migrations/0008_keys.sql")),
    (9, "replays", include_str!("migrations/0009_replays.sql")),
];

fn migrator() -> Migrator {
    let steps = STEPS.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}

/// The step that this program ends with.
pub(super) fn newest() -> i64 {
    STEPS.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

/// The last step that the database has seen; `None` when it holds no store.
pub(super) async fn seen(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    let table: Option<String> = sqlx::query_scalar("select to_regclass('_sqlx_migrations')::text")
        .fetch_one(&mut *connection)
        .await?;
    if table.is_none() {
        return Ok(None);
    }
    sqlx::query_scalar("select max(version) from _sqlx_migrations").fetch_one(connection).await
}

/// Tables that the user may not read or write, though they are there.
const FORBIDDEN: &str = "
    select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname = current_schema()
        and c.relname in ('delivery', 'payload', 'queue', 'attempt', 'body_seen', 'tally', 'keyring', 'data_key',
            'organization', 'source', 'connection', 'project', 'member', 'pipeline', 'audit', 'token', 'setup_code', 'probe', 'import_mark', 'reading', 'death', 'check_in',
            'scan_counter', 'scan', 'finding', 'approval', 'task', 'credential', 'ticket')
        and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
            and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))
";

/// Whether the database can be brought up to date, or is so already. Changes nothing. Gives back what it has seen.
pub(super) async fn check(url: &Url, connection: &mut PgConnection) -> Result<Option<i64>, OpenError> {
    let which = connect::name(url);
    let failed = |error: sqlx::Error| opening(&which, &error);
    let seen = seen(connection).await.map_err(failed)?;
    if let Some(seen) = seen.filter(|seen| *seen > newest()) {
        return Err(OpenError::Newer(format!(
            "{which} has schema {seen}, and this program knows schemas up to {}",
            newest()
        )));
    }
    let may_create: Option<bool> =
        sqlx::query_scalar("select has_schema_privilege(current_schema(), 'create')")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
    let forbidden: i64 = sqlx::query_scalar(FORBIDDEN).fetch_one(connection).await.map_err(failed)?;
    if forbidden > 0 || (seen != Some(newest()) && may_create != Some(true)) {
        return Err(OpenError::Io(format!(
            "{which}: the user lacks the right to make or to use its tables; make the user the owner of the database and of what is in it (ALTER DATABASE … OWNER TO …)"
        )));
    }
    Ok(seen)
}

/// Takes the steps that are missing; one process at a time, each step whole or not at all.
pub(super) async fn run(url: &Url) -> Result<(), OpenError> {
    let pool = connect::patient().connect_lazy_with(connect::options(url)?);
    let taken = migrator().run(&pool).await;
    pool.close().await;
    taken.map_err(|error| refused(&connect::name(url), error))
}

fn refused(which: &str, error: MigrateError) -> OpenError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => opening(which, &error),
        MigrateError::VersionMissing(version) => {
            OpenError::Newer(format!("{which} has schema {version}, which this program does not know"))
        }
        _ => OpenError::Damaged(format!("{which}: its schema is not the one that this program made")),
    }
}

/// Names this very set of steps.
#[cfg(test)]
pub(super) fn fingerprint() -> String {
    let all: Vec<&[u8]> = STEPS.iter().map(|(_, _, sql)| sql.as_bytes()).collect();
    hex::encode(crate::store::frame::short_hash(&all))
}
