//! What each feature needs of a credential, and whether it has it: by what was granted, never by what was asked for.

use std::collections::BTreeMap;

use super::health::Capability;

/// Features without which a connection is not what it should be; the others are chosen.
const CORE: [&str; 6] = ["connect", "private_repositories", "members", "comments", "hooks", "workflow_files"];

/// What each feature needs of a GitHub installation.
const PERMISSIONS: [(&str, &str, &str); 8] = [
    ("connect", "metadata", "read"),
    ("members", "members", "read"),
    ("comments", "pull_requests", "write"),
    ("assistant", "contents", "read"),
    ("onboarding", "contents", "write"),
    ("onboarding", "workflows", "write"),
    ("onboarding", "pull_requests", "write"),
    ("onboarding_secrets", "secrets", "write"),
];

/// Scopes without which a personal token of GitHub's connects nothing.
pub const GITHUB_SCOPES: [&str; 3] = ["public_repo", "repo:status", "user:email"];
/// The fourth of the documented minimum. Newer servers do not offer it, so that its absence is told and stops nothing.
pub const GITHUB_SCOPE_OF_OLD: &str = "write:discussion";

/// What each feature needs of a personal token of GitHub's.
const SCOPES: [(&str, &str); 9] = [
    ("connect", "public_repo"),
    ("connect", "repo:status"),
    ("connect", "user:email"),
    ("discussions", GITHUB_SCOPE_OF_OLD),
    ("private_repositories", "repo"),
    ("members", "read:org"),
    ("comments", "public_repo"),
    ("workflow_files", "workflow"),
    ("hooks", "admin:org_hook"),
];

fn rank(level: &str) -> u8 {
    match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

/// Of an installation, by its permissions.
#[must_use]
pub fn of_installation(permissions: &BTreeMap<String, String>) -> Vec<Capability> {
    let judge = |(feature, permission, level): (&str, &str, &str)| {
        let granted = permissions.get(permission).cloned();
        let ok = granted.as_deref().is_some_and(|granted| rank(granted) >= rank(level));
        Capability { feature: feature.into(), needs: format!("{permission}:{level}"), granted, ok }
    };
    PERMISSIONS.into_iter().map(judge).collect()
}

/// Of a personal token of GitHub's whose scopes are told.
#[must_use]
pub fn of_scopes(allow: impl Fn(&str) -> bool) -> Vec<Capability> {
    let judge = |(feature, scope): (&str, &str)| {
        let ok = allow(scope);
        Capability { feature: feature.into(), needs: scope.into(), granted: ok.then(|| scope.into()), ok }
    };
    SCOPES.into_iter().map(judge).collect()
}

/// Of a fine-grained token, whose grants are only seen by trying: whether members could be read.
#[must_use]
pub fn of_fine_grained(reads_members: bool) -> Vec<Capability> {
    let one = |feature: &str, needs: &str, ok: bool| {
        let granted = ok.then(|| "by trying".to_owned());
        Capability { feature: feature.into(), needs: needs.into(), granted, ok }
    };
    vec![
        one("connect", "Metadata: read", true),
        one("members", "Members: read", reads_members),
        // Trying would change something.
        one("comments", "Pull requests: read and write (the forge does not tell)", false),
    ]
}

/// What a token of GitLab's was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GitlabGrant {
    /// The scope `api`; `None`: the forge does not tell.
    pub api: Option<bool>,
    /// The scope `read_api` or a wider one.
    pub read_api: Option<bool>,
    /// The role of whoever the token speaks for, as GitLab's number.
    pub level: Option<u16>,
    /// It is a project's, so that it sees no group.
    pub of_project: bool,
}

const MAINTAINER: u16 = 40;
const DEVELOPER: u16 = 30;
const REPORTER: u16 = 20;

