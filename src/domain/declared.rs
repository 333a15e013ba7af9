//! What the operator has declared in a file: the wish, before it is recorded.

use url::Url;

use super::break_glass::BreakGlass;
use super::organization::{Forge, Kind};
use super::roster::MemberRules;
use super::{ConnectionKey, Host, OrganizationSlug, SourceKey};

/// Everything that is declared, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Tenants.
    pub organizations: Vec<DeclaredOrganization>,
    /// Where deliveries come from; a connection that names no source is one itself, and stands here too.
    pub sources: Vec<DeclaredSource>,
    /// Accounts at forges.
    pub connections: Vec<DeclaredConnection>,
}

/// A declared tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredOrganization {
    /// Its name in URLs.
    pub slug: OrganizationSlug,
    /// Its name for people.
    pub name: String,
    /// Where its founder signs in.
    pub home: Option<Forge>,
    /// The connection that manages its members.
    pub authority: Option<ConnectionKey>,
    /// Who counts as a member, where the file says it.
    pub members: Option<MemberRules>,
    /// An admin whatever the forges say.
    pub break_glass: Option<BreakGlass>,
}

/// A declared source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredSource {
    /// Part of the hook URL.
    pub key: SourceKey,
    /// Its forge's language.
    pub forge: Forge,
    /// Its forge.
    pub host: Host,
    /// The forge's base URL.
    pub url: Url,
    /// Whom it may speak for.
    pub organizations: Vec<OrganizationSlug>,
}

/// A declared connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredConnection {
    /// Its name.
    pub key: ConnectionKey,
    /// Whose it is.
    pub organization: OrganizationSlug,
    /// Which of the four.
    pub kind: Kind,
    /// The forge's base URL.
    pub url: Url,
    /// Its forge.
    pub host: Host,
    /// The account's name.
    pub login: String,
    /// The source whose secret proves its deliveries.
    pub source: SourceKey,
    /// `app`, `access_token` or `none`.
    pub credential: String,
    /// GitHub's installation id.
    pub installation: Option<u64>,
}
