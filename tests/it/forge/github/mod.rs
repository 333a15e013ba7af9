//! A fake GitHub, github.com or a server: strict where the real one is.

mod app;
mod delivery;
mod door;
mod hook;
mod life;
mod list;
mod route;
mod state;
mod web;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use serde_json::json;
use url::Url;

use super::{Answers, Asked, Book, Budget, Fault, KeySet, Names, Planted, Reply, serve};
pub(crate) use door::credential;
use state::{AppRow, Holder, InstallationRow, MemberRow, OrgRow, PersonRow, RepoRow, State, TokenRow};

/// The public test key of RFC 7515 A.2, with which every App of the tests signs.
pub(crate) const APP_KEY: &str = include_str!("../../../fixture/keys/rfc7515-a2.pem");
pub(crate) const APP_MODULUS: &str = include_str!("../../../fixture/keys/rfc7515-a2.modulus");

/// The fake.
#[derive(Debug)]
pub(crate) struct Github {
    pub(crate) book: Book,
    state: Mutex<State>,
    /// A server's version; `None` is github.com.
    version: Option<&'static str>,
    url: OnceLock<Url>,
    hourly: Mutex<u64>,
    receiver: Mutex<delivery::Receiver>,
    id_token_keys: KeySet,
}

impl Github {
    /// github.com.
    pub(crate) fn cloud() -> Arc<Self> {
        Self::begin(None)
    }

    /// A GitHub Enterprise Server.
    pub(crate) fn server(version: &'static str) -> Arc<Self> {
        Self::begin(Some(version))
    }

    /// github.com at its own two names, and the way there and to a daemon that is called `other`.
    pub(crate) fn by_name(other: &str) -> (Arc<Self>, Names) {
        let forge = Self::nowhere(None);
        forge.url.set(Url::parse("https://github.com/").unwrap()).unwrap();
        let hosts = ["github.com", "api.github.com"];
        let names = Names::of(Arc::clone(&forge) as Arc<dyn Answers>, &hosts, other);
        (forge, names)
    }

    fn begin(version: Option<&'static str>) -> Arc<Self> {
        let forge = Self::nowhere(version);
        forge.url.set(serve(Arc::clone(&forge) as Arc<dyn Answers>)).unwrap();
        forge
    }

    fn nowhere(version: Option<&'static str>) -> Arc<Self> {
        Arc::new(Self {
            book: Book::new(),
            state: Mutex::default(),
            version,
            url: OnceLock::new(),
            hourly: Mutex::new(5000),
            receiver: Mutex::default(),
            id_token_keys: KeySet::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Where people see it.
    pub(crate) fn site(&self) -> Url {
        self.url.get().unwrap().clone()
    }

    /// Where its API is.
    pub(crate) fn api(&self) -> Url {
        let mut api = self.site().join(self.base().trim_start_matches('/')).unwrap();
        if api.host_str() == Some("github.com") {
            api.set_host(Some("api.github.com")).unwrap();
        }
        api
    }

    fn base(&self) -> &'static str {
        if self.version.is_some() { "/api/v3/" } else { "/" }
    }

    /// Registers an App; gives its number.
    pub(crate) fn app(&self, slug: &str) -> u64 {
        let mut state = self.state();
        let id = state.next_id();
        let moduli = vec![APP_MODULUS.trim().to_owned()];
        let hook = json!({"url": "https://example.com/hooks/x", "content_type": "form", "insecure_ssl": "0"});
        let client_id = format!("Iv23li{slug}");
        let row = AppRow { id, client_id, slug: slug.into(), moduli, hook, ..AppRow::default() };
        state.apps.insert(id, row);
        id
    }

    /// Makes an organization.
    pub(crate) fn org(&self, login: &str) {
        let mut state = self.state();
        let id = state.next_id();
        state.orgs.insert(login.into(), OrgRow { id, ..OrgRow::default() });
    }

    /// Makes a person; gives their number.
    pub(crate) fn person(&self, login: &str) -> u64 {
        let mut state = self.state();
        if let Some(person) = state.people.get(login) {
            return person.id;
        }
        let id = state.next_id();
        state.people.insert(login.into(), PersonRow { id, login: login.into() });
        id
    }

    /// Takes somebody into an organization, who keeps it to themselves.
    pub(crate) fn member(&self, org: &str, login: &str, role: &'static str) {
        self.person(login);
        let row = MemberRow { login: login.into(), role, public: false, state: "active" };
        self.state().orgs.get_mut(org).unwrap().members.push(row);
    }

    /// The same, shown to everybody.
    pub(crate) fn public_member(&self, org: &str, login: &str, role: &'static str) {
        self.member(org, login, role);
        self.state().orgs.get_mut(org).unwrap().members.last_mut().unwrap().public = true;
    }

    /// Lets somebody work there without being in it.
    pub(crate) fn outside_collaborator(&self, org: &str, login: &str) {
        self.person(login);
        self.state().orgs.get_mut(org).unwrap().outside.push(login.into());
    }

    /// Invites somebody.
    pub(crate) fn invites(&self, org: &str, login: &str) {
        self.person(login);
        self.state().orgs.get_mut(org).unwrap().invited.push(login.into());
    }

    /// Makes a repository.
    pub(crate) fn repo(&self, owner: &str, name: &str, private: bool) {
        let mut state = self.state();
        let id = state.next_id();
        let row =
            RepoRow { id, owner: owner.into(), name: name.into(), private, hooks: Vec::new(), former: None };
        state.repos.push(row);
    }

    /// Gives a repository another name.
    pub(crate) fn renames(&self, owner: &str, name: &str, new: &str) {
        let mut state = self.state();
        let repo = state.repos.iter_mut().find(|repo| repo.owner == owner && repo.name == name).unwrap();
        repo.former = Some(std::mem::replace(&mut repo.name, new.into()));
    }

    /// Installs an App; gives the installation's number.
    pub(crate) fn installs(&self, app: u64, account: &str, permissions: &[(&str, &str)]) -> u64 {
        let mut state = self.state();
        let id = state.next_id();
        let granted =
            permissions.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())).collect();
        let row =
            InstallationRow { id, app, account: account.into(), permissions: granted, suspended: false };
        state.installations.insert(id, row);
        id
    }

