//! A daemon inside of the test, by the clock of a fake forge: time passes for both when the test says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Method;
use scm_connect::app::{Daemon, Manner};
use scm_connect::config::Config;
use scm_connect::domain::Clock;
use scm_connect::telemetry::metric::{self, Exporter};
use serde_json::{Value, json};

/// Things are looked at so often, for ten seconds in all.
const LOOKS_MAX: u32 = 400;
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Counters are the process's own.
fn exporter() -> Arc<Exporter> {
    static EXPORTER: OnceLock<Arc<Exporter>> = OnceLock::new();
    Arc::clone(EXPORTER.get_or_init(|| Arc::new(metric::install().unwrap())))
}

/// The daemon, its folder, and the clock that it goes by.
pub(crate) struct Inside {
    home: tempfile::TempDir,
    clock: Clock,
    pub(crate) daemon: Daemon,
    /// Whoever runs it.
    operator: reqwest::Client,
    /// Anybody else.
    stranger: reqwest::Client,
}

fn config(home: &Path, public_url: &str, listen: &str, more: &str) -> Config {
    let config = format!(
        r#"
        public_url = "{public_url}"
        [listen]
        {listen}
        public = "127.0.0.1:0"
        ops = "127.0.0.1:0"
        [store]
        url = "sled:{home}/store"
        [keys]
        file = "{home}/master.key"
        [limits]
        allow_http_forges = true
        allow_private_forges = ["127.0.0.0/8"]
        {more}
        "#,
        home = home.display(),
    );
    Config::parse("test", &config, []).unwrap()
}

impl Inside {
    /// One that may call forges on this machine, with more at the end of its config.
    pub(crate) async fn start(clock: Clock, more: &str) -> Self {
        Self::start_at(clock, "http://127.0.0.1:0", "", more).await
    }

    /// The same at another public address, with more in the config's `[listen]`.
    pub(crate) async fn start_at(clock: Clock, public_url: &str, listen: &str, more: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path(), public_url, listen, more);
        let manner = Manner { runtime_dir: home.path().to_owned(), works: true, stand_in_keys: None };
        let daemon = Daemon::start(&config, exporter(), Arc::clone(&clock), &manner).await.unwrap();
        // Each question on a connection of its own, that none is left open when the daemon is stopped.
        let client = || reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
        let operator = client().unix_socket(daemon.control().unwrap().to_owned()).build().unwrap();
        Self { home, clock, daemon, operator, stranger: client().build().unwrap() }
    }

    /// The daemon reads its config again, with this at its end.
    pub(crate) async fn reads_again(&self, more: &str) {
        self.daemon
            .reload(&config(self.home.path(), "http://127.0.0.1:0", "", more), &self.clock)
            .await
            .unwrap();
    }

    /// `http://127.0.0.1:…` of the daemon.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.daemon.public)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Asks the API over the control socket, as whoever runs the daemon.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.operator.request(method, format!("http://daemon/api/v1/{path}")).json(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, &json!({})).await.1
    }

    /// Everything that the daemon keeps, as its export tells it.
    pub(crate) async fn exported(&self) -> String {
        let socket = self.daemon.control().unwrap().to_owned();
        let client = reqwest::Client::builder().unix_socket(socket).build().unwrap();
        client.post("http://daemon/api/v1/store/export").send().await.unwrap().text().await.unwrap()
    }

    /// The same from outside, with a token.
    pub(crate) async fn ask_with(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let request = self.stranger.request(method, format!("{}/api/v1/{path}", self.base())).json(body);
        let answer = request.bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// A token of `acme`; with a member's id, one that stands for that member.
    pub(crate) async fn token(&self, kind: &str, member: Option<&str>) -> String {
        let mut body = json!({ "kind": kind });
        if let Some(member) = member {
            body["member"] = json!(member);
        }
        let (status, made) = self.ask(Method::POST, "tokens?organization=acme", &body).await;
        assert_eq!(status, 201, "{made}");
        made["token"].as_str().unwrap().to_owned()
    }

    /// Everything in a list, newest or first first.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        self.get(path).await["items"].as_array().unwrap().clone()
    }

    /// How often a task of this kind was done.
    pub(crate) async fn runs(&self, kind: &str) -> u64 {
        let tasks = self.all(&format!("tasks?limit=200&kind={kind}")).await;
        tasks.iter().map(|task| task["runs"].as_u64().unwrap()).sum()
    }

    /// Waits until a task of this kind was done once more than that.
    pub(crate) async fn ran(&self, kind: &str, before: u64) {
        for _ in 0..LOOKS_MAX {
            if self.runs(kind).await > before {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{kind} was not done once more than {before} times: {}", self.get("tasks").await);
    }

    /// Waits until the first connection is so.
    pub(crate) async fn comes_to(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..LOOKS_MAX {
            let all = self.all("connections").await;
            if let Some(found) = all.into_iter().next().filter(&is) {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("not {what}: {}", self.get("connections").await);
    }
}
