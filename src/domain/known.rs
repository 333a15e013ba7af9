//! What the store already knows, as far as one event needs it.

use serde::{Deserialize, Serialize};

use super::organization::{Connection, Member, Organization, Source};
use super::pipeline::{Pipeline, RunKind};
use super::project::Project;
use super::{ConnectionKey, Host, OrganizationSlug, Timestamp};

/// Names one record, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKey {
    /// An organization.
    Organization(OrganizationSlug),
    /// A source.
    Source(super::SourceKey),
    /// A connection.
    Connection(ConnectionKey),
    /// A project.
    Project(OrganizationSlug, Host, u64),
    /// A member.
    Member(OrganizationSlug, Host, u64),
    /// A run: the project's number, then the run's.
    Pipeline(OrganizationSlug, Host, u64, RunKind, u64),
    /// A check-in.
    CheckIn(String),
    /// A scan, by the client's id.
    Scan(String),
    /// Removals that wait for a person.
    Hold(OrganizationSlug),
    /// A task, by its id. Its version is its fence.
    Task(String),
    /// Not a record but who holds an account, by its number. Its version is [`super::ci::holders_version`].
    Account(Host, u64),
    /// The same by the account's name, in lower case.
    Login(Host, String),
}

/// A record with the version under which it was read. 0 stands for "was not there".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// Rises with each write.
    pub version: u64,
    /// The record.
    pub value: T,
}

/// What may hold an event's account: read before the organization is known.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// The connection bound to the event's installation id, whoever's it is.
    pub by_installation: Option<Connection>,
    /// The connection bound to the event's account or group id, whoever's it is.
    pub by_account: Option<Connection>,
    /// The connection through which the event's project id is recorded, if that is one of the source's organizations.
    pub by_project: Option<Connection>,
    /// All connections that name this source, in the order of their keys.
    pub of_source: Vec<Connection>,
    /// All connections to an account of that name, claimed ones too, whoever's they are and whatever their source.
    pub by_login: Vec<Connection>,
}

/// Which records an event needs beside its connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Projects by number.
    pub projects: Vec<u64>,
    /// All projects of the routed connection (an installation that is suspended or gone).
    pub all_projects_of_connection: bool,
    /// People by number.
    pub members: Vec<u64>,
    /// All members that the routed connection vouches for (an account that is gone).
    pub all_members_of_connection: bool,
    /// Runs: project number, kind, run number.
    pub runs: Vec<(u64, RunKind, u64)>,
}

/// Everything a handler may look at.
#[derive(Debug, Clone)]
pub struct Known {
    /// When the delivery reached us.
    pub received_at: Timestamp,
    /// The same body came before under another id: such a delivery never grants.
    pub replay_suspected: bool,
    /// Where the delivery came from.
    pub source: Source,
    /// The organization the event was routed to.
    pub organization: Versioned<Organization>,
    /// The connection the event was routed to. Version 0: not recorded yet, made by [`crate::handler::route`].
    pub connection: Versioned<Connection>,
    /// The projects asked for that exist.
    pub projects: Vec<Versioned<Project>>,
    /// The members asked for that exist.
    pub members: Vec<Versioned<Member>>,
    /// The runs asked for that exist.
    pub runs: Vec<Versioned<Pipeline>>,
}

impl Known {
    /// The project with this number.
    #[must_use]
    pub fn project(&self, id: u64) -> Option<&Project> {
        self.projects.iter().map(|found| &found.value).find(|project| project.external_id == id)
    }

    /// The member with this number.
    #[must_use]
    pub fn member(&self, id: u64) -> Option<&Member> {
        self.members.iter().map(|found| &found.value).find(|member| member.external_id == id)
    }

    /// The run with this number.
    #[must_use]
    pub fn run(&self, project: u64, kind: RunKind, id: u64) -> Option<&Pipeline> {
        let same = |run: &&Pipeline| run.project == project && run.kind == kind && run.external_id == id;
        self.runs.iter().map(|found| &found.value).find(same)
    }
}
