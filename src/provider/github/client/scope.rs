//! What a credential may do: scopes of personal tokens, permissions of installations.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::outbound::Answer;

/// What each scope includes, as the forge documents it. A token that was granted both reports only the wider one.
const INCLUDES: &[(&str, &[&str])] = &[
    ("repo", &["repo:status", "repo_deployment", "public_repo", "repo:invite", "security_events"]),
    ("admin:org", &["write:org", "read:org", "manage_runners:org"]),
    ("write:org", &["read:org"]),
    ("user", &["read:user", "user:email", "user:follow"]),
    ("admin:repo_hook", &["write:repo_hook", "read:repo_hook"]),
    ("write:repo_hook", &["read:repo_hook"]),
    ("admin:public_key", &["write:public_key", "read:public_key"]),
    ("write:public_key", &["read:public_key"]),
    ("admin:gpg_key", &["write:gpg_key", "read:gpg_key"]),
    ("write:gpg_key", &["read:gpg_key"]),
    ("write:packages", &["read:packages"]),
    ("project", &["read:project"]),
    ("write:discussion", &["read:discussion"]),
];

/// The scopes of a personal token of the classic kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Reads `X-OAuth-Scopes`. `None`: no scopes are reported, as for fine-grained tokens, installations and users of
    /// Apps, whose grants can only be probed.
    #[must_use]
    pub fn of(answer: &Answer) -> Option<Self> {
        answer.header("x-oauth-scopes").map(Self::parse)
    }

    /// Reads `repo, user:email`. Words that no scope is spelled with are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let spelled = |word: &&str| {
            let plain = |b: u8| b.is_ascii_lowercase() || matches!(b, b':' | b'_');
            !word.is_empty() && word.len() <= 40 && word.bytes().all(plain)
        };
        Self(text.split(',').map(str::trim).filter(spelled).map(str::to_owned).collect())
    }

    /// As granted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether this scope or a wider one was granted.
    #[must_use]
    pub fn allow(&self, wanted: &str) -> bool {
        let wider = INCLUDES.iter().filter(|(_, narrower)| narrower.contains(&wanted)).map(|(wide, _)| *wide);
        self.0.contains(wanted) || wider.into_iter().any(|wide| self.0.contains(wide))
    }

    /// Those of the wanted ones that are not granted, in the order given.
    #[must_use]
    pub fn missing<'a>(&self, wanted: &[&'a str]) -> Vec<&'a str> {
        wanted.iter().copied().filter(|scope| !self.allow(scope)).collect()
    }
}

/// What kind of token it is, as far as its spelling shows. Never used to refuse one: old servers spell differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// `ghp_…`: scopes are reported.
    Classic,
    /// `github_pat_…`: grants are only seen by trying.
    FineGrained,
    /// `gho_…`: a user, through an OAuth App; scopes are reported.
    OauthUser,
    /// `ghu_…`: a user, through a GitHub App.
    AppUser,
    /// `ghs_…`: an installation.
    Installation,
    /// Anything else.
    Unknown,
}

impl TokenKind {
    /// By its prefix.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let kinds = [
            ("ghp_", Self::Classic),
            ("github_pat_", Self::FineGrained),
            ("gho_", Self::OauthUser),
            ("ghu_", Self::AppUser),
            ("ghs_", Self::Installation),
        ];
        kinds
            .into_iter()
            .find(|(prefix, _)| token.starts_with(prefix))
            .map_or(Self::Unknown, |(_, kind)| kind)
    }
}

/// How much of a permission is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// To look.
    Read,
    /// To change.
    Write,
    /// To decide.
    Admin,
    /// A level that is not known here: not counted as any.
    #[serde(other)]
    Unknown,
}

/// An installation's permissions: what was granted, whatever a manifest asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<String, Level>);

impl Permissions {
    /// Whether this much of it is granted.
    #[must_use]
    pub fn allow(&self, name: &str, level: Level) -> bool {
        self.0.get(name).is_some_and(|granted| *granted != Level::Unknown && *granted >= level)
    }

    /// What is granted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Level)> {
        self.0.iter().map(|(name, level)| (name.as_str(), *level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that a personal token needs to connect.
    const WANTED: [&str; 4] = ["public_repo", "repo:status", "user:email", "write:discussion"];

    #[test]
    fn a_wider_scope_stands_for_the_narrower_ones() {
        let missing = |granted: &str| Scopes::parse(granted).missing(&WANTED);
        assert!(missing("public_repo, repo:status, user:email, write:discussion").is_empty());
        assert_eq!(missing("repo, user"), ["write:discussion"]);
        assert_eq!(missing("repo:status,user:email"), ["public_repo", "write:discussion"]);
        assert_eq!(missing(""), WANTED);
        assert!(
            Scopes::parse("admin:org").allow("read:org") && !Scopes::parse("read:org").allow("admin:org")
        );
        assert!(!Scopes::parse("admin:org").allow("admin:org_hook"));
    }

    #[test]
    fn odd_words_are_no_scopes() {
        let scopes = Scopes::parse("repo, <script>, REPO,, user:email ");
        assert_eq!(scopes.names().collect::<Vec<_>>(), ["repo", "user:email"]);
    }

    #[test]
    fn a_permission_is_granted_up_to_its_level() {
        let granted: Permissions =
            serde_json::from_str(r#"{"members": "read", "contents": "write", "x": "odd"}"#).unwrap();
        assert!(granted.allow("members", Level::Read) && !granted.allow("members", Level::Write));
        assert!(granted.allow("contents", Level::Read) && !granted.allow("x", Level::Read));
        assert!(!granted.allow("workflows", Level::Read));
    }

    #[test]
    fn a_token_kind_is_seen_by_its_prefix_and_an_old_one_is_unknown() {
        assert_eq!(TokenKind::of("github_pat_11AA"), TokenKind::FineGrained);
        assert_eq!(TokenKind::of("0123456789abcdef0123456789abcdef01234567"), TokenKind::Unknown);
    }
}
