//! A database that is not fit is refused with one sentence, and left as it was.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use url::Url;

use super::cluster::Cluster;
use super::{NOON, database};
use crate::store::OpenError;
use crate::store::postgres::{examine, open};

/// Why it is not opened; `check` must say the same.
async fn refusal(url: &Url, key: &Path) -> OpenError {
    let looked = examine(url, key).await.expect_err("it is fine");
    let opened = open(url, key, NOON).await.expect_err("it was opened");
    assert_eq!(looked.to_string(), opened.to_string());
    opened
}

async fn assert_refused(url: &Url, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let sentence = refusal(url, &dir.path().join("master.key")).await.to_string();
    for word in words {
        assert!(sentence.contains(word), "\"{sentence}\" does not say \"{word}\"");
    }
    assert!(!sentence.contains('\n') && !sentence.contains("hunter2"), "{sentence}");
    assert!(!dir.path().join("master.key").exists(), "a key was made for a store that was refused");
}

async fn set(url: &Url, setting: &str) {
    let name = url.path().trim_start_matches('/');
    let sql = format!("alter database {name} set {setting}");
    Cluster::shared().admin().await.execute(AssertSqlSafe(sql)).await.unwrap();
}

#[tokio::test]
async fn r16_commits_that_are_not_waited_for_are_refused() {
    let url = database().await;
    set(&url, "synchronous_commit = off").await;
    assert_refused(&url, &["synchronous_commit is off", "last second"]).await;
}

#[tokio::test]
async fn r16_another_encoding_is_refused() {
    let of = "encoding 'SQL_ASCII' locale 'C' template template0";
    assert_refused(&Cluster::shared().database(of).await, &["SQL_ASCII", "--encoding UTF8"]).await;
}

#[tokio::test]
async fn r16_a_database_that_takes_no_writes_is_refused() {
    let url = database().await;
    set(&url, "default_transaction_read_only = on").await;
    assert_refused(&url, &["takes no writes"]).await;
}

#[tokio::test]
async fn r16_a_server_that_does_not_sync_is_refused_and_torn_pages_are_warned_of() {
    for (name, setting, words) in [
        ("r16-fsync", "fsync=off", "fsync is off: a power cut"),
        ("r16-retry", "data_sync_retry=on", "data_sync_retry is on"),
    ] {
        let cluster = Cluster::own(name, &[setting]);
        assert_refused(&cluster.url("postgres"), &[words]).await;
        cluster.end();
    }
    let cluster = Cluster::own("r16-pages", &["full_page_writes=off"]);
    let dir = tempfile::tempdir().unwrap();
    let seen = examine(&cluster.url("postgres"), &dir.path().join("master.key")).await.unwrap();
    cluster.end();
    assert_eq!(seen.warnings.len(), 1);
    assert!(seen.warnings[0].contains("full_page_writes is off"), "{:?}", seen.warnings);
}

#[tokio::test]
async fn r16_encryption_that_the_server_does_not_have_is_refused() {
    let mut url = database().await;
    url.set_query(Some("sslmode=verify-full"));
    assert_refused(&url, &["sslmode"]).await;
    url.set_query(Some("sslmod=verify-full"));
    assert_refused(&url, &["unknown parameter \"sslmod\""]).await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_its_password() {
    let nobody = Url::parse("postgres://scm:hunter2@127.0.0.1:1/scm").unwrap();
    assert_refused(&nobody, &["the database \"scm\" at 127.0.0.1", "cannot be reached"]).await;
    let mut url = Cluster::shared().url("nowhere");
    url.set_password(Some("hunter2")).unwrap();
    assert_refused(&url, &["no such database", "createdb"]).await;
}

#[tokio::test]
async fn a_user_without_rights_is_told_how_to_get_them() {
    let role = "create role scm_weak login; exception when duplicate_object or unique_violation then null";
    let sql = format!("do $$ begin {role}; end $$");
    Cluster::shared().admin().await.execute(AssertSqlSafe(sql)).await.unwrap();
    // One database holds nothing yet, the other a store of somebody else's.
    for url in [Cluster::shared().database("").await, database().await] {
        let mut weak = url.clone();
        weak.set_username("scm_weak").unwrap();
        assert_refused(&weak, &["right", "OWNER TO"]).await;
    }
}

#[tokio::test]
async fn r15_a_newer_schema_is_refused_untouched() {
    let url = database().await;
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    let sql = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (9999, 'later', true, '\\x00', 0)";
    connection.execute(sql).await.unwrap();
    let seen = "select string_agg(relname || relfilenode::text, ' ' order by oid) from pg_class";
    let before: String = sqlx::query_scalar(seen).fetch_one(&mut connection).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let refused = refusal(&url, &dir.path().join("master.key")).await;
    assert!(matches!(refused, OpenError::Newer(_)), "{refused:?}");
    assert!(refused.to_string().contains("schema 9999"), "{refused}");
    let after: String = sqlx::query_scalar(seen).fetch_one(&mut connection).await.unwrap();
    let keyrings: i64 =
        sqlx::query_scalar("select count(*) from keyring").fetch_one(&mut connection).await.unwrap();
    assert_eq!((before, keyrings), (after, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn s47_the_wrong_or_missing_master_key_opens_nothing_and_changes_nothing() {
    use crate::store::Health as _;
    let url = database().await;
    let dir = tempfile::tempdir().unwrap();
    let (right, wrong, none) =
        (dir.path().join("right.key"), dir.path().join("wrong.key"), dir.path().join("none.key"));
    open(&url, &right, NOON).await.unwrap().close().await.unwrap();
    open(&database().await, &wrong, NOON).await.unwrap().close().await.unwrap();
    let missing = refusal(&url, &none).await.to_string();
    assert!(missing.contains("none.key is missing") && missing.contains("put the key back"), "{missing}");
    assert!(!none.exists());
    let misfit = refusal(&url, &wrong).await.to_string();
    assert!(misfit.contains("does not fit"), "{misfit}");
    open(&url, &right, NOON).await.unwrap().close().await.unwrap();
}