    pub(crate) fn suspends(&self, installation: u64) {
        let mut state = self.state();
        state.installations.get_mut(&installation).unwrap().suspended = true;
        // What was minted before is worth nothing any more.
        for token in state.tokens.values_mut() {
            token.void |= matches!(token.holder, Holder::Installation(id, _) if id == installation);
        }
    }

    /// What was suspended goes on.
    pub(crate) fn unsuspends(&self, installation: u64) {
        self.state().installations.get_mut(&installation).unwrap().suspended = false;
    }

    /// An owner grants other permissions.
    pub(crate) fn grants(&self, installation: u64, permissions: &[(&str, &str)]) {
        let granted = permissions.iter().map(|(name, level)| ((*name).into(), (*level).into())).collect();
        self.state().installations.get_mut(&installation).unwrap().permissions = granted;
    }

    pub(crate) fn uninstalls(&self, installation: u64) {
        let mut state = self.state();
        state.installations.remove(&installation);
        state
            .tokens
            .retain(|_, token| !matches!(token.holder, Holder::Installation(id, _) if id == installation));
    }

    /// Voids what was minted, as if it were revoked.
    pub(crate) fn voids_tokens(&self) {
        for token in self.state().tokens.values_mut() {
            token.void = true;
        }
    }

    /// Mints tokens of the newer, longer kind.
    pub(crate) fn mints_long_tokens(&self) {
        self.state().long_tokens = true;
    }

    /// How many installation tokens were minted.
    /// What the tokens of installations may do that were minted and are good, in order of their names.
    pub(crate) fn minted_for(&self) -> Vec<String> {
        let of = |row: &TokenRow| match &row.holder {
            Holder::Installation(_, asked) if !row.void => Some(
                asked.iter().map(|(name, level)| format!("{name}:{level}")).collect::<Vec<_>>().join(" "),
            ),
            _ => None,
        };
        let mut all: Vec<String> = self.state().tokens.values().filter_map(of).collect();
        all.sort_unstable();
        all
    }

    pub(crate) fn minted(&self) -> u32 {
        self.state().minted
    }

    /// A personal token; without scopes it is of the fine-grained kind.
    pub(crate) fn token(&self, login: &str, scopes: Option<&str>) -> &'static str {
        self.person(login);
        let mut state = self.state();
        let id = state.next_id();
        let prefix = if scopes.is_some() { "ghp_" } else { "github_pat_" };
        let token: &'static str = Box::leak(format!("{prefix}{id:036}").into_boxed_str());
        let scopes: Option<BTreeSet<String>> =
            scopes.map(|scopes| scopes.split(", ").map(str::to_owned).collect());
        let row = TokenRow { holder: Holder::Person(login.into(), scopes), ends_s: i64::MAX, void: false };
        state.tokens.insert(token.into(), row);
        token
    }

    /// A manifest was confirmed: gives the code.
    pub(crate) fn manifest(&self) -> &'static str {
        self.state().codes.insert("a180b1a3d263c81bc6441d7b990bae27d4c10679".into(), false);
        "a180b1a3d263c81bc6441d7b990bae27d4c10679"
    }

    /// Grants everybody so many requests an hour.
    pub(crate) fn allows_hourly(&self, requests: u64) {
        *self.hourly.lock().unwrap() = requests;
    }

    /// What was planted and has not struck is gone.
    pub(crate) fn heals(&self) {
        self.book.heals();
    }

    pub(crate) fn plants(&self, fault: Planted) {
        self.book.plant(fault);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.book.violations()
    }
}

impl Answers for Github {
    fn answer(&self, asked: &Asked) -> Reply {
        self.book.note(asked);
        let fault = self.book.fault(asked);
        if let Some(Fault::Scopes(scopes)) = &fault {
            for token in self.state().tokens.values_mut() {
                if let Holder::Person(_, Some(held)) = &mut token.holder {
                    *held = scopes.split(", ").map(str::to_owned).collect();
                }
            }
        }
        let right = self.right(asked);
        let here = format!("{}?{}", self.api().join(&asked.path).unwrap(), asked.raw_query);
        if let Some(Fault::Limit(_, headers, _)) = &fault {
            self.closes(asked, headers);
        }
        let reply = match fault {
            Some(fault) => fault.spoil(right, &here),
            None => right,
        };
        self.book.dated(reply)
    }

    fn begin(&self, asked: &Asked) {
        self.book.begin(&door::credential(asked));
    }

    fn end(&self, asked: &Asked) {
        self.book.end(&door::credential(asked));
    }

    fn latency_ms(&self) -> u64 {
        self.book.latency_ms()
    }
}

impl Github {
    /// A planted limit holds from now on, as its headers say, or for a minute when they say nothing.
    fn closes(&self, asked: &Asked, headers: &[(&str, i64)]) {
        let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let now_s = self.book.now_s();
        let asked_for = header("retry-after").map(|wait| now_s + wait);
        let until_s = asked_for.or(header("x-ratelimit-reset")).unwrap_or(now_s + 60);
        let credential = door::credential(asked);
        let budget = self.book.budget(&credential, 5000);
        self.book.set_budget(&credential, Budget { closed_until_s: until_s, ..budget });
    }
}
