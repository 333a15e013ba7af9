//! What a delivery means, in our own words. A provider reads it; a handler acts on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::pipeline::{PipelineStatus, RunKind};
use super::project::Visibility;

/// One delivery, understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The forge's event name (`installation`, `Pipeline Hook`), from the body where it tells, else from the header.
    pub name: String,
    /// The forge's action (`created`), where there is one.
    pub action: Option<String>,
    /// Whom it is about: picks connection and organization.
    pub about: About,
    /// The forge's own time of the statement, where the body carries one; the version guard compares it.
    pub at: Option<Timestamp>,
    /// What happened.
    pub fact: Fact,
}

/// The numbers by which a connection is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct About {
    /// GitHub's installation id.
    pub installation: Option<u64>,
    /// The account that owns what the event is about (GitHub organization or user).
    pub account: Option<AccountRef>,
    /// The repository's number.
    pub project: Option<u64>,
    /// GitLab's group number.
    pub group: Option<u64>,
}

/// An account as an event names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountRef {
    /// Its number. `None` where the forge gives a path only (GitLab projects name their namespace by path).
    pub id: Option<u64>,
    /// Its name at the time: a login, or the first segment of a GitLab path.
    pub login: String,
}

/// A person as an event names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The number at the forge.
    pub id: u64,
    /// The name at the time.
    pub login: String,
    /// A bot or service account, never a member.
    pub bot: bool,
}

/// A repository as an event names it: what is not told stays `None` and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its number.
    pub id: u64,
    /// `owner/name` or `group/sub/name`. Empty when the forge gave none.
    pub full_path: String,
    /// The default branch.
    pub default_branch: Option<String>,
    /// Who can see it.
    pub visibility: Option<Visibility>,
    /// Archived at the forge.
    pub archived: Option<bool>,
}

/// What an event says of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Pipeline, job or suite.
    pub kind: RunKind,
    /// Its number.
    pub id: u64,
    /// The pipeline a job belongs to.
    pub parent: Option<u64>,
    /// Counts re-runs, from 1.
    pub attempt: u64,
    /// Workflow's or job's name.
    pub name: Option<String>,
    /// How far it is.
    pub status: PipelineStatus,
    /// The forge's own words.
    pub detail: String,
    /// Branch or tag.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// What started it.
    pub cause: Option<String>,
}

impl Fact {
    /// The one repository it is about, if it is about one.
    #[must_use]
    pub const fn repository(&self) -> Option<&Repository> {
        match self {
            Self::CollaboratorChanged { repository, .. }
            | Self::RepositorySeen { repository }
            | Self::RepositoryRenamed { repository, .. }
            | Self::RepositoryTransferred { repository, .. }
            | Self::RepositoryDeleted { repository }
            | Self::Pushed { repository, .. }
            | Self::ChangeRequested { repository, .. }
            | Self::RunChanged { repository, .. } => Some(repository),
            _ => None,
        }
    }
}

