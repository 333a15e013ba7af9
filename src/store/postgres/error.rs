//! What the database says, in our words: "try again", "call somebody", or why it cannot be opened.
//!
//! Its own words are not passed on: they may hold values of rows. The five characters of the SQL state are.

use std::borrow::Cow;

use crate::store::{OpenError, StoreError};

/// What a state means, as far as it helps.
fn meaning(state: &str) -> &'static str {
    match state {
        "53100" => "its disk is full",
        "53300" => "it has too many connections",
        "53200" => "it is out of memory",
        "42501" => "the user lacks a right",
        "25006" => "it takes no writes (a standby?)",
        "40001" | "40P01" => "another transaction was in the way",
        "55P03" => "a lock was not free in time",
        "57014" => "it took too long",
        _ if state.starts_with("57P") => "it is stopping or starting",
        _ if state.starts_with("08") => "the connection broke",
        _ => "it refused",
    }
}

/// The SQL state of an error, when it came from the database.
pub(super) fn state(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        tracing::debug!(error = %error, "the database refused");
        if let Some(state) = state(&error) {
            let why = format!("the database says {state}: {}", meaning(&state));
            let damaged = state.starts_with("XX");
            return if damaged { Self::Corrupt(why) } else { Self::Unavailable(why) };
        }
        match error {
            sqlx::Error::PoolTimedOut => {
                Self::Unavailable("no connection to the database became free".into())
            }
            sqlx::Error::PoolClosed => Self::Unavailable("the store is closing".into()),
            sqlx::Error::Io(error) => Self::Unavailable(format!("the connection to the database: {error}")),
            sqlx::Error::ColumnDecode { index, .. } => {
                Self::Corrupt(format!("a row of the database has an unreadable {index}"))
            }
            sqlx::Error::Decode(_) | sqlx::Error::TypeNotFound { .. } | sqlx::Error::ColumnNotFound(_) => {
                Self::Corrupt("a row of the database cannot be read".into())
            }
            _ => Self::Unavailable("the connection to the database broke".into()),
        }
    }
}

/// Why the database could not be opened. The sentence begins with which one it is; a password is never in it.
pub(super) fn opening(which: &str, error: &sqlx::Error) -> OpenError {
    let why = match state(error).as_deref() {
        Some("28P01" | "28000") => {
            "it does not let this user in; look at user, password and pg_hba.conf".to_owned()
        }
        Some("3D000") => "there is no such database; make it with `createdb`".to_owned(),
        Some("42501") => {
            "the user lacks a right; make the user the owner of the database (ALTER DATABASE … OWNER TO …)"
                .to_owned()
        }
        Some(state) => format!("it says {state}: {}", meaning(state)),
        None => match error {
            sqlx::Error::Io(error) => format!("it cannot be reached ({error}); is it running?"),
            sqlx::Error::Tls(error) => {
                format!("the encrypted connection that sslmode asks for cannot be made ({error})")
            }
            sqlx::Error::PoolTimedOut => {
                "it does not answer; is it running, and does the network let us through?".into()
            }
            sqlx::Error::Configuration(error) => format!("store.url cannot be used ({error})"),
            _ => "the connection broke while it was opened".to_owned(),
        },
    };
    OpenError::Io(format!("{which}: {why}"))
}

/// A record cannot be turned into JSON or back.
pub(super) fn unreadable(what: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("a {what} in the database cannot be read ({error})"))
}
