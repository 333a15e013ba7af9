//! Deliveries that forges really sent, built into the program: what the demo plays and what `send` sends.
//!
//! Their order tells a story: an organization with its people and teams, an account that installs the App, runs that
//! begin and end, and on the other forge groups and projects that come, change their names and go.

use crate::domain::organization::Forge;

/// One delivery as it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Which forge sent it.
    pub provider: Forge,
    /// The event as the forge's header names it.
    pub event: &'static str,
    /// Its file, without the folder.
    pub file: &'static str,
    /// The body, byte for byte.
    pub body: &'static [u8],
}

/// The one whose signature the demo spoils. Nothing of it may be found afterwards.
pub(super) const FORGED: &str = "octokit.workflow_job.queued.2.json";

macro_rules! recorded {
    ($($forge:ident in $folder:literal: { $($event:literal, $file:literal;)* })*) => {
        /// All of them, in the order in which the demo plays them.
        pub const RECORDED: &[Recorded] = &[$($(Recorded {
            provider: Forge::$forge,
            event: $event,
            file: $file,
            body: include_bytes!(concat!("../../tests/fixture/", $folder, "/", $file)),
        },)*)*];
    };
}

recorded! {
    Github in "github": {
        "ping", "octokit.ping.4.json";
        "organization", "octokit.organization.member_invited.1.json";
        "organization", "octokit.organization.member_added.1.json";
        "membership", "octokit.membership.added.1.json";
        "team", "octokit.team.created.1.json";
        "repository", "octokit.repository.created.1.json";
        "repository", "octokit.repository.edited.1.json";
        "repository", "octokit.repository.renamed.1.json";
        "team", "octokit.team.added_to_repository.1.json";
        "team_add", "octokit.team_add.1.json";
        "team", "octokit.team.edited.1.json";
        "team", "octokit.team.removed_from_repository.1.json";
        "membership", "octokit.membership.removed.1.json";
        "team", "octokit.team.deleted.1.json";
        "installation", "octokit.installation.created.1.json";
        "installation", "octokit.installation.new_permissions_accepted.1.json";
        "installation_repositories", "octokit.installation_repositories.added.1.json";
        "create", "octokit.create.1.json";
        "push", "octokit.push.1.json";
        "pull_request", "octokit.pull_request.opened.1.json";
        "check_suite", "octokit.check_suite.requested.1.json";
        "check_suite", "octokit.check_suite.completed.1.json";
        "check_suite", "octokit.check_suite.rerequested.1.json";
        "push", "octokit.push.3.json";
        "repository", "octokit.repository.privatized.1.json";
        "repository", "octokit.repository.publicized.1.json";
        "member", "octokit.member.added.1.json";
        "installation", "octokit.installation.suspend.1.json";
        "installation", "octokit.installation.unsuspend.1.json";
        "issues", "octokit.issues.opened.1.json";
        "star", "octokit.star.created.1.json";
        "label", "octokit.label.created.1.json";
        "fork", "octokit.fork.1.json";
        "gollum", "octokit.gollum.1.json";
        "watch", "octokit.watch.started.1.json";
        "workflow_run", "octokit.workflow_run.requested.1.json";
        "workflow_run", "octokit.workflow_run.completed.2.json";
        "workflow_run", "octokit.workflow_run.requested.2.json";
        "workflow_run", "octokit.workflow_run.completed.3.json";
        "workflow_job", "octokit.workflow_job.in_progress.3.json";
        "installation_repositories", "octokit.installation_repositories.removed.1.json";
        "installation", "octokit.installation.deleted.1.json";
        "workflow_job", "octokit.workflow_job.queued.2.json";
    }
    Gitlab in "gitlab": {
        "Subgroup Hook", "gogitlab.subgroup.json";
        "Member Hook", "gogitlab.member.json";
        "Pipeline Hook", "gogitlab.pipeline.json";
        "Job Hook", "gogitlab.build.json";
        "Push Hook", "gogitlab.push.json";
        "System Hook", "gogitlab.system.push.json";
        "Merge Request Hook", "gogitlab.service_merge_request.json";
        "Deployment Hook", "gogitlab.deployment.json";
        "Issue Hook", "gogitlab.issue.json";
        "Note Hook", "gogitlab.note_issue.json";
        "Note Hook", "gogitlab.note_merge_request.json";
        "Release Hook", "gogitlab.release.json";
        "Wiki Page Hook", "gogitlab.wiki_page.json";
        "Feature Flag Hook", "gogitlab.feature_flag.json";
        "System Hook", "gogitlab.system.user_create.json";
        "System Hook", "gogitlab.system.key_create.json";
        "System Hook", "gogitlab.system.group_create.json";
        "System Hook", "gogitlab.system.user_add_to_group.json";
        "System Hook", "gogitlab.system.user_update_for_group.json";
        "System Hook", "gogitlab.system.project_create.json";
        "System Hook", "gogitlab.system.project_update.json";
        "System Hook", "gogitlab.system.user_add_to_team.json";
        "System Hook", "gogitlab.system.user_remove_from_team.json";
        "System Hook", "gogitlab.system.user_remove_from_group.json";
        "System Hook", "gogitlab.system.group_rename.json";
        "System Hook", "gogitlab.system.project_rename.json";
        "System Hook", "gogitlab.system.project_transfer.json";
        "System Hook", "gogitlab.system.project_destroy.json";
        "System Hook", "gogitlab.system.user_rename.json";
        "System Hook", "gogitlab.system.user_failed_login.json";
        "System Hook", "gogitlab.system.key_destroy.json";
        "System Hook", "gogitlab.system.user_destroy.json";
        "Job Hook", "gogitlab.job.json";
    }
}

