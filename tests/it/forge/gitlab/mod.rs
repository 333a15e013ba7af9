//! A fake GitLab, GitLab.com or an instance: strict where the real one is.

mod hook;
mod life;
mod route;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use serde_json::{Value, json};
use url::Url;

use super::{Answers, Asked, Book, Budget, Fault, KeySet, Planted, Reply, serve};

/// Somebody.
#[derive(Debug, Clone)]
struct PersonRow {
    id: u64,
    username: String,
    state: &'static str,
    bot: bool,
}

/// A group and who is in it.
#[derive(Debug, Clone)]
struct GroupRow {
    id: u64,
    path: String,
    /// By person.
    members: BTreeMap<u64, u16>,
    hooks: Vec<HookRow>,
}

/// A project of a group.
#[derive(Debug, Clone)]
struct ProjectRow {
    id: u64,
    group: u64,
    name: String,
    hooks: Vec<HookRow>,
    /// When something was pushed, the newest last.
    pushed_s: Vec<i64>,
    /// When it was last noted that something happens in it.
    active_s: i64,
}

/// A hook, with what it keeps to itself.
#[derive(Debug, Clone)]
struct HookRow {
    id: u64,
    value: Value,
    token: Option<String>,
    signing_token: Option<String>,
    events: Vec<Value>,
    /// When something was sent once more, within the last minute.
    resent_s: Vec<i64>,
}

/// A token. Its family dies with it when it is used after its rotation.
#[derive(Debug, Clone)]
struct TokenRow {
    id: u64,
    person: u64,
    scopes: Vec<String>,
    family: u64,
    state: TokenState,
    /// Its last day is the one before.
    ends: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenState {
    Good,
    Rotated,
    Void,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    small: bool,
    people: BTreeMap<u64, PersonRow>,
    groups: BTreeMap<u64, GroupRow>,
    projects: BTreeMap<u64, ProjectRow>,
    tokens: BTreeMap<String, TokenRow>,
}

impl State {
    /// Ids are larger than 32 bits hold, as some of the real ones are.
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        if self.small { self.last_id } else { (1 << 33) + self.last_id }
    }
}

/// The fake.
#[derive(Debug)]
pub(crate) struct Gitlab {
    pub(crate) book: Book,
    state: Mutex<State>,
    version: &'static str,
    /// Where the instance lives on its host.
    root: &'static str,
    /// A plan with group hooks.
    paid: bool,
    url: OnceLock<Url>,
    /// Keys of what was sent once more.
    resent: Mutex<Vec<String>>,
    upgraded: AtomicBool,
    id_token_keys: KeySet,
}

impl Gitlab {
    /// GitLab.com, with a paid plan.
    pub(crate) fn cloud() -> Arc<Self> {
        Self::begin("19.1.0-ee", "", true)
    }

    /// An older instance under a sub-path, on the free plan.
    pub(crate) fn old_instance() -> Arc<Self> {
        Self::begin("17.5.2", "/gitlab", false)
    }

