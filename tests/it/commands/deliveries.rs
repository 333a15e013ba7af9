//! `deliveries replay` of many, and `tasks`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Desk;
use crate::harness::bench::GITHUB_SECRET;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Two minutes: a lease of half a minute may have to end in between.
const LOOKS_MAX: u32 = 2_400;

impl Desk {
    /// Sends so many deliveries and waits until all are handled.
    async fn sent(&self, count: usize) {
        let to = format!("http://{}/hooks/our-app", self.daemon.public);
        let line = format!("send push --repeat {count} --to {to} --secret {GITHUB_SECRET}");
        self.types(&line).await.ends(0, &[]);
        self.handled(count).await;
    }

    /// How often each delivery was handled to its end, once none waits for it.
    async fn handled(&self, count: usize) -> BTreeMap<String, usize> {
        let is_busy = |one: &Value| matches!(one["state"].as_str(), Some("queued" | "working" | "waiting"));
        for _ in 0..LOOKS_MAX {
            let listed = self.types("deliveries list --all --json").await.ends(0, &[]).json();
            let all = listed["items"].as_array().unwrap();
            if all.len() == count && !all.iter().any(is_busy) {
                return self.ends_of(all).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("they are not handled: {}", self.types("deliveries list --all").await.out);
    }

    async fn ends_of(&self, all: &[Value]) -> BTreeMap<String, usize> {
        let mut ends = BTreeMap::new();
        for one in all {
            let id = one["id"].as_str().unwrap();
            let shown = self.types(&format!("deliveries show {id} --json")).await.json();
            // An attempt in which the process died has led to nothing, and one that met another's write to a further one.
            let is_end =
                |it: &&Value| matches!(it["led_to"].as_str(), Some("done" | "ignored" | "superseded"));
            ends.insert(id.to_owned(), shown["history"].as_array().unwrap().iter().filter(is_end).count());
        }
        ends
    }

    /// The task, once so many were queued by it.
    async fn queued(&self, id: &str, count: u64) -> Value {
        for _ in 0..LOOKS_MAX {
            let task = self.types(&format!("tasks show {id} --json")).await.ends(0, &[]).json();
            if task["progress"]["queued"].as_u64().unwrap() >= count {
                return task;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{count} are not queued: {}", self.types(&format!("tasks show {id}")).await.out);
    }

    /// What the audit log says of replays.
    async fn lines(&self) -> Vec<Value> {
        let listed = self.types("audit list --action deliveries.replayed --json").await.ends(0, &[]).json();
        listed["items"].as_array().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_many_survives_a_kill_and_has_each_handled_once_more() {
    const COUNT: usize = 45;
    let mut desk = Desk::open().await;
    desk.sent(COUNT).await;
    let counted = desk.types("deliveries replay --source our-app --dry-run").await.ends(0, &[]);
    assert_eq!(counted.out, "45 deliveries would be queued again\n");
    let asked = desk.types("deliveries replay --source our-app --no-wait").await;
    let asked = asked.ends(0, &["queued again from now on"]);
    let id = asked.out.trim();
    let begun = desk.queued(id, 10).await;
    assert_eq!(
        (&begun["state"], &begun["progress"]["matched"]),
        (&"working".into(), &COUNT.into()),
        "{begun}"
    );
    desk.daemon.kill().await;
    desk.daemon = desk.bench.daemon().await;
    assert!(desk.lines().await.is_empty(), "it has not ended");
    // The same wish is the same task; its end is waited for.
    let ended = desk.types("deliveries replay --source our-app --json").await.ends(0, &[]).json();
    assert_eq!((&ended["id"], &ended["runs"]), (&id.into(), &1.into()), "{ended}");
    assert_eq!(ended["note"], "45 of 45 deliveries are queued again");
    let handled = desk.handled(COUNT).await;
    assert!(handled.values().all(|ends| *ends == 2), "once, and once more: {handled:?}");
    let lines = desk.lines().await;
    assert_eq!((lines.len(), &lines[0]["actor"]), (1, &"cli".into()), "{lines:?}");
    let detail = lines[0]["detail"].as_str().unwrap();
    assert!(detail.contains("45 of 45") && detail.contains("\"source\":\"our-app\""), "{detail}");
    desk.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_many_is_cancelled_on_its_way_and_can_be_wished_for_anew() {
    const COUNT: usize = 25;
    let desk = Desk::open().await;
    desk.sent(COUNT).await;
    desk.types("deliveries replay").await.ends(2, &["say which deliveries"]);
    let line = "deliveries replay --organization acme --source our-app";
    let id = desk.types(&format!("{line} --no-wait")).await.ends(0, &[]).out.trim().to_owned();
    desk.queued(&id, 1).await;
    desk.types(&format!("tasks cancel {id}")).await.ends(0, &["cancelled: ", "of 25 deliveries"]);
    desk.types(&format!("tasks cancel {id}")).await.ends(1, &["has ended already"]);
    let shown = desk.types(&format!("tasks show {id} --json")).await.json();
    assert_eq!(shown["state"], "cancelled");
    assert!(shown["progress"]["queued"].as_u64().unwrap() < 25, "{shown}");
    let listed = desk.types("tasks list --kind replay_deliveries --state cancelled").await.ends(0, &[]);
    assert_eq!(listed.cells()[1][..2], [id.as_str(), "replay_deliveries"], "{listed:?}");
    let lines = desk.lines().await;
    assert_eq!((lines.len(), &lines[0]["why"]), (1, &"cancelled by cli".into()), "{lines:?}");
    assert_eq!(lines[0]["organization"], "acme");
    let again = desk.types(line).await.ends(0, &[]);
    assert_eq!(again.out, "25 of 25 deliveries are queued again\n");
    assert_eq!(desk.lines().await.len(), 2);
    desk.types("tasks cancel 0123456789abcdef01234567").await.ends(4, &["error: "]);
    let check = desk.connects("").await;
    assert!(!check.is_empty());
    let checks = desk.types("tasks list --kind check_connection --json").await.json();
    let check = checks["items"][0]["id"].as_str().unwrap().to_owned();
    desk.types(&format!("tasks cancel {check}")).await.ends(1, &["only a replay"]);
    desk.daemon.stop().await;
}