impl Recorded {
    /// Its short name: `installation.created.1`, `system.project_create`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let name = self.file.strip_suffix(".json").unwrap_or(self.file);
        let (_, name) = name.split_once('.').unwrap_or(("", name));
        name
    }

    /// How well a wish fits, 0 best: the file or its name, the name without its number, the header, a beginning.
    fn fit(&self, wish: &str) -> Option<u8> {
        let name = self.name();
        let unnumbered = name.rsplit_once('.').filter(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
        let plain = unnumbered.map_or(name, |(plain, _)| plain);
        let event = self.event.to_ascii_lowercase();
        if [self.file, self.file.trim_end_matches(".json"), name].contains(&wish) {
            Some(0)
        } else if plain == wish || plain.strip_prefix("system.") == Some(wish) {
            Some(1)
        } else if event == wish || event.strip_suffix(" hook") == Some(wish) {
            Some(2)
        } else {
            plain.strip_prefix(wish)?.starts_with('.').then_some(3)
        }
    }
}

/// Finds a recorded delivery by `installation.created`, `pipeline`, a forge's event name, or its file.
#[must_use]
pub fn find(event: &str, provider: Option<Forge>) -> Option<Recorded> {
    let wish = event.trim().to_ascii_lowercase();
    let wanted = RECORDED.iter().filter(|one| provider.is_none_or(|provider| one.provider == provider));
    let fits = wanted.filter_map(|one| Some((one.fit(&wish)?, one)));
    fits.min_by_key(|(fit, _)| *fit).map(|(_, one)| *one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(event: &str, provider: Option<Forge>) -> Option<&'static str> {
        find(event, provider).map(|one| one.file)
    }

    #[test]
    fn there_are_sixty_at_least_of_both_forges_and_each_once() {
        assert!(RECORDED.len() >= 60, "{}", RECORDED.len());
        for forge in [Forge::Github, Forge::Gitlab] {
            assert!(RECORDED.iter().filter(|one| one.provider == forge).count() >= 25, "{forge:?}");
        }
        let files: std::collections::BTreeSet<_> = RECORDED.iter().map(|one| one.file).collect();
        assert_eq!(files.len(), RECORDED.len());
    }

    #[test]
    fn every_body_is_the_object_that_its_forge_sends() {
        for one in RECORDED {
            let body: serde_json::Value = serde_json::from_slice(one.body).unwrap();
            assert!(body.is_object(), "{}", one.file);
        }
    }

    #[test]
    fn a_delivery_is_found_by_action_event_header_and_file() {
        let any = |event| found(event, None);
        assert_eq!(any("installation.created"), Some("octokit.installation.created.1.json"));
        assert_eq!(any("workflow_run.completed"), Some("octokit.workflow_run.completed.2.json"));
        assert_eq!(any("workflow_run"), Some("octokit.workflow_run.requested.1.json"));
        assert_eq!(any("pipeline"), Some("gogitlab.pipeline.json"));
        assert_eq!(any("Pipeline Hook"), Some("gogitlab.pipeline.json"));
        assert_eq!(any("project_create"), Some("gogitlab.system.project_create.json"));
        assert_eq!(any("octokit.push.3.json"), Some("octokit.push.3.json"));
        assert_eq!(found("push", Some(Forge::Gitlab)), Some("gogitlab.push.json"));
        assert_eq!(found("push", Some(Forge::Github)), Some("octokit.push.1.json"));
        assert_eq!(any("workflow"), None, "half a word is no event");
        assert_eq!(any(""), None);
    }

    #[test]
    fn the_forged_one_is_the_only_one_of_its_project() {
        let needle = b"lineville/elastic-machines-testing";
        let naming = RECORDED.iter().filter(|one| one.body.windows(needle.len()).any(|part| part == needle));
        assert_eq!(naming.map(|one| one.file).collect::<Vec<_>>(), [FORGED]);
    }
}
