//! The deliveries that are built in: recorded by others, under licences of their own (`tests/fixture/README.md`).

use crate::cli::send::{Fixture, Fixtures};
use crate::domain::organization::Forge;

/// One recorded delivery.
#[derive(Debug, Clone, Copy)]
pub struct Recorded {
    /// Whose it is.
    pub forge: Forge,
    /// The event's name as the forge writes it in its header.
    pub event: &'static str,
    /// The file it was recorded in.
    pub file: &'static str,
    body: &'static [u8],
}

impl Recorded {
    /// As it is sent.
    #[must_use]
    pub fn fixture(&self) -> Fixture {
        Fixture { forge: self.forge, event: self.event.to_owned(), body: self.body.to_vec() }
    }

    /// The name under which `send` finds it: `push`, `installation.created`, `pipeline`.
    fn matches(&self, wanted: &str) -> bool {
        let stem = self
            .file
            .trim_end_matches(".json")
            .trim_start_matches("octokit.")
            .trim_start_matches("gogitlab.");
        let variant = stem.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('.');
        wanted == self.event || wanted == self.file || wanted == stem || wanted == variant
    }
}

macro_rules! recorded {
    ($forge:ident, $folder:literal: $($event:literal $file:literal),* $(,)?) => {
        &[$(Recorded {
            forge: Forge::$forge,
            event: $event,
            file: $file,
            body: include_bytes!(concat!("../../tests/fixture/", $folder, "/", $file)),
        }),*]
    };
}

/// What GitHub sent, in an order that tells a story.
#[rustfmt::skip]
pub const GITHUB: &[Recorded] = recorded!(Github, "github":
    "ping" "octokit.ping.1.json",
    "ping" "octokit.ping.2.json",
    "ping" "octokit.ping.3.json",
    "ping" "octokit.ping.4.json",
    "installation" "octokit.installation.created.1.json",
    "installation" "octokit.installation.new_permissions_accepted.1.json",
    "installation" "octokit.installation.suspend.1.json",
    "installation" "octokit.installation.unsuspend.1.json",
    "installation_repositories" "octokit.installation_repositories.added.1.json",
    "installation_repositories" "octokit.installation_repositories.added.2.json",
    "organization" "octokit.organization.member_added.1.json",
    "organization" "octokit.organization.member_added.3.json",
    "organization" "octokit.organization.member_invited.1.json",
    "organization" "octokit.organization.renamed.1.json",
    "membership" "octokit.membership.added.1.json",
    "team" "octokit.team.added_to_repository.1.json",
    "team" "octokit.team.added_to_repository.2.json",
    "team" "octokit.team.created.1.json",
    "team" "octokit.team.edited.1.json",
    "member" "octokit.member.added.1.json",
    "member" "octokit.member.added.2.json",
    "member" "octokit.member.added.3.json",
    "member" "octokit.member.edited.1.json",
    "repository" "octokit.repository.created.1.json",
    "repository" "octokit.repository.created.2.json",
    "repository" "octokit.repository.edited.1.json",
    "repository" "octokit.repository.edited.2.json",
    "repository" "octokit.repository.privatized.1.json",
    "repository" "octokit.repository.privatized.2.json",
    "repository" "octokit.repository.publicized.1.json",
    "repository" "octokit.repository.publicized.2.json",
    "repository" "octokit.repository.publicized.3.json",
    "repository" "octokit.repository.renamed.1.json",
    "repository" "octokit.repository.transferred.1.json",
    "repository" "octokit.repository.transferred.2.json",
    "repository" "octokit.repository.transferred.3.json",
    "push" "octokit.push.1.json",
    "push" "octokit.push.2.json",
    "push" "octokit.push.3.json",
    "push" "octokit.push.4.json",
    "push" "octokit.push.5.json",
    "push" "octokit.push.6.json",
    "push" "octokit.push.7.json",
    "pull_request" "octokit.pull_request.assigned.1.json",
    "pull_request" "octokit.pull_request.assigned.2.json",
    "pull_request" "octokit.pull_request.closed.1.json",
    "pull_request" "octokit.pull_request.closed.2.json",
    "pull_request" "octokit.pull_request.converted_to_draft.1.json",
    "pull_request" "octokit.pull_request.converted_to_draft.2.json",
    "pull_request" "octokit.pull_request.converted_to_draft.3.json",
    "pull_request" "octokit.pull_request.labeled.1.json",
    "pull_request" "octokit.pull_request.labeled.2.json",
    "pull_request" "octokit.pull_request.locked.1.json",
    "workflow_run" "octokit.workflow_run.completed.1.json",
    "workflow_run" "octokit.workflow_run.completed.2.json",
    "workflow_run" "octokit.workflow_run.completed.3.json",
    "workflow_run" "octokit.workflow_run.requested.1.json",
    "workflow_run" "octokit.workflow_run.requested.2.json",
    "workflow_job" "octokit.workflow_job.completed.1.json",
    "workflow_job" "octokit.workflow_job.completed.2.json",
    "workflow_job" "octokit.workflow_job.in_progress.1.json",
    "workflow_job" "octokit.workflow_job.in_progress.2.json",
    "workflow_job" "octokit.workflow_job.queued.1.json",
    "workflow_job" "octokit.workflow_job.queued.2.json",
    "workflow_job" "octokit.workflow_job.waiting.1.json",
    "check_suite" "octokit.check_suite.completed.1.json",
    "check_suite" "octokit.check_suite.completed.2.json",
    "check_suite" "octokit.check_suite.completed.3.json",
    "check_suite" "octokit.check_suite.completed.4.json",
    "check_suite" "octokit.check_suite.requested.1.json",
    "check_suite" "octokit.check_suite.requested.2.json",
    "check_suite" "octokit.check_suite.requested.3.json",
    "check_suite" "octokit.check_suite.rerequested.1.json",
    "check_suite" "octokit.check_suite.rerequested.2.json",
    "github_app_authorization" "octokit.github_app_authorization.revoked.1.json",
    "installation" "octokit.installation.deleted.1.json",
    "installation" "octokit.installation.deleted.2.json",
    "installation_repositories" "octokit.installation_repositories.removed.1.json",
    "membership" "octokit.membership.removed.1.json",
    "membership" "octokit.membership.removed.3.json",
    "membership" "octokit.membership.removed.4.json",
    "team" "octokit.team.deleted.1.json",
    "team" "octokit.team.removed_from_repository.1.json",
);

