//! People in groups and projects.

use super::{Told, about, newest, parse, unreadable};
use crate::domain::event::{About, Fact, Person, Repository};
use crate::provider::Unreadable;
use crate::provider::gitlab::wire;

/// Whether a kind of event tells of a person in a group. A group's hook says `denied` where an instance's says
/// `revoked`.
pub(super) fn is_about_group(kind: &str) -> bool {
    matches!(
        kind,
        "user_add_to_group"
            | "user_update_for_group"
            | "user_remove_from_group"
            | "user_access_request_to_group"
            | "user_access_request_denied_for_group"
            | "user_access_request_revoked_for_group"
    )
}

/// Whether a kind of event tells of a person in a single project.
pub(super) fn is_about_project(kind: &str) -> bool {
    matches!(
        kind,
        "user_add_to_team"
            | "user_update_for_team"
            | "user_remove_from_team"
            | "user_access_request_to_project"
            | "user_access_request_denied_for_project"
            | "user_access_request_revoked_for_project"
    )
}

pub(super) fn read_group(kind: &str, body: &[u8]) -> Result<Told, Unreadable> {
    let member: wire::Member = parse(body)?;
    let group = member.group_id.ok_or_else(|| unreadable("the membership names no group"))?;
    let at = newest(&[member.created_at, member.updated_at]);
    let id = member.user_id.ok_or_else(|| unreadable("the membership names no person"))?;
    let person = person(id, member.user_username);
    let role = member.group_access;
    let fact = match kind {
        "user_add_to_group" => Fact::MemberAdded { person, role },
        "user_update_for_group" => Fact::MemberChanged { person, role },
        "user_remove_from_group" => Fact::MemberRemoved { person: Some(person) },
        "user_access_request_to_group" => Fact::MemberInvited { person: Some(person), role },
        // Somebody who asked is not let in: they never were a member, so only the list is worth another look.
        _ => Fact::TeamChanged { team: None, person: Some(person) },
    };
    // `group_path` is the last segment of a path, so it names no account.
    let about = About { group: Some(group), ..About::default() };
    Ok(Told { about, action: Some(kind.to_owned()), at, fact })
}

pub(super) fn read_project(kind: &str, body: &[u8]) -> Result<Told, Unreadable> {
    let member: wire::Member = parse(body)?;
    let repository = Repository {
        id: member.project_id.ok_or_else(|| unreadable("the membership names no project"))?,
        full_path: member.project_path_with_namespace.unwrap_or_default(),
        default_branch: None,
        visibility: member.project_visibility,
        archived: None,
    };
    let login = member.user_username;
    let person = member.user_id.map(|id| person(id, login));
    let at = newest(&[member.created_at, member.updated_at]);
    let about = about(&repository);
    let fact = Fact::CollaboratorChanged { repository, person };
    Ok(Told { about, action: Some(kind.to_owned()), at, fact })
}

pub(super) fn person(id: u64, login: Option<String>) -> Person {
    let login = login.unwrap_or_default();
    Person { id, bot: is_bot(&login), login }
}

/// GitLab makes these names itself: `project_7_bot`, `group_7_bot_1f9c…`, `service_account_…`.
fn is_bot(login: &str) -> bool {
    let token = |kind: &str| {
        let rest = login.strip_prefix(kind)?.strip_prefix('_')?;
        let (number, rest) = rest.split_once("_bot")?;
        let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let ends = rest.bytes().next().is_none_or(|byte| byte == b'_' || byte.is_ascii_digit());
        (numbered && ends).then_some(())
    };
    login.starts_with("service_account_") || token("project").or_else(|| token("group")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_gitlab_makes_for_bots_are_bots() {
        for bot in ["project_7_bot", "project_7_bot2", "group_12_bot_1f9c0a", "service_account_group_7_ab12"]
        {
            assert!(is_bot(bot), "{bot}");
        }
        for human in
            ["", "jsmith", "project_bot", "project__bot", "project_x_bot", "group_1_bottle", "my_group_1_bot"]
        {
            assert!(!is_bot(human), "{human}");
        }
    }
}
