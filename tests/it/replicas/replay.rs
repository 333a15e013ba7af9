//! A replay of many that one daemon begins and another ends, because the first is killed in the middle of a piece.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use scm_connect::domain::DeliveryId;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use url::Url;
use uuid::Uuid;

use super::book::Book;
use super::{LEASE, MINUTE, nothing_wrong};
use crate::harness::bench::Bench;
use crate::harness::client::Client;
use crate::harness::cluster::Cluster;
use crate::harness::command::run;
use crate::harness::daemon::Daemon;
use crate::harness::ledger::Ledger;

/// Five pieces, the last of which is not full.
const COUNT: usize = 45;
/// Newest first, ten at a time: with this one the third piece is half done.
const IN_THE_THIRD: usize = 25;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An admin of `acme`, who asks whichever daemon there is.
struct Admin {
    http: reqwest::Client,
    token: String,
}

impl Admin {
    async fn of_acme(bench: &Bench) -> Self {
        let made = run(bench, "", &["token", "create", "--organization", "acme", "--kind", "admin"]).await;
        made.expect(0, &["scmc_ad_"]);
        // Each question on a connection of its own, which no daemon has to keep.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { http, token: made.said.lines().next().unwrap().to_owned() }
    }

    async fn asks(&self, daemon: &Daemon, request: reqwest::RequestBuilder) -> Value {
        let answer = request.bearer_auth(&self.token).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{error:?}\n{}", daemon.output()));
        assert!(answer.status().is_success(), "{answer:?}");
        answer.json().await.unwrap()
    }

    async fn gets(&self, daemon: &Daemon, path: &str) -> Value {
        self.asks(daemon, self.http.get(format!("http://{}/api/v1/{path}", daemon.public))).await
    }

    async fn wishes(&self, daemon: &Daemon, filter: &Value) -> Value {
        let url = format!("http://{}/api/v1/deliveries/replay", daemon.public);
        self.asks(daemon, self.http.post(url).json(filter)).await
    }

    /// The task, once it is so; says how long that took.
    async fn comes_to(
        &self,
        daemon: &Daemon,
        path: &str,
        within: Duration,
        is: impl Fn(&Value) -> bool,
    ) -> (Value, Duration) {
        let began = Instant::now();
        loop {
            let task = self.gets(daemon, path).await;
            if is(&task) {
                return (task, began.elapsed());
            }
            assert!(began.elapsed() < within, "after {within:?}: {task}\n{}", daemon.output());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the audit log says of replays.
    async fn lines(&self, daemon: &Daemon) -> Vec<Value> {
        let listed = self.gets(daemon, "audit?action=deliveries.replayed").await;
        listed["items"].as_array().unwrap().clone()
    }
}

/// A delivery's row, held: whoever is about to queue it again waits there.
struct Gate {
    holder: PgConnection,
    watcher: PgConnection,
    pid: i32,
}

impl Gate {
    async fn before(url: &Url, id: DeliveryId) -> Self {
        let mut holder = PgConnection::connect(url.as_str()).await.unwrap();
        let watcher = PgConnection::connect(url.as_str()).await.unwrap();
        holder.execute("begin").await.unwrap();
        let sql = "select pg_backend_pid() from delivery where id = $1 for update";
        let id = Uuid::from_bytes(*id.as_bytes());
        let pid = sqlx::query_scalar(sql).bind(id).fetch_one(&mut holder).await.unwrap();
        Self { holder, watcher, pid }
    }

    /// Who waits there, by the name under which a daemon is known to the database.
    async fn waits(&mut self) -> Option<String> {
        let sql = "select application_name from pg_stat_activity where $1 = any(pg_blocking_pids(pid))";
        sqlx::query_scalar(sql).bind(self.pid).fetch_optional(&mut self.watcher).await.unwrap()
    }

    async fn comes(&mut self, within: Duration) -> String {
        let began = Instant::now();
        loop {
            if let Some(name) = self.waits().await {
                return name;
            }
            assert!(began.elapsed() < within, "nobody came within {within:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn opens(self) {
        self.holder.close().await.unwrap();
        self.watcher.close().await.unwrap();
    }
}

/// Two daemons, each known to the database by its name.
async fn two(bench: &mut Bench, url: &Url) -> BTreeMap<String, Daemon> {
    let mut daemons = BTreeMap::new();
    for name in ["one", "two"] {
        let mut named = url.clone();
        named.query_pairs_mut().append_pair("application_name", name);
        bench.reach_by(&named);
        daemons.insert(name.to_owned(), bench.daemon().await);
    }
    daemons
}

#[tokio::test(flavor = "multi_thread")]
async fn r44_a_replay_of_many_is_ended_by_another_daemon_when_one_is_killed_within_a_piece() {
    let url = Cluster::shared().database("").await;
    let mut bench = Bench::on_database(&url);
    let mut daemons = two(&mut bench, &url).await;
    let ledger = Ledger::new(44_500);
    Client::new(&daemons["one"].public, &ledger).send_all(COUNT, 400).await;
    let book = Book::open(&url, &bench.key()).await;
    book.await_end(MINUTE).await;
    let admin = Admin::of_acme(&bench).await;
    let mut gate = Gate::before(&url, book.deliveries().await[IN_THE_THIRD].id).await;
    let wished = admin.wishes(&daemons["one"], &json!({ "source": "our-app" })).await;
    let id = wished["id"].as_str().unwrap();
    let task = format!("tasks/{id}");
    let killed = gate.comes(MINUTE).await;
    daemons.remove(&killed).unwrap().kill().await;
    assert_eq!(gate.waits().await.as_ref(), Some(&killed), "it died in the middle of a piece");
    gate.opens().await;

    let (name, other) = daemons.first_key_value().unwrap();
    let half = admin.gets(other, &task).await;
    let progress = json!({ "matched": COUNT, "queued": 20, "skipped": 0 });
    assert_eq!((&half["state"], &half["progress"]), (&"working".into(), &progress), "{half}");
    run(&bench, "", &["tasks", "show", id]).await.expect(0, &["20 of 45 deliveries are queued again"]);
    assert!(admin.lines(other).await.is_empty(), "it has not ended");
    let goes_on = |task: &Value| task["progress"]["queued"].as_u64() > Some(20);
    let (_, took) = admin.comes_to(other, &task, LEASE + Duration::from_secs(15), goes_on).await;
    println!("r44: {name} goes on with the replay {took:?} after {killed} was killed in a piece of it");
    let is_over = |task: &Value| task["state"] != "working";
    let (ended, _) = admin.comes_to(other, &task, MINUTE, is_over).await;
    assert_eq!((&ended["state"], &ended["runs"]), (&"done".into(), &1.into()), "{ended}");
    assert_eq!(ended["note"], "45 of 45 deliveries are queued again", "{ended}");
    book.await_end(LEASE + MINUTE).await;
    nothing_wrong(&book.wrong_after(&ledger, 2).await, &ledger, &[other]);
    let lines = admin.lines(other).await;
    let said = lines.iter().map(|line| line["detail"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(said.len() == 1 && said[0].contains("45 of 45"), "one line: {lines:?}");
    assert_eq!(lines[0]["actor"], wished["wished_by"]);
    book.close().await;
    daemons.pop_first().unwrap().1.stop().await;
}
