//! What an App asks a GitHub for, and why: each permission with the feature that needs it and what is lost without it.
//! The manifest and the page that shows it are made of this one table.

use serde::{Deserialize, Serialize};

/// What the App is for, in the words of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Findings are posted to the developers in their pull requests.
    Comments,
    /// The same, with recommendations by an assistant, which reads code.
    CommentsAndAssistant,
}

impl Purpose {
    /// Both, as the form offers them.
    pub const ALL: [Self; 2] = [Self::CommentsAndAssistant, Self::Comments];

    /// The word that the form sends.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Comments => "comments",
            Self::CommentsAndAssistant => "comments_and_assistant",
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Comments => "Leave PR comments only",
            Self::CommentsAndAssistant => "Leave PR comments and get Assistant recommendations",
        }
    }

    /// What it means for them.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Comments => "Findings are posted to developers in their pull requests. No code is read.",
            Self::CommentsAndAssistant => {
                "Findings are posted too, and recommendations read the code around them: this grants access to code."
            }
        }
    }
}

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wants {
    /// What it is for.
    pub purpose: Purpose,
    /// Whether runs of GitHub Actions are to be followed, too.
    pub follows_ci: bool,
}

/// One permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// As GitHub's manifests name it.
    pub name: &'static str,
    /// As GitHub's pages name it.
    pub label: &'static str,
    /// `read` or `write`.
    pub level: &'static str,
    /// What it is asked for.
    pub why: &'static str,
    /// What does not work without it.
    pub without: &'static str,
    /// What we are told of thanks to it. Those about the App itself come unasked.
    events: &'static [&'static str],
}

/// For every App.
const BASE: [Permission; 3] = [
    Permission {
        name: "metadata",
        label: "Metadata (repository)",
        level: "read",
        why: "to know which repositories there are, and their names",
        without: "nothing works; GitHub asks for it with every App",
        events: &["repository", "meta"],
    },
    Permission {
        name: "members",
        label: "Members (organization)",
        level: "read",
        why: "to know who is a member, and that whoever connects the organization owns it",
        without: "members are not kept up to date, and the connection cannot be proven",
        events: &["organization", "membership", "member", "team"],
    },
    Permission {
        name: "pull_requests",
        label: "Pull requests (repository)",
        level: "write",
        why: "to post findings as comments on pull requests",
        without: "no comments are posted",
        events: &["pull_request"],
    },
];

const CODE: Permission = Permission {
    name: "contents",
    label: "Contents (repository)",
    level: "read",
    why: "recommendations read the code around a finding",
    without: "there are no recommendations",
    events: &[],
};

const RUNS: Permission = Permission {
    name: "actions",
    label: "Actions (repository)",
    level: "read",
    why: "to show whether the CI job of a repository passes",
    without: "only what CI jobs report themselves is known",
    events: &["workflow_run", "workflow_job"],
};

impl Wants {
    /// What is asked for, no more.
    #[must_use]
    pub fn permissions(self) -> Vec<&'static Permission> {
        let code = (self.purpose == Purpose::CommentsAndAssistant).then_some(&CODE);
        let runs = self.follows_ci.then_some(&RUNS);
        BASE.iter().chain(code).chain(runs).collect()
    }

    /// What is subscribed to.
    #[must_use]
    pub fn events(self) -> Vec<&'static str> {
        self.permissions().into_iter().flat_map(|permission| permission.events).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(purpose: Purpose, follows_ci: bool) -> Vec<String> {
        let all = Wants { purpose, follows_ci }.permissions().into_iter();
        all.map(|it| format!("{}:{}", it.name, it.level)).collect()
    }

    #[test]
    fn s29_an_app_asks_for_no_more_than_its_features_need() {
        let base = ["metadata:read", "members:read", "pull_requests:write"];
        assert_eq!(asked(Purpose::Comments, false), base);
        let assistant = asked(Purpose::CommentsAndAssistant, false);
        assert_eq!(assistant, [base.as_slice(), &["contents:read"]].concat(), "exactly by contents: read");
        assert_eq!(asked(Purpose::Comments, true), [base.as_slice(), &["actions:read"]].concat());
        for permission in BASE.iter().chain([&CODE, &RUNS]) {
            assert!(!permission.why.is_empty() && !permission.without.is_empty(), "{}", permission.name);
        }
    }
}