/// What happened. Exhaustive on purpose: a forgotten handler is a compile error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A hook says hello.
    Ping,
    /// Genuine, and of no interest to this product.
    Unwanted,
    /// The App was installed on the account.
    Installed {
        /// `all` or `selected`.
        selection: String,
        /// What was granted, permission name to level.
        permissions: BTreeMap<String, String>,
        /// The repositories listed with it; not all of them when there are very many.
        repositories: Vec<Repository>,
        /// Who asked, when an owner approved somebody's request.
        requester: Option<Person>,
    },
    /// The App was taken off the account.
    Uninstalled,
    /// The installation was switched off.
    Suspended,
    /// The installation was switched on again; nothing was delivered in between.
    Unsuspended,
    /// An owner accepted new permissions.
    PermissionsAccepted {
        /// What is granted now.
        permissions: BTreeMap<String, String>,
    },
    /// Repositories were granted or taken away.
    RepositoriesSelected {
        /// `all` or `selected`.
        selection: String,
        /// Now granted.
        added: Vec<Repository>,
        /// No longer granted.
        removed: Vec<Repository>,
    },
    /// The account has a new name.
    AccountRenamed {
        /// The name before, where told.
        from: Option<String>,
        /// The name now.
        to: String,
    },
    /// The account is gone.
    AccountDeleted,
    /// Somebody joined; to be confirmed.
    MemberAdded {
        /// Who.
        person: Person,
        /// The forge's word for the role: a hint.
        role: Option<String>,
    },
    /// Somebody's role or term may have changed; to be confirmed.
    MemberChanged {
        /// Who.
        person: Person,
        /// The forge's word for the role: a hint.
        role: Option<String>,
    },
    /// Somebody left or was put out.
    MemberRemoved {
        /// Who; `None` when the account itself is gone.
        person: Option<Person>,
    },
    /// Somebody was invited, or asked to be let in.
    MemberInvited {
        /// Who; an invitation by e-mail names nobody.
        person: Option<Person>,
        /// The forge's word for the role.
        role: Option<String>,
    },
    /// Teams or team membership changed: the member list may be out of date.
    TeamChanged {
        /// The team's number.
        team: Option<u64>,
        /// Whose membership, when it is about one person.
        person: Option<Person>,
    },
    /// A collaborator of one repository changed. Not a member of the organization.
    CollaboratorChanged {
        /// The repository.
        repository: Repository,
        /// Who.
        person: Option<Person>,
    },
    /// A person withdrew the App's authorization: their user tokens are void.
    AuthorizationRevoked {
        /// Who.
        person: Person,
    },
    /// The hook itself was deleted at the forge.
    HookDeleted {
        /// The hook's number.
        hook: u64,
    },
    /// A person's account was made or seen at the instance.
    PersonSeen {
        /// Who.
        person: Person,
    },
    /// A person has a new name.
    PersonRenamed {
        /// Who, with the new name.
        person: Person,
        /// The name before.
        from: String,
    },
    /// A person's account was deleted: they leave every organization of this forge.
    PersonDeleted {
        /// Who.
        person: Person,
    },
    /// A blocked person tried to sign in at the forge.
    PersonBlocked {
        /// Who.
        person: Person,
    },
    /// A person's SSH key was added or removed at the instance.
    KeyChanged {
        /// Whose.
        login: String,
        /// Added, else removed.
        added: bool,
    },
    /// A group was made, seen or renamed.
    GroupSeen {
        /// The group's number.
        group: u64,
        /// Its full path where told, else its last segment.
        path: String,
        /// Its path before, when it was renamed.
        from: Option<String>,
        /// The group it lies in.
        parent: Option<u64>,
    },
    /// A group is gone.
    GroupDeleted {
        /// The group's number.
        group: u64,
    },
    /// A repository was made, or mentioned with its settings.
    RepositorySeen {
        /// What is known of it now.
        repository: Repository,
    },
    /// A repository has a new name, perhaps a new owner inside the same forge.
    RepositoryRenamed {
        /// What is known of it now, with the new name.
        repository: Repository,
        /// The full path before.
        from: String,
    },
    /// A repository came to this account from another.
    RepositoryTransferred {
        /// What is known of it now.
        repository: Repository,
        /// The full path before, where it can be told.
        from: Option<String>,
        /// The number of the owner before, where told.
        from_account: Option<u64>,
    },
    /// A repository is gone.
    RepositoryDeleted {
        /// Which.
        repository: Repository,
    },
    /// Commits, a branch or a tag were pushed.
    Pushed {
        /// Where.
        repository: Repository,
        /// `refs/heads/main`.
        git_ref: String,
        /// The commit now; `None` when the ref was deleted.
        after: Option<String>,
    },
    /// A pull or merge request changed.
    ChangeRequested {
        /// Where.
        repository: Repository,
        /// Its number in the repository.
        number: u64,
        /// `open`, `closed` or `merged`.
        state: String,
        /// The head commit.
        head: Option<String>,
    },
    /// A run began, went on or ended.
    RunChanged {
        /// Where it ran.
        repository: Repository,
        /// The run.
        run: Run,
    },
}