    fn begin(version: &'static str, root: &'static str, paid: bool) -> Arc<Self> {
        let forge = Self::nowhere(version, root, paid);
        forge.url.set(serve(Arc::clone(&forge) as Arc<dyn Answers>)).unwrap();
        forge
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Its base URL.
    pub(crate) fn site(&self) -> Url {
        self.url.get().unwrap().join(&format!("{}/", self.root)).unwrap()
    }

    fn base(&self) -> String {
        format!("{}/api/v4/", self.root)
    }

    /// Knows signing tokens.
    fn signs(&self) -> bool {
        self.version.starts_with("19") || self.upgraded.load(Ordering::SeqCst)
    }

    /// Numbers things from one on.
    pub(crate) fn counts_from_one(&self) {
        self.state().small = true;
    }

    /// Makes a person; gives their number.
    pub(crate) fn person(&self, username: &str) -> u64 {
        self.somebody(username, "active", false)
    }

    /// Somebody whose account is blocked, and who stays in the lists.
    pub(crate) fn blocked(&self, username: &str) -> u64 {
        self.somebody(username, "blocked", false)
    }

    fn somebody(&self, username: &str, state: &'static str, bot: bool) -> u64 {
        let mut all = self.state();
        let id = all.next_id();
        all.people.insert(id, PersonRow { id, username: username.into(), state, bot });
        id
    }

    /// Makes a group; gives its number.
    pub(crate) fn group(&self, path: &str) -> u64 {
        let mut state = self.state();
        let id = state.next_id();
        state
            .groups
            .insert(id, GroupRow { id, path: path.into(), members: BTreeMap::new(), hooks: Vec::new() });
        id
    }

    /// Takes somebody into a group.
    pub(crate) fn member(&self, group: u64, person: u64, level: u16) {
        self.state().groups.get_mut(&group).unwrap().members.insert(person, level);
    }

    /// Makes a project; gives its number.
    pub(crate) fn project(&self, group: u64, name: &str) -> u64 {
        let mut state = self.state();
        let id = state.next_id();
        let (name, active_s) = (name.into(), self.book.now_s());
        let row = ProjectRow { id, group, name, hooks: Vec::new(), pushed_s: Vec::new(), active_s };
        state.projects.insert(id, row);
        id
    }

    /// A project is gone.
    pub(crate) fn loses(&self, project: u64) {
        self.state().projects.remove(&project);
    }

    /// A person's token.
    pub(crate) fn token(&self, person: u64, scopes: &[&str]) -> String {
        let mut state = self.state();
        let id = state.next_id();
        let token = format!("glpat-{id}.01.canary");
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let row =
            TokenRow { id, person, scopes, family: id, state: TokenState::Good, ends: "2026-12-31".into() };
        state.tokens.insert(token.clone(), row);
        token
    }

    /// A group's token: a bot that is in the group.
    pub(crate) fn group_token(&self, group: u64, level: u16, scopes: &[&str]) -> String {
        let bot = self.somebody(&format!("group_{group}_bot_1f3a"), "active", true);
        self.member(group, bot, level);
        self.token(bot, scopes)
    }

    /// A project's token: a bot that is in its group.
    pub(crate) fn project_token(&self, project: u64, level: u16, scopes: &[&str]) -> String {
        let group = self.state().projects[&project].group;
        let bot = self.somebody(&format!("project_{project}_bot_1f3a"), "active", true);
        self.member(group, bot, level);
        self.token(bot, scopes)
    }

    /// The token ends that day.
    pub(crate) fn ends(&self, token: &str, day: &str) {
        self.state().tokens.get_mut(token).unwrap().ends = day.into();
    }

    /// Somebody takes the token back.
    pub(crate) fn revokes(&self, token: &str) {
        self.state().tokens.get_mut(token).unwrap().state = TokenState::Void;
    }

    /// Hooks of a group, as people see them.
    pub(crate) fn group_hooks(&self, group: u64) -> Vec<Value> {
        self.state().groups[&group].hooks.iter().map(|hook| hook.value.clone()).collect()
    }

    /// Hooks of a project.
    pub(crate) fn project_hooks(&self, project: u64) -> Vec<Value> {
        self.state().projects[&project].hooks.iter().map(|hook| hook.value.clone()).collect()
    }

    /// What proves a group's only hook's deliveries: its plain token and its signing token.
    pub(crate) fn group_hook_secrets(&self, group: u64) -> (Option<String>, Option<String>) {
        let state = self.state();
        let hook = &state.groups[&group].hooks[0];
        (hook.token.clone(), hook.signing_token.clone())
    }

    /// The forge switches a group's hooks off.
    pub(crate) fn disables_group_hooks(&self, group: u64) {
        for hook in &mut self.state().groups.get_mut(&group).unwrap().hooks {
            hook.value["alert_status"] = json!("disabled");
        }
    }

    /// The keys of what was sent once more, since this was last asked.
    pub(crate) fn has_sent_again(&self) -> Vec<String> {
        std::mem::take(&mut self.resent.lock().unwrap())
    }

    /// A hook sent this and got that answer; gives the event's number.
    pub(crate) fn sent(&self, project: u64, key: &str, status: &str) -> u64 {
        let mut state = self.state();
        let id = state.next_id();
        let hook = state.projects.get_mut(&project).unwrap().hooks.last_mut().unwrap();
        let event = json!({
            "id": id, "url": "https://scm.example.com", "trigger": "push_hooks", "response_status": status,
            "request_headers": {"Idempotency-Key": key, "X-Gitlab-Token": "[REDACTED]"}, "request_data": {},
            "response_headers": {}, "response_body": "", "execution_duration": 0.1,
        });
        hook.events.insert(0, event);
        id
    }

    pub(crate) fn plants(&self, fault: Planted) {
        self.book.plant(fault);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.book.violations()
    }
}

fn credential(asked: &Asked) -> String {
    let bearer = asked.header("authorization").trim_start_matches("Bearer ");
    if bearer.is_empty() { asked.header("private-token").to_owned() } else { bearer.to_owned() }
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"message": message}))
}

