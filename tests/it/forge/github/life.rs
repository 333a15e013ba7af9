//! What happens at the fake GitHub while time goes by.

use super::Github;

impl Github {
    /// An organization's number.
    pub(crate) fn org_id(&self, login: &str) -> u64 {
        self.state().orgs[login].id
    }

    /// A repository's number.
    pub(crate) fn repo_id(&self, owner: &str, name: &str) -> u64 {
        let state = self.state();
        state.repos.iter().find(|repo| repo.owner == owner && repo.name == name).unwrap().id
    }

    /// Signs the ID tokens of its jobs with these keys.
    pub(crate) fn signs_jobs_with(&self, keys: serde_json::Value) {
        self.id_token_keys.holds(keys);
    }

    /// Somebody leaves, or is put out.
    pub(crate) fn leaves(&self, org: &str, login: &str) {
        self.state().orgs.get_mut(org).unwrap().members.retain(|row| row.login != login);
    }

    /// Somebody gets another role.
    pub(crate) fn gives_role(&self, org: &str, login: &str, role: &'static str) {
        let mut state = self.state();
        let rows = &mut state.orgs.get_mut(org).unwrap().members;
        rows.iter_mut().find(|row| row.login == login).unwrap().role = role;
    }

    /// Somebody is in, but has not accepted yet.
    pub(crate) fn asks(&self, org: &str, login: &str) {
        self.member(org, login, "member");
        let mut state = self.state();
        let org = state.orgs.get_mut(org).unwrap();
        org.invited.push(login.into());
        org.members.last_mut().unwrap().state = "pending";
    }

    /// A person has another name from now on.
    pub(crate) fn renames_person(&self, from: &str, to: &str) {
        let mut state = self.state();
        let mut person = state.people.remove(from).unwrap();
        person.login = to.into();
        state.people.insert(to.into(), person);
        for org in state.orgs.values_mut() {
            for row in org.members.iter_mut().filter(|row| row.login == from) {
                row.login = to.into();
            }
            for login in org.outside.iter_mut().chain(&mut org.invited).filter(|login| *login == from) {
                *login = to.into();
            }
        }
    }

    /// A person's account is gone, and with it every membership.
    pub(crate) fn deletes_person(&self, login: &str) {
        let mut state = self.state();
        state.people.remove(login);
        for org in state.orgs.values_mut() {
            org.members.retain(|row| row.login != login);
        }
    }

    /// An organization has another name from now on; the old one is free.
    pub(crate) fn renames_org(&self, from: &str, to: &str) {
        let mut state = self.state();
        let org = state.orgs.remove(from).unwrap();
        state.orgs.insert(to.into(), org);
        state.repos.iter_mut().filter(|row| row.owner == from).for_each(|row| row.owner = to.into());
        state
            .installations
            .values_mut()
            .filter(|row| row.account == from)
            .for_each(|row| row.account = to.into());
    }

    /// A repository goes to another owner.
    pub(crate) fn transfers(&self, owner: &str, name: &str, to: &str) {
        let mut state = self.state();
        let repo = state.repos.iter_mut().find(|repo| repo.owner == owner && repo.name == name).unwrap();
        repo.owner = to.into();
    }

    /// A repository is gone.
    pub(crate) fn deletes(&self, owner: &str, name: &str) {
        self.state().repos.retain(|repo| repo.owner != owner || repo.name != name);
    }

    /// An organization's hooks.
    pub(crate) fn org_hooks(&self, org: &str) -> Vec<serde_json::Value> {
        self.state().orgs[org].hooks.iter().map(|row| row.value.clone()).collect()
    }

    /// What signs the deliveries of an organization's only hook.
    pub(crate) fn org_hook_secret(&self, org: &str) -> Option<String> {
        self.state().orgs[org].hooks[0].secret.clone()
    }

    /// Somebody removes them by hand.
    pub(crate) fn loses_org_hooks(&self, org: &str) {
        self.state().orgs.get_mut(org).unwrap().hooks.clear();
    }
}