/// What GitLab sent.
#[rustfmt::skip]
pub const GITLAB: &[Recorded] = recorded!(Gitlab, "gitlab":
    "Pipeline Hook" "gogitlab.pipeline.json",
    "Job Hook" "gogitlab.job.json",
    "Job Hook" "gogitlab.build.json",
    "Push Hook" "gogitlab.push.json",
    "Tag Push Hook" "gogitlab.tag_push.json",
    "Merge Request Hook" "gogitlab.merge_request.json",
    "Member Hook" "gogitlab.member.json",
    "Subgroup Hook" "gogitlab.subgroup.json",
    "Merge Request Hook" "gogitlab.service_merge_request.json",
    "System Hook" "gogitlab.system.project_create.json",
    "System Hook" "gogitlab.system.project_update.json",
    "System Hook" "gogitlab.system.project_rename.json",
    "System Hook" "gogitlab.system.project_transfer.json",
    "System Hook" "gogitlab.system.group_create.json",
    "System Hook" "gogitlab.system.group_rename.json",
    "System Hook" "gogitlab.system.user_create.json",
    "System Hook" "gogitlab.system.user_add_to_group.json",
    "System Hook" "gogitlab.system.user_update_for_group.json",
    "System Hook" "gogitlab.system.user_add_to_team.json",
    "System Hook" "gogitlab.system.key_create.json",
    "System Hook" "gogitlab.system.push.json",
    "System Hook" "gogitlab.system.tag_push.json",
    "System Hook" "gogitlab.system.merge_request.json",
    "System Hook" "gogitlab.system.repository_update.json",
);

/// The one that is sent with a corrupted signature; no other delivery names its project.
#[rustfmt::skip]
pub const FORGED: &[Recorded] = recorded!(Github, "github": "workflow_job" "octokit.workflow_job.in_progress.3.json");

/// The recorded deliveries, for `send`.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn;

impl Fixtures for BuiltIn {
    fn find(&self, forge: Option<Forge>, event: &str) -> Option<Fixture> {
        let all = GITHUB.iter().chain(GITLAB);
        let mut of_forge = all.filter(|one| forge.is_none_or(|forge| forge == one.forge));
        of_forge.find(|one| one.matches(event)).map(Recorded::fixture)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = GITHUB.iter().chain(GITLAB).map(|one| one.event.to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_has_at_least_sixty_deliveries_of_both_forges() {
        assert!(GITHUB.len() + GITLAB.len() + FORGED.len() >= 60);
        assert!(GITHUB.len() > 30 && GITLAB.len() > 15);
    }

    #[test]
    fn a_delivery_is_found_by_event_action_or_file() {
        for name in [
            "push",
            "installation.created",
            "workflow_run.completed",
            "octokit.push.1.json",
            "Pipeline Hook",
            "pipeline",
        ] {
            assert!(BuiltIn.find(None, name).is_some(), "{name}");
        }
        assert_eq!(BuiltIn.find(Some(Forge::Gitlab), "push").unwrap().event, "Push Hook");
        assert!(BuiltIn.find(None, "no_such_event").is_none());
    }
}
