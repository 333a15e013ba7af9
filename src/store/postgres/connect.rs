//! The way to the database: what `store.url` may say, and the bounded pool of connections.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use url::Url;

use super::error::opening;
use crate::store::OpenError;

/// Connections for everything but the front door and the wake-up, which have their own.
const CONNECTIONS_MAX: u32 = 12;
/// A database that does not let us in within this time is away.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A connection that lay idle so long is tried before it is used.
const TRIED_AFTER: Duration = Duration::from_secs(1);
const GUARD_WITHIN: Duration = Duration::from_secs(5);

/// What the query part of `store.url` may hold. Anything else is refused, since a driver would pass over it and a
/// misspelt `sslmode` must not.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// Every connection: nothing may wait for ever, and plans are made for small answers. What a commit means
/// (`synchronous_commit`) is never touched.
const SESSION: &str = "
    set statement_timeout = '12s';
    set lock_timeout = '8s';
    set idle_in_transaction_session_timeout = '60s';
    set default_transaction_isolation = 'read committed';
    set client_min_messages = 'warning';
    set jit = off
";

/// Ends a transaction that a dropped call may have left open in the connection (sqlx 0.9.0, its issue 4385): the next
/// user would work, and lose its work, inside of it. A bare ROLLBACK would fill the server's log with warnings, as
/// there is nothing to roll back nearly always; BEGIN first makes it silent.
const GUARD: &str = "begin; rollback";

/// How the database is named in sentences: never with a password.
pub(super) fn name(url: &Url) -> String {
    let database = url.path().trim_start_matches('/');
    format!("the database \"{database}\" at {}", url.host_str().unwrap_or("localhost"))
}

/// What `store.url` asks for.
pub(super) fn options(url: &Url) -> Result<PgConnectOptions, OpenError> {
    let refused = |why: String| OpenError::Io(format!("store.url: {why}"));
    if let Some((parameter, _)) = url.query_pairs().find(|(name, _)| !PARAMETERS.contains(&name.as_ref())) {
        return Err(refused(format!(
            "unknown parameter \"{parameter}\"; known are {}",
            PARAMETERS.join(", ")
        )));
    }
    let mut options = PgConnectOptions::from_url(url)
        .map_err(|_| refused("a parameter has a value that is not possible".into()))?;
    if options.get_application_name().is_none() {
        options = options.application_name("scm-connect");
    }
    Ok(options.disable_statement_logging())
}

/// Whether the way leads over a network.
pub(super) fn is_remote(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    options.get_socket().is_none() && !here && !host.starts_with('/')
}

/// Whether the server's certificate is not looked at.
pub(super) fn believes_any_server(options: &PgConnectOptions) -> bool {
    !matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull)
}

/// One connection, of its own.
pub(super) async fn one(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let connected = tokio::time::timeout(CONNECT_WITHIN, PgConnection::connect_with(options)).await;
    let mut connection = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
    connection.execute(SESSION).await?;
    Ok(connection)
}

/// One connection to look at a database with.
pub(super) async fn first(url: &Url) -> Result<PgConnection, OpenError> {
    one(&options(url)?).await.map_err(|error| opening(&name(url), &error))
}

/// The pool. Every connection that comes back is freed of whatever was left open in it.
pub(super) fn pool(options: PgConnectOptions) -> PgPool {
    guarded(unguarded(CONNECTIONS_MAX)).connect_lazy_with(options)
}

/// A pool without the guard; a test shows what happens then.
pub(super) fn unguarded(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_WITHIN)
        .idle_timeout(Duration::from_secs(300))
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for >= TRIED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
}

/// For the steps of the schema: over many rows they take their time, and another process may be at it.
pub(super) fn patient() -> PgPoolOptions {
    PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_WITHIN).after_connect(|connection, _| {
        Box::pin(async move { connection.execute("set client_min_messages = 'warning'").await.map(drop) })
    })
}

/// Adds the guard.
pub(super) fn guarded(pool: PgPoolOptions) -> PgPoolOptions {
    pool.after_release(|connection, _| {
        Box::pin(async move {
            // A connection that does not answer is thrown away.
            let ended = tokio::time::timeout(GUARD_WITHIN, connection.execute(GUARD)).await;
            Ok(matches!(ended, Ok(Ok(_))))
        })
    })
}
