//! What happens at the fake GitLab while time goes by.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use url::Url;

use super::super::{Answers, Asked, Book, KeySet, Names, Reply};
use super::Gitlab;

impl Gitlab {
    pub(super) fn nowhere(version: &'static str, root: &'static str, paid: bool) -> Arc<Self> {
        let (book, state) = (Book::new(), Mutex::default());
        let (url, resent, upgraded) = (OnceLock::new(), Mutex::default(), AtomicBool::new(false));
        let id_token_keys = KeySet::default();
        Arc::new(Self { book, state, version, root, paid, url, resent, upgraded, id_token_keys })
    }

    /// An older instance under a sub-path of a name, and the way there: a proxy, and an authority of its own.
    pub(crate) fn by_name(host: &'static str) -> (Arc<Self>, Names) {
        let forge = Self::nowhere("17.5.2", "/gitlab", false);
        forge.url.set(Url::parse(&format!("https://{host}/")).unwrap()).unwrap();
        let names = Names::of(Arc::clone(&forge) as Arc<dyn Answers>, &[host], "elsewhere.example");
        (forge, names)
    }

    /// Signs the ID tokens of its jobs with these keys.
    pub(crate) fn signs_jobs_with(&self, keys: Value) {
        self.id_token_keys.holds(keys);
    }

    /// What anybody may read, then what needs a token.
    pub(super) fn anybodys(&self, asked: &Asked) -> Reply {
        let keys = format!("{}/oauth/discovery/keys", self.root);
        self.id_token_keys.told(asked, &keys, &self.book).unwrap_or_else(|| self.right(asked))
    }

    /// A project has a hook that somebody has made.
    pub(crate) fn has_hook(&self, project: u64, url: &str) {
        let mut state = self.state();
        let id = state.next_id();
        let value = json!({"id": id, "url": url, "push_events": true, "alert_status": "executable"});
        let hook =
            super::HookRow { id, value, token: None, signing_token: None, events: vec![], resent_s: vec![] };
        state.projects.get_mut(&project).unwrap().hooks.push(hook);
    }

    /// Somebody pushes to a project. That it is active is noted once an hour.
    pub(crate) fn pushes(&self, project: u64) {
        let (now_s, mut state) = (self.book.now_s(), self.state());
        let row = state.projects.get_mut(&project).unwrap();
        row.pushed_s.push(now_s);
        if now_s - row.active_s >= 3600 {
            row.active_s = now_s;
        }
    }

    /// The forge switches a hook off after too many failures.
    pub(crate) fn disables_hooks(&self, project: u64) {
        for hook in &mut self.state().projects.get_mut(&project).unwrap().hooks {
            hook.value["alert_status"] = json!("temporarily_disabled");
            hook.value["disabled_until"] = json!("2026-06-01T00:10:00.000Z");
        }
    }

    /// What proves the deliveries of a project's only hook: its plain token.
    pub(crate) fn project_hook_token(&self, project: u64) -> Option<String> {
        self.state().projects[&project].hooks.first().and_then(|hook| hook.token.clone())
    }

    /// Somebody leaves a group, or is put out.
    pub(crate) fn leaves(&self, group: u64, person: u64) {
        self.state().groups.get_mut(&group).unwrap().members.remove(&person);
    }

    /// An account is blocked; its memberships stay listed.
    pub(crate) fn blocks(&self, person: u64) {
        self.state().people.get_mut(&person).unwrap().state = "blocked";
    }

    /// A person has another name from now on.
    pub(crate) fn renames_person(&self, person: u64, to: &str) {
        self.state().people.get_mut(&person).unwrap().username = to.into();
    }

    /// A group has another path from now on.
    pub(crate) fn renames_group(&self, group: u64, to: &str) {
        self.state().groups.get_mut(&group).unwrap().path = to.into();
    }

    /// A project has another name from now on.
    pub(crate) fn renames_project(&self, project: u64, to: &str) {
        self.state().projects.get_mut(&project).unwrap().name = to.into();
    }

    /// A project goes to another group.
    pub(crate) fn transfers(&self, project: u64, to: u64) {
        self.state().projects.get_mut(&project).unwrap().group = to;
    }

    /// A project is gone.
    pub(crate) fn deletes(&self, project: u64) {
        self.state().projects.remove(&project);
    }

    /// A group is gone, and everything in it.
    pub(crate) fn loses_group(&self, group: u64) {
        let mut state = self.state();
        state.groups.remove(&group);
        state.projects.retain(|_, project| project.group != group);
    }
}