impl Answers for Gitlab {
    fn answer(&self, asked: &Asked) -> Reply {
        self.book.note(asked);
        let fault = self.book.fault(asked);
        // A status and nothing else: nothing is done.
        let is_refused = matches!(fault, Some(Fault::Status(_)));
        let right = if is_refused { Reply::empty(204) } else { self.anybodys(asked) };
        if let Some(Fault::Limit(_, headers, _)) = &fault {
            let wait_s =
                headers.iter().find(|(name, _)| *name == "retry-after").map_or(60, |(_, wait)| *wait);
            let closed_until_s = self.book.now_s() + wait_s;
            let budget = self.book.budget(&credential(asked), 2000);
            self.book.set_budget(&credential(asked), Budget { closed_until_s, ..budget });
        }
        let here = format!("{}?{}", self.url.get().unwrap().join(&asked.path).unwrap(), asked.raw_query);
        let reply = fault.map_or(right.clone(), |fault| fault.spoil(right, &here));
        self.book.dated(reply)
    }

    fn begin(&self, asked: &Asked) {
        self.book.begin(&credential(asked));
    }

    fn end(&self, asked: &Asked) {
        self.book.end(&credential(asked));
    }

    fn latency_ms(&self) -> u64 {
        self.book.latency_ms()
    }
}

impl Gitlab {
    /// The rules of the wire, then who asks, then the answer.
    fn right(&self, asked: &Asked) -> Reply {
        let broken = |rule: &str, status| {
            self.book.broken(format!("{} {}: {rule}", asked.method, asked.path));
            refusal(status, rule)
        };
        if asked.query.iter().any(|(key, _)| key.contains("token")) {
            return broken("a token in the address", 401);
        }
        if !asked.body.is_empty() && asked.header("content-type") != "application/json" {
            return broken("a body that is no JSON", 415);
        }
        if asked.query("per_page").is_some_and(|it| !it.parse().is_ok_and(|it| (1..=100).contains(&it))) {
            return broken("per_page beyond 1 to 100", 400);
        }
        if asked.query("page").is_some() && asked.query("cursor_of_the_server").is_none() {
            return broken("a page number that was made up instead of taken from Link", 400);
        }
        let token = credential(asked);
        let Some(row) = self.known(&token) else {
            return Reply::json(401, &json!({"message": "401 Unauthorized"}));
        };
        let Some(budget) = self.book.spend(&token, 2000) else {
            let text = Reply {
                status: 429,
                headers: Vec::new(),
                body: super::http::Body::Whole(b"Retry later\n".to_vec()),
            };
            return text.with("content-type", "text/plain").with("retry-after", 60);
        };
        let reads = asked.method == "GET";
        let narrow = !row.scopes.iter().any(|scope| scope == "api" || (reads && scope == "read_api"));
        let own = asked.path.contains("/personal_access_tokens/self");
        if narrow && !own {
            let body = json!({"error": "insufficient_scope", "error_description": "canary", "scope": "api"});
            return Reply::json(403, &body);
        }
        self.route(asked, &row)
            .with("ratelimit-limit", budget.limit)
            .with("ratelimit-remaining", budget.left)
            .with("ratelimit-reset", budget.reset_s)
    }

    /// The token's row, if it is good. One that was rotated takes its whole family with it.
    fn known(&self, token: &str) -> Option<TokenRow> {
        let mut state = self.state();
        let row = state.tokens.get(token)?.clone();
        if row.state == TokenState::Rotated {
            self.book.broken("a rotated token was used again");
            for other in state.tokens.values_mut().filter(|other| other.family == row.family) {
                other.state = TokenState::Void;
            }
        }
        let today = chrono::DateTime::from_timestamp(self.book.now_s(), 0).unwrap().date_naive().to_string();
        (row.state == TokenState::Good && row.ends > today).then_some(row)
    }
}
