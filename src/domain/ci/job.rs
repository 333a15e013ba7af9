//! A job: what it is about, and what stands behind its word.

use url::Url;

use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::organization::{Forge, Kind};
use crate::domain::{Host, OrganizationSlug, Timestamp};

/// What a job says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its forge's language.
    pub forge: Forge,
    /// The forge's base URL.
    pub url: Url,
    /// The same as a name.
    pub host: Host,
    /// The repository, `owner/name` or `group/sub/name`.
    pub full_path: String,
    /// The forge's own name of the job.
    pub name: Option<String>,
    /// What started it: `push`, `merge_request_event` …
    pub event: Option<String>,
    /// Branch or tag.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// The pull or merge request it runs for.
    pub change: Option<u64>,
}

impl Job {
    /// Which kind of connection its forge makes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::of(self.forge, &self.host)
    }

    /// The top-level group, the owner: the first segment of the path.
    #[must_use]
    pub fn login(&self) -> &str {
        self.full_path.split('/').next().unwrap_or_default()
    }
}

/// Somebody else's hand in a job (security S43). Such a job makes nothing and is handed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// It runs a fork's code in the project.
    Fork,
    /// It runs in the project's name because of what anybody may do: `pull_request_target`, `issue_comment` …
    Trigger,
}

/// Where an issuer's word counts. A forge that an organization has connected itself proves nothing to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    /// The operator believes it, for everybody.
    Everywhere,
    /// In the organizations that have connected it.
    In(Vec<OrganizationSlug>),
}

impl Counts {
    /// Whether it counts in this organization.
    #[must_use]
    pub fn includes(&self, organization: &OrganizationSlug) -> bool {
        match self {
            Self::Everywhere => true,
            Self::In(organizations) => organizations.contains(organization),
        }
    }

    /// One more organization has connected it.
    pub fn add(&mut self, organization: &OrganizationSlug) {
        if let Self::In(organizations) = self
            && !organizations.contains(organization)
        {
            organizations.push(organization.clone());
        }
    }
}

/// Everything that an ID token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The job.
    pub job: Job,
    /// The project's number.
    pub project: u64,
    /// The number of what the project lies in: GitHub's owner, GitLab's group or user.
    pub namespace: u64,
    /// Whether the namespace is the account itself, so that its number is the account's.
    pub is_top: bool,
    /// Whether the namespace is a person's.
    pub is_personal: bool,
    /// Whether a stranger had a hand in it.
    pub stranger: Option<Stranger>,
    /// Who signed.
    pub issuer: String,
    /// Where that counts.
    pub counts: Counts,
    /// The token's own number, once per issuer.
    pub token: String,
    /// The subject, to be shown and never to be read.
    pub subject: String,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// One ID token with what checks it: signature, issuer, audience, time, claims.
pub trait ProveJob {
    /// Why a token proves nothing.
    type Rejected;

    /// Reads what the token proves.
    ///
    /// # Errors
    /// When it proves nothing.
    fn prove(&self, now: Timestamp) -> Result<Facts, Self::Rejected>;
}

/// A job whose forge has signed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenJob(Facts);

impl ProvenJob {
    /// The only way to one. For `ci::id_token` alone; `tests/it/tidy.rs` says so.
    ///
    /// # Errors
    /// Whatever `by` finds wrong with the token.
    pub fn check<P: ProveJob>(by: &P, now: Timestamp) -> Result<Self, P::Rejected> {
        by.prove(now).map(Self)
    }

    /// What is proven.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.0
    }

    /// The account's number; `None` where the token names a subgroup.
    #[must_use]
    pub fn account(&self) -> Option<u64> {
        self.0.is_top.then_some(self.0.namespace)
    }
}

/// Somebody who holds a live CI token of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiCaller {
    id: String,
    organization: OrganizationSlug,
}

impl CiCaller {
    /// `None` for a token of another kind, one that is over, and one that speaks for a single project.
    #[must_use]
    pub fn of(token: &TokenRecord, now: Timestamp) -> Option<Self> {
        let whole = token.kind == TokenKind::Ci && token.scope.is_none() && token.is_live(now);
        whole.then(|| Self { id: token.id.clone(), organization: token.organization.clone() })
    }

    /// The token's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The organization it speaks for.
    #[must_use]
    pub const fn organization(&self) -> &OrganizationSlug {
        &self.organization
    }
}

/// A job that the holder of a CI token has told us of. It may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    by: CiCaller,
    job: Job,
}

impl ClaimedJob {
    /// What the holder of the token says.
    #[must_use]
    pub const fn told(by: CiCaller, job: Job) -> Self {
        Self { by, job }
    }

    /// Who says so.
    #[must_use]
    pub const fn by(&self) -> &CiCaller {
        &self.by
    }

    /// What is said.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }
}

/// What stands behind a check-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// The forge's signature; with a CI token, its holder names the organization.
    Proven(Box<ProvenJob>, Option<CiCaller>),
    /// The word of a CI token's holder.
    Claimed(Box<ClaimedJob>),
}

impl Witness {
    /// The job.
    #[must_use]
    pub const fn job(&self) -> &Job {
        match self {
            Self::Proven(proven, _) => &proven.facts().job,
            Self::Claimed(claimed) => claimed.job(),
        }
    }

    /// What is proven of it, if anything is.
    #[must_use]
    pub const fn proven(&self) -> Option<&ProvenJob> {
        match self {
            Self::Proven(proven, _) => Some(proven),
            Self::Claimed(_) => None,
        }
    }

    /// Who names the organization.
    #[must_use]
    pub const fn caller(&self) -> Option<&CiCaller> {
        match self {
            Self::Proven(_, caller) => caller.as_ref(),
            Self::Claimed(claimed) => Some(claimed.by()),
        }
    }
}
