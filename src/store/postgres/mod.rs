//! The store on PostgreSQL, for several processes at once.
//!
//! ```text
//! accept ─▶ intake: two connections, one transaction for all that waits ─▶ COMMIT ─▶ answer
//! acts   ─▶ one transaction each, in a task that no caller can cancel
//! claims ─▶ FOR UPDATE SKIP LOCKED, a fence that every settle must name
//! wake   ─▶ NOTIFY, and a look of its own every second
//! ```
//!
//! Nothing outside of this folder names SQL. Every statement is a constant; what varies is bound to it. Transactions run
//! at READ COMMITTED: what must not change between two statements is locked, in one order (`act::lock`, then a
//! delivery's row, then the queue's).

mod access;
mod act;
mod claim;
mod connect;
mod credential;
mod delivery;
mod error;
mod find;
mod health;
mod inbox;
mod index;
mod intake;
mod job;
mod keep;
mod keys;
mod list;
mod mark;
mod migrate;
mod out;
mod page;
mod purge;
mod queue;
mod reading;
mod record;
mod records;
mod replay;
mod roster;
mod rotate;
mod scan;
mod settings;
mod settle;
mod task;
#[cfg(test)]
pub(in crate::store) mod tests;
mod ticket;
mod trail;
mod verify;
mod version;
mod wake;

use std::path::Path;

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use super::ids::Ids;
use crate::domain::Timestamp;
use crate::seal::Keyring;
use crate::store::OpenError;
use crate::telemetry::{Fault, report};

/// An open store.
#[derive(Debug)]
pub struct PostgresStore {
    options: PgConnectOptions,
    pool: PgPool,
    keyring: Keyring,
    intake: intake::Intake,
    wake: wake::Wake,
    ids: Ids,
    /// Tells this process from the others.
    me: Uuid,
    out: out::Out,
    /// How far the scrub has come.
    pass: Mutex<verify::Pass>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Ends the tasks of a store that was dropped without being closed.
    _ends: DropGuard,
}

/// Opens the database that `url` names, brings its schema up to date, and makes the store in it when it holds none.
///
/// # Errors
/// When it cannot be reached, is not fit to keep a promise, is from a newer version, or the master key does not fit;
/// one sentence each, and nothing is changed then.
pub async fn open(url: &Url, key_file: &Path, now: Timestamp) -> Result<PostgresStore, OpenError> {
    let mut first = connect::first(url).await?;
    for warning in settings::check(url, &mut first).await? {
        report!(Fault::DatabaseSetting, "{warning}");
    }
    if let Some(seen) = migrate::check(url, &mut first).await? {
        keys::verify(url, &mut first, key_file).await?;
        tracing::debug!(seen, "the database holds a store");
    }
    migrate::run(url).await?;
    let keyring = keys::open(url, &mut first, key_file, now).await?;
    let _ = first.close().await;
    let options = connect::options(url)?;
    let pool = connect::pool(options.clone());
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let ids = Ids::new();
    let me = delivery::uuid(ids.next(now));
    Ok(PostgresStore {
        intake: intake::Intake::start(&options, &tasks, &stop),
        wake: wake::Wake::start(pool.clone(), &options, me, &tasks, &stop),
        options,
        pool,
        keyring,
        ids,
        me,
        out: out::Out::default(),
        pass: Mutex::default(),
        tasks,
        _ends: stop.clone().drop_guard(),
        stop,
    })
}

/// Looks whether [`open`] would work, and changes nothing. Gives back what is worth knowing.
///
/// # Errors
/// As [`open`].
pub async fn examine(url: &Url, key_file: &Path) -> Result<Examined, OpenError> {
    let mut first = connect::first(url).await?;
    let warnings = settings::check(url, &mut first).await?;
    let schema = migrate::check(url, &mut first).await?;
    if schema.is_some() {
        keys::verify(url, &mut first, key_file).await?;
    }
    let _ = first.close().await;
    Ok(Examined { name: connect::name(url), schema, newest: migrate::newest(), warnings })
}

/// What [`examine`] saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The database, without its password.
    pub name: String,
    /// The schema it has; `None`: it holds no store.
    pub schema: Option<i64>,
    /// The schema this program makes.
    pub newest: i64,
    /// What works, and yet should be looked at.
    pub warnings: Vec<String>,
}
