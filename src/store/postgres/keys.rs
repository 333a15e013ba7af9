//! The data keys, kept wrapped in the database, so that every process on it opens what any other has sealed.

use std::path::Path;

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Connection, PgConnection, Row};
use url::Url;

use super::connect;
use super::error::opening;
use crate::domain::Timestamp;
use crate::domain::delivery::Delivery;
use crate::seal::{Check, Keyring, MasterKey, SealError, WrappedKey};
use crate::store::{OpenError, StoreError, frame};

const CHECK: &str = "select instance, check_value from keyring";
const KEYS: &str = "select id, scope, wrapped, created_at from data_key order by id";
/// Whoever comes second changes nothing and reads the first one's.
const BEGIN: &str = "insert into keyring (instance, check_value) values ($1, $2) on conflict do nothing";
const ADD: &str =
    "insert into data_key (scope, wrapped, created_at) values ($1, $2, $3) on conflict do nothing";
const OF_SCOPE: &str = "select id, scope, wrapped, created_at from data_key where scope = $1";

fn key(row: &PgRow) -> Result<WrappedKey, sqlx::Error> {
    let id: i32 = row.try_get("id")?;
    Ok(WrappedKey {
        id: id.unsigned_abs(),
        scope: row.try_get("scope")?,
        wrapped: row.try_get("wrapped")?,
        created_at: row.try_get("created_at")?,
    })
}

async fn check(connection: &mut PgConnection) -> Result<Option<Check>, sqlx::Error> {
    let found = sqlx::query(CHECK).fetch_optional(connection).await?;
    found
        .map(|row| Ok(Check { instance: row.try_get("instance")?, value: row.try_get("check_value")? }))
        .transpose()
}

async fn all(connection: &mut PgConnection) -> Result<Vec<WrappedKey>, sqlx::Error> {
    sqlx::query(KEYS).fetch_all(connection).await?.iter().map(key).collect()
}

fn missing(url: &Url, key_file: &Path) -> OpenError {
    OpenError::Keys(format!(
        "the master key {} is missing, and {} was sealed with it; nothing was changed: put the key back",
        key_file.display(),
        connect::name(url)
    ))
}

/// Whether the master key fits what the database holds. Changes nothing.
pub(super) async fn verify(
    url: &Url,
    connection: &mut PgConnection,
    key_file: &Path,
) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| opening(&connect::name(url), &error);
    let Some(check) = check(connection).await.map_err(failed)? else { return Ok(()) };
    if !key_file.exists() {
        return Err(missing(url, key_file));
    }
    let keys = all(connection).await.map_err(failed)?;
    Keyring::of_database(&check, &keys, &MasterKey::load(key_file)?)?;
    Ok(())
}

/// Opens the keys; a new master key is made only for a database that holds nothing (security S47).
pub(super) async fn open(
    url: &Url,
    connection: &mut PgConnection,
    key_file: &Path,
    now: Timestamp,
) -> Result<Keyring, OpenError> {
    let failed = |error: sqlx::Error| opening(&connect::name(url), &error);
    let found = check(connection).await.map_err(failed)?;
    let master = match (key_file.exists(), &found) {
        (true, _) => MasterKey::load(key_file)?,
        (false, Some(_)) => return Err(missing(url, key_file)),
        (false, None) => create(key_file)?,
    };
    if found.is_none() {
        let fresh = Check::new(&master, now.ms())?;
        sqlx::query(BEGIN)
            .bind(fresh.instance)
            .bind(fresh.value)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    let check = check(connection).await.map_err(failed)?.ok_or_else(|| missing(url, key_file))?;
    let keys = all(connection).await.map_err(failed)?;
    let ring = Keyring::of_database(&check, &keys, &master)?;
    add(connection, &ring, "instance", now).await.map_err(|error| OpenError::Io(error.to_string()))?;
    Ok(ring)
}

fn create(key_file: &Path) -> Result<MasterKey, OpenError> {
    if let Some(parent) = key_file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)
            .map_err(|error| OpenError::Io(format!("cannot create {}: {error}", parent.display())))?;
    }
    Ok(MasterKey::create(key_file)?)
}

fn unavailable(error: &SealError) -> StoreError {
    StoreError::Unavailable(format!("a delivery cannot be sealed: {error}"))
}

/// Makes a scope's key, unless another process has made it meanwhile, and takes it into use.
async fn add(
    connection: &mut PgConnection,
    ring: &Keyring,
    scope: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if ring.has(scope) {
        return Ok(());
    }
    let wrapped = ring.draft(scope).map_err(|error| unavailable(&error))?;
    let mut transaction = connection.begin().await?;
    sqlx::query(ADD).bind(scope).bind(wrapped).bind(now.ms()).execute(&mut *transaction).await?;
    let row = sqlx::query(OF_SCOPE).bind(scope).fetch_one(&mut *transaction).await?;
    // Nothing is sealed with a key before it is on stable storage.
    transaction.commit().await?;
    ring.adopt(&key(&row)?).map_err(|error| unavailable(&error))
}

/// Makes sure that something can be sealed for a scope.
pub(super) async fn ensure(
    pool: &PgPool,
    ring: &Keyring,
    scope: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if ring.has(scope) {
        return Ok(());
    }
    let (pool, ring, scope) = (pool.clone(), ring.clone(), scope.to_owned());
    let added = tokio::spawn(async move { add(&mut *pool.acquire().await?, &ring, &scope, now).await });
    added.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a key could not be made".into())))
}

/// Takes keys into use that other processes have made.
pub(super) async fn refresh(pool: &PgPool, ring: &Keyring) -> Result<(), StoreError> {
    for key in all(&mut *pool.acquire().await?).await? {
        ring.adopt(&key).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    }
    Ok(())
}

/// Opens sealed bytes away from the request threads; a key that another process has made meanwhile is fetched.
pub(super) async fn unseal(
    pool: &PgPool,
    ring: &Keyring,
    frames: Vec<Vec<u8>>,
) -> Result<Vec<Result<Delivery, StoreError>>, StoreError> {
    if frames.iter().any(|bytes| !frame::knows_key(ring, bytes)) {
        refresh(pool, ring).await?;
    }
    let ring = ring.clone();
    let opened = tokio::task::spawn_blocking(move || {
        frames.iter().map(|bytes| Ok(frame::open(&ring, bytes)?.delivery)).collect()
    });
    opened.await.map_err(|error| StoreError::Corrupt(format!("a read panicked: {error}")))
}