/// Of a token of GitLab's.
#[must_use]
pub fn of_gitlab(grant: GitlabGrant) -> Vec<Capability> {
    let scope = |name: &str, has: Option<bool>| match has {
        Some(true) => Some(name.to_owned()),
        Some(false) => None,
        None => Some("not told".to_owned()),
    };
    let has = |name: Option<bool>| name != Some(false);
    let level = grant.level;
    let at_least = |role: u16| level.is_some_and(|level| level >= role);
    let one = |feature: &str, needs: &str, granted: Option<String>, ok: bool| Capability {
        feature: feature.into(),
        needs: needs.into(),
        granted,
        ok,
    };
    let role = |scope: Option<String>| {
        scope.map(|scope| format!("{scope}, role {}", level.map_or("none".into(), |it| it.to_string())))
    };
    let (api, read) = (scope("api", grant.api), scope("read_api", grant.read_api));
    let members = has(grant.read_api) && !grant.of_project && level.is_some();
    vec![
        one("connect", "read_api", read.clone(), has(grant.read_api)),
        one(
            "projects",
            "read_api, role Reporter",
            role(read.clone()),
            has(grant.read_api) && at_least(REPORTER),
        ),
        one("members", "read_api, in the group", role(read), members),
        one("comments", "api, role Developer", role(api.clone()), has(grant.api) && at_least(DEVELOPER)),
        one("hooks", "api, role Maintainer", role(api.clone()), has(grant.api) && at_least(MAINTAINER)),
        one("onboarding", "api, role Maintainer", role(api), has(grant.api) && at_least(MAINTAINER)),
    ]
}

/// Whether something that everybody expects is missing.
#[must_use]
pub fn is_limited(capabilities: &[Capability]) -> bool {
    capabilities.iter().any(|one| !one.ok && CORE.contains(&one.feature.as_str()))
}

/// What is missing without which there is no connection at all.
#[must_use]
pub fn missing(capabilities: &[Capability]) -> Vec<&str> {
    let lacks = |one: &&Capability| !one.ok && one.feature == "connect";
    capabilities.iter().filter(lacks).map(|one| one.needs.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(capabilities: &[Capability]) -> Vec<&str> {
        capabilities.iter().filter(|one| !one.ok).map(|one| one.needs.as_str()).collect()
    }

    #[test]
    fn what_was_granted_decides_and_each_missing_permission_is_named() {
        let granted = [("metadata", "read"), ("members", "read"), ("pull_requests", "write")];
        let granted: BTreeMap<String, String> =
            granted.into_iter().map(|(name, level)| (name.into(), level.into())).collect();
        let base = of_installation(&granted);
        assert!(!is_limited(&base), "bulk set-up is chosen, not expected");
        assert!(missing(&base).is_empty());
        let mut less = granted;
        less.remove("members");
        less.insert("pull_requests".into(), "read".into());
        let capabilities = of_installation(&less);
        assert!(is_limited(&capabilities));
        assert!(lacking(&capabilities).contains(&"members:read"));
        assert!(lacking(&capabilities).contains(&"pull_requests:write"));
    }

    #[test]
    fn the_documented_four_scopes_connect_and_are_limited() {
        let four = ["public_repo", "repo:status", "user:email", "write:discussion"];
        let capabilities = of_scopes(|scope| four.contains(&scope));
        assert!(missing(&capabilities).is_empty() && is_limited(&capabilities));
        assert_eq!(lacking(&capabilities), ["repo", "read:org", "workflow", "admin:org_hook"]);
        assert_eq!(missing(&of_scopes(|scope| scope == "repo:status")), ["public_repo", "user:email"]);
        for lacking in ["repo", "read:org", "workflow", "admin:org_hook"] {
            assert!(is_limited(&of_scopes(|scope| scope != lacking)), "without {lacking}");
        }
        assert!(!is_limited(&of_scopes(|_| true)));
    }

    #[test]
    fn a_gitlab_token_is_judged_by_scope_and_role() {
        let grant = |api, read_api, level| GitlabGrant { api, read_api, level, of_project: false };
        let all = of_gitlab(grant(Some(true), Some(true), Some(50)));
        assert!(!is_limited(&all) && lacking(&all).is_empty(), "{all:?}");
        let read = of_gitlab(grant(Some(false), Some(true), Some(50)));
        assert!(missing(&read).is_empty() && is_limited(&read));
        let narrow = of_gitlab(grant(Some(false), Some(false), Some(50)));
        assert_eq!(missing(&narrow), ["read_api"]);
        let developer = of_gitlab(grant(Some(true), Some(true), Some(30)));
        assert!(is_limited(&developer), "a Developer makes no hooks");
        let untold = of_gitlab(grant(None, None, Some(40)));
        assert!(!is_limited(&untold), "what the forge does not tell is not held against the token");
    }
}
