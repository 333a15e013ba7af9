//! The data keys, kept wrapped in the database, so that every process on it opens what any other has sealed.

use std::path::Path;

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Connection, PgConnection, Row};
use url::Url;

use super::connect;
use super::error::opening;
use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::delivery::Delivery;
use crate::seal::{Check, Keyring, MasterKey, SealError, Waiting, WrappedKey};
use crate::store::{OpenError, StoreError, credential, frame};

const CHECK: &str = "select instance, check_value from keyring";
const KEYS: &str = "select id, scope, wrapped, created_at from data_key order by id";
/// Whoever comes second changes nothing and reads the first one's.
const BEGIN: &str = "insert into keyring (instance, check_value) values ($1, $2) on conflict do nothing";
/// No key is added while the master key changes, nor the other way round.
const CHECK_ALONE: &str = "select instance, check_value from keyring for update";
const ADD: &str = "
    insert into data_key (scope, wrapped, created_at) values ($1, $2, $3)
    on conflict (scope) where sealing do nothing
";
const OF_SCOPE: &str = "select id, scope, wrapped, created_at from data_key where scope = $1 and sealing";
/// The master key stays as long as somebody writes what was sealed.
const CHECK_SHARED: &str = "select instance, check_value from keyring for share";
/// Whoever seals holds its keys until it has committed, and is waited for.
const ALL_ALONE: &str = "select id from data_key for update";
const PUT_CHECK: &str = "update keyring set check_value = $1";
const PUT_KEY: &str = "update data_key set wrapped = $2, sealing = false where id = $1";
const OLD: &str = "select id from data_key where not sealing order by id";
const FORGET: &str = "delete from data_key where id = any($1) and not sealing";
/// The keys among these that may still seal. They stay as they are until the transaction ends.
const HELD: &str = "select id from data_key where id = any($1) and sealing for key share";

fn key(row: &PgRow) -> Result<WrappedKey, sqlx::Error> {
    let id: i32 = row.try_get("id")?;
    Ok(WrappedKey {
        id: id.unsigned_abs(),
        scope: row.try_get("scope")?,
        wrapped: row.try_get("wrapped")?,
        created_at: row.try_get("created_at")?,
    })
}

fn check_of(row: &PgRow) -> Result<Check, sqlx::Error> {
    Ok(Check { instance: row.try_get("instance")?, value: row.try_get("check_value")? })
}

async fn check(connection: &mut PgConnection) -> Result<Option<Check>, sqlx::Error> {
    sqlx::query(CHECK).fetch_optional(connection).await?.as_ref().map(check_of).transpose()
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
    StoreError::Unavailable(format!("nothing can be sealed now: {error}"))
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
    let mut transaction = connection.begin().await?;
    let check = check_of(&sqlx::query(CHECK_ALONE).fetch_one(&mut *transaction).await?)?;
    ring.follow(&check).map_err(|error| unavailable(&error))?;
    let wrapped = ring.draft(scope).map_err(|error| unavailable(&error))?;
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
    let mut connection = pool.acquire().await?;
    match check(&mut connection).await? {
        Some(check) => take_in(&mut connection, ring, &check).await,
        None => Ok(()),
    }
}

async fn take_in(connection: &mut PgConnection, ring: &Keyring, check: &Check) -> Result<(), StoreError> {
    ring.follow(check).map_err(|error| unavailable(&error))?;
    let keys = all(connection).await?;
    for key in &keys {
        ring.adopt(key).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    }
    ring.only_kept(&keys.iter().map(|key| key.id).collect::<Vec<_>>());
    Ok(())
}

/// Whether all of these keys may still seal; they do until the transaction ends.
pub(super) async fn hold(connection: &mut PgConnection, keys: &[u32]) -> Result<bool, sqlx::Error> {
    let wanted: Vec<i32> = keys.iter().map(|id| id.cast_signed()).collect();
    let held = sqlx::query(HELD).bind(wanted).fetch_all(connection).await?;
    Ok(held.len() == keys.len())
}

/// Puts the newest master key of the file in force, and a new data key for each scope: from the commit on, no older key
/// seals anything, whichever process has it.
pub(super) async fn renew(
    connection: &mut PgConnection,
    ring: &Keyring,
    file: Waiting,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await?;
    let check = check_of(&sqlx::query(CHECK_ALONE).fetch_one(&mut *transaction).await?)?;
    sqlx::query(ALL_ALONE).fetch_all(&mut *transaction).await?;
    let keys = all(&mut transaction).await?;
    let renewal = ring.renewal(file, &check, &keys).map_err(|error| unavailable(&error))?;
    sqlx::query(PUT_CHECK).bind(&renewal.check.value).execute(&mut *transaction).await?;
    for key in &renewal.keys {
        let put = sqlx::query(PUT_KEY).bind(key.id.cast_signed()).bind(&key.wrapped);
        put.execute(&mut *transaction).await?;
    }
    for scope in renewal.scopes() {
        let wrapped = renewal.draft(&scope).map_err(|error| unavailable(&error))?;
        sqlx::query(ADD).bind(scope).bind(wrapped).bind(now.ms()).execute(&mut *transaction).await?;
    }
    let keys = all(&mut transaction).await?;
    transaction.commit().await?;
    ring.put_in_force(renewal, &keys).map_err(|error| unavailable(&error))
}

/// The same changes, with credentials sealed by keys that seal until the transaction ends.
pub(super) async fn sealed_by_the_newest(
    connection: &mut PgConnection,
    ring: &Keyring,
    mut changes: Vec<Change>,
) -> Result<Vec<Change>, StoreError> {
    if !changes.iter().any(|change| matches!(change, Change::PutCredential(_))) {
        return Ok(changes);
    }
    let check = check_of(&sqlx::query(CHECK_SHARED).fetch_one(&mut *connection).await?)?;
    // Looked at every time: another task may be about to take them in this moment.
    take_in(connection, ring, &check).await?;
    for change in &mut changes {
        if let Change::PutCredential(one) = change
            && let Some(anew) = credential::renewed(ring, one)?
        {
            **one = anew;
        }
    }
    Ok(changes)
}

/// The keys that seal nothing more.
pub(super) async fn old(connection: &mut PgConnection) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar(OLD).fetch_all(connection).await
}

/// Forgets keys with which nothing is sealed any more.
pub(super) async fn forget(connection: &mut PgConnection, keys: &[i32]) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET).bind(keys).execute(connection).await.map(drop)
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
