//! The contract on PostgreSQL, and what is true of it alone.

#[path = "../../../../tests/it/harness/cluster.rs"]
mod cluster;

mod races;
mod refused;

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Executor};
use url::Url;

use self::cluster::Cluster;
use super::migrate;
use crate::domain::Timestamp;
use crate::store::Store;
use crate::store::contract::{Bench, contract};

const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);

/// An empty store's database, copied from one that was made once.
async fn database() -> Url {
    let cluster = Cluster::shared();
    let template = format!("template_{}", migrate::fingerprint());
    let mut admin = cluster.admin().await;
    admin.execute("select pg_advisory_lock(1)").await.unwrap();
    let there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&template)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    if !there {
        admin.execute(AssertSqlSafe(format!("create database making_{template}"))).await.unwrap();
        let url = cluster.url(&format!("making_{template}"));
        migrate::run(&url).await.unwrap();
        let rename = format!("alter database making_{template} rename to {template}");
        admin.execute(AssertSqlSafe(rename)).await.unwrap();
    }
    admin.execute("select pg_advisory_unlock(1)").await.unwrap();
    cluster.database(&format!("template {template}")).await
}

async fn on_postgres() -> Bench {
    on_database(Arc::new(database().await)).await
}

async fn on_database(url: Arc<Url>) -> Bench {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let reopen = move || -> std::pin::Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>> {
        let (url, dir) = (Arc::clone(&url), Arc::clone(&dir));
        Box::pin(async move {
            let store = super::open(&url, &dir.path().join("master.key"), NOON).await.unwrap();
            Arc::new(store) as Arc<dyn Store>
        })
    };
    Bench::new("postgres", Box::new(reopen)).await
}

contract!(on_postgres);

/// What refers to deliveries before these, and their tally last, which each deletion changes.
const WRITTEN: [&str; 15] = [
    "queue",
    "attempt",
    "payload",
    "body_seen",
    "delivery",
    "organization",
    "source",
    "connection",
    "project",
    "member",
    "pipeline",
    "audit",
    "token",
    "setup_code",
    "tally",
];

/// Ends what the last history wrote. Rows are few: deleting them is much faster than new files for all tables.
fn empty() -> String {
    let deletes: String = WRITTEN.iter().map(|table| format!("delete from {table};")).collect();
    format!("set local statement_timeout = 0; {deletes}")
}

#[test]
fn r17_random_histories_give_the_answers_of_the_model() {
    let place = tokio::sync::OnceCell::new();
    crate::store::contract::history::compare("postgres", 1, || async {
        let made = place.get_or_init(|| async { (database().await, tempfile::tempdir().unwrap()) });
        let (url, dir) = made.await;
        // Opened anew, as ids never go back with the clock.
        let store = super::open(url, &dir.path().join("master.key"), NOON).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(empty())).execute(&store.pool).await.unwrap();
        Arc::new(store) as Arc<dyn Store>
    });
}

mod from_sled {
    //! A move from the embedded store to this one.
    use super::on_postgres;
    use crate::store::sled::tests::on_sled;

    crate::store::contract::moves!(on_sled, on_postgres);
}

mod to_sled {
    //! A move from this store to the embedded one.
    use super::on_postgres;
    use crate::store::sled::tests::on_sled;

    crate::store::contract::moves!(on_postgres, on_sled);
}
