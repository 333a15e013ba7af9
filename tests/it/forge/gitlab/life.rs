//! What happens at the fake GitLab while time goes by.

use super::Gitlab;

impl Gitlab {
    /// A project has a hook that somebody has made.
    pub(crate) fn has_hook(&self, project: u64, url: &str) {
        let mut state = self.state();
        let id = state.next_id();
        let value =
            serde_json::json!({"id": id, "url": url, "push_events": true, "alert_status": "executable"});
        let hook =
            super::HookRow { id, value, token: None, signing_token: None, events: vec![], resent_s: vec![] };
        state.projects.get_mut(&project).unwrap().hooks.push(hook);
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
