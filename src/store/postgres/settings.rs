//! What the database must be like for an acknowledgement to mean what it says (reliability R16). Looked at once, at the
//! start; nothing is changed by looking.

use sqlx::{PgConnection, Row};
use url::Url;

use super::connect;
use super::error::opening;
use crate::store::OpenError;

/// The oldest server whose SQL we use.
const VERSION_MIN: i32 = 140_000;

const SETTINGS: &str = "
    select current_setting('server_version_num')::int4 as version, current_setting('server_version') as words,
        current_setting('server_encoding') as encoding, current_setting('synchronous_commit') as synchronous_commit,
        current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
        coalesce(current_setting('data_sync_retry', true), 'off') as data_sync_retry,
        pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as read_only,
        coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted
";

/// The settings that matter.
#[derive(Debug, Clone)]
struct Settings {
    version: i32,
    words: String,
    encoding: String,
    synchronous_commit: String,
    fsync: String,
    full_page_writes: String,
    data_sync_retry: String,
    read_only: bool,
    encrypted: bool,
}

async fn read(connection: &mut PgConnection) -> Result<Settings, sqlx::Error> {
    let row = sqlx::query(SETTINGS).fetch_one(connection).await?;
    Ok(Settings {
        version: row.try_get("version")?,
        words: row.try_get("words")?,
        encoding: row.try_get("encoding")?,
        synchronous_commit: row.try_get("synchronous_commit")?,
        fsync: row.try_get("fsync")?,
        full_page_writes: row.try_get("full_page_writes")?,
        data_sync_retry: row.try_get("data_sync_retry")?,
        read_only: row.try_get("read_only")?,
        encrypted: row.try_get("encrypted")?,
    })
}

impl Settings {
    /// Why this database cannot keep a promise; each says what would be lost and how to mend it.
    fn refusal(&self) -> Option<String> {
        let words = &self.words;
        if self.version < VERSION_MIN {
            Some(format!("PostgreSQL {words} is too old: use version 14 or later"))
        } else if self.encoding != "UTF8" {
            Some(format!(
                "its encoding is {}, which cannot hold every name a forge sends: make it with `createdb --encoding UTF8 --template template0`",
                self.encoding
            ))
        } else if self.read_only {
            Some("it takes no writes: it is a standby, or default_transaction_read_only is on".into())
        } else if self.fsync == "off" {
            Some("fsync is off: a power cut would lose acknowledged deliveries, or the whole database; set fsync = on".into())
        } else if self.synchronous_commit == "off" {
            Some("synchronous_commit is off: a crash would lose what was acknowledged in the last second; set synchronous_commit = on for this database and user".into())
        } else if self.data_sync_retry == "on" {
            Some("data_sync_retry is on: after a failed sync the server would go on and lose what it could not write; set data_sync_retry = off".into())
        } else {
            None
        }
    }

    /// What works, and yet should be looked at.
    fn warnings(&self, remote: bool, believes_any: bool) -> Vec<String> {
        let mut found = Vec::new();
        if self.full_page_writes == "off" {
            found.push(
                "full_page_writes is off: on a file system that can tear a page, a power cut damages the database; set full_page_writes = on".into(),
            );
        }
        if remote && !self.encrypted {
            found.push("the connection is not encrypted: whoever is in between can read and change it; add ?sslmode=verify-full to store.url".into());
        } else if remote && believes_any {
            found.push("the connection is encrypted, but the server's certificate is not checked; add ?sslmode=verify-full to store.url".into());
        }
        found
    }
}

/// Looks at everything. Gives back the warnings.
pub(super) async fn check(url: &Url, connection: &mut PgConnection) -> Result<Vec<String>, OpenError> {
    let (which, options) = (connect::name(url), connect::options(url)?);
    let settings = read(connection).await.map_err(|error| opening(&which, &error))?;
    match settings.refusal() {
        Some(why) => Err(OpenError::Io(format!("{which}: {why}"))),
        None => {
            let warnings =
                settings.warnings(connect::is_remote(&options), connect::believes_any_server(&options));
            Ok(warnings.into_iter().map(|why| format!("{which}: {why}")).collect())
        }
    }
}
