//! The real program, killed at each step of a rotation of a hook's secret: the next one comes to the same end, and nothing
//! that the forge sends meanwhile is refused, but what is proven by a secret that has leaked, once that has ended (S49).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::forge::{FakeGitlab, Fault, Planted};
use crate::harness::bench::Bench;
use crate::harness::daemon::Daemon;

const PIPELINE: &str = include_str!("../../fixture/gitlab/gogitlab.pipeline.json");
const LIMITS: &str = "[limits]\nallow_http_forges = true\nallow_private_forges = [\"127.0.0.0/8\"]\n";
const LOOKS_MAX: u32 = 600;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// When the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Both secrets are kept, and the forge has not been told.
    Kept,
    /// The forge has the new one, and its answer never comes.
    Telling,
    /// The forge has been told, and that is written down.
    Told,
    /// The old one has ended.
    Ended,
}

struct House {
    bench: Bench,
    gitlab: Arc<FakeGitlab>,
    group: u64,
    project: u64,
    sent: AtomicU32,
}

impl House {
    /// A group with one project, on a server that proves by a plain token.
    fn new() -> Self {
        let gitlab = FakeGitlab::old_instance();
        let group = gitlab.group("acme");
        let project = gitlab.project(group, "site");
        let bench = Bench::new();
        std::fs::write(bench.config(), bench.text(LIMITS)).unwrap();
        Self { bench, gitlab, group, project, sent: AtomicU32::new(0) }
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let socket = self.bench.store().join("control.sock");
        let client = reqwest::Client::builder().unix_socket(socket).build().unwrap();
        let request = client.request(method, format!("http://daemon/api/v1/{path}")).json(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn shown(&self) -> Value {
        self.ask(Method::GET, "connections/lab", &json!({})).await.1
    }

    /// The rotation, as the API shows it.
    async fn rotation(&self) -> Value {
        self.ask(Method::GET, "tasks?kind=rotate_token", &json!({})).await.1["items"][0].clone()
    }

    /// Connected, and the project's hook is there. The token stays as it is: this is not about it.
    async fn connects(&self) {
        let token = self.gitlab.group_token(self.group, 50, &["api"]);
        self.gitlab.plants(Planted::always("/rotate", Fault::Status(403)));
        let wish = json!({
            "kind": "gitlab_self_managed", "url": self.gitlab.site(), "account": "acme", "key": "lab",
            "access_token": token,
        });
        let (status, made) = self.ask(Method::POST, "connections?organization=acme", &wish).await;
        assert_eq!(status, 201, "{made}");
        self.comes("the hook is made", async || {
            self.ask(Method::POST, "connections/lab/test", &json!({})).await;
            self.shown().await["health"]["hooks"].as_array().is_some_and(|hooks| hooks.len() == 1)
        })
        .await;
    }

    async fn comes(&self, what: &str, is: impl AsyncFn() -> bool) {
        for _ in 0..LOOKS_MAX {
            if is().await {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("not: {what}: {} {}", self.shown().await, self.rotation().await);
    }

    /// Somebody sends something, proven by this secret; gives what the door says.
    async fn says(&self, daemon: &Daemon, secret: &str) -> u16 {
        let id = format!("event-{}", self.sent.fetch_add(1, Ordering::Relaxed));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http
            .post(format!("http://{}/hooks/lab", daemon.public))
            .header("content-type", "application/json")
            .header("x-gitlab-event", "Pipeline Hook")
            .header("x-gitlab-webhook-uuid", "hook-1")
            .header("idempotency-key", &id)
            .header("x-gitlab-token", secret);
        request.body(PIPELINE).send().await.unwrap().status().as_u16()
    }

    /// The forge sends something, proven by this secret.
    async fn sends(&self, daemon: &Daemon, secret: &str) {
        assert_eq!(self.says(daemon, secret).await, 202, "it was refused");
    }

    async fn is_over(&self) -> bool {
        self.rotation().await["runs"].as_u64().is_some_and(|runs| runs > 0)
    }

    /// A rotation is asked for, and when it has come to this step, the process dies. Gives the old secret.
    async fn dies_at(&self, step: Step, how: &Value) -> String {
        let daemon = self.bench.daemon().await;
        self.connects().await;
        let old = self.gitlab.project_hook_token(self.project).unwrap();
        self.sends(&daemon, &old).await;
        if step == Step::Telling {
            let hook = self.gitlab.project_hooks(self.project)[0]["id"].to_string();
            let path: &'static str = Box::leak(format!("/hooks/{hook}").into_boxed_str());
            self.gitlab.plants(Planted::at(path, Fault::Silence));
        }
        self.ask(Method::POST, "connections/lab/rotate", how).await;
        self.reaches(step).await;
        if step != Step::Ended {
            self.sends(&daemon, &old).await;
        }
        daemon.kill().await;
        old
    }

    /// Waits until the rotation has come to this step.
    async fn reaches(&self, step: Step) {
        match step {
            Step::Kept => {
                let is_kept = async || self.rotation().await["last_error"].to_string().contains("is kept");
                self.comes("both are kept", is_kept).await;
            }
            Step::Telling => {
                let told = async || self.gitlab.book.lines().iter().any(|line| line.starts_with("PUT"));
                self.comes("the forge is told", told).await;
            }
            Step::Told => {
                let is_told = async || self.shown().await["health"]["old_secret_until"].is_string();
                self.comes("it was told", is_told).await;
            }
            Step::Ended => self.comes("it is over", async || self.is_over().await).await,
        }
    }
}

async fn killed_at(step: Step) {
    let house = House::new();
    let old = house.dies_at(step, &json!({})).await;
    let daemon = house.bench.daemon().await;
    let ends = async || {
        // Whichever the forge has this moment, and what it had sent before and is slow to arrive.
        let has = house.gitlab.project_hook_token(house.project).unwrap();
        house.sends(&daemon, &has).await;
        house.sends(&daemon, &old).await;
        house.is_over().await
    };
    house.comes("the rotation is over", ends).await;
    let new = house.gitlab.project_hook_token(house.project).unwrap();
    assert_ne!(new, old, "{step:?}");
    assert!(house.shown().await["health"]["old_secret_until"].is_string(), "{step:?}");
    house.sends(&daemon, &new).await;
    house.sends(&daemon, &old).await;
    println!("s49 killed at {step:?}: {} deliveries, none refused", house.sent.load(Ordering::Relaxed));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s49_a_rotation_killed_at_any_step_comes_to_its_end_and_nothing_is_refused() {
    tokio::join!(killed_at(Step::Kept), killed_at(Step::Telling), killed_at(Step::Told));
}

async fn leaked_and_killed_at(step: Step) {
    let house = House::new();
    let old = house.dies_at(step, &json!({ "leaked": true })).await;
    let daemon = house.bench.daemon().await;
    let has = || house.gitlab.project_hook_token(house.project).unwrap();
    let ends = async || {
        let before = has();
        let said = house.says(&daemon, &before).await;
        assert!(said == 202 || has() != before, "{step:?}: what the forge has is refused: {said}");
        house.is_over().await
    };
    house.comes("the rotation is over", ends).await;
    house.comes("the old one is refused", async || house.says(&daemon, &old).await == 401).await;
    assert_ne!(has(), old, "{step:?}");
    house.sends(&daemon, &has()).await;
    assert!(house.shown().await["health"]["old_secret_until"].is_null(), "{step:?}");
    println!("s49 leaked, killed at {step:?}: {} deliveries", house.sent.load(Ordering::Relaxed));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s49_a_leaked_secret_is_ended_though_the_process_is_killed_at_any_step() {
    tokio::join!(
        leaked_and_killed_at(Step::Kept),
        leaked_and_killed_at(Step::Telling),
        leaked_and_killed_at(Step::Ended)
    );
}
