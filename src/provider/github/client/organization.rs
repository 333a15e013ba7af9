//! Organizations: who is in them, and what they own.

use super::Session;
use super::scope::Level;
use super::session::Need;
use super::wire::{Account, Invitation, Membership, Organization, Repositories, Repository};
use crate::provider::ProviderError;
use crate::provider::page::{Next, PER_PAGE, Page, Whole, segment};

/// Without it, only those who show themselves in public are listed, as if they were all.
const MEMBERS: Need = Need {
    permission: "members",
    level: Level::Read,
    scope: "read:org",
    name: "the permission members: read (scope read:org)",
};

/// The two lists in which an organization's members come; a row does not say its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationRole {
    /// Owners.
    Admin,
    /// All others.
    Member,
}

impl OrganizationRole {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

impl Session {
    /// An organization.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn organization(&self, login: &str) -> Result<Organization, ProviderError> {
        self.read(format!("orgs/{}", segment(login))).await
    }

    /// Its members of one role, or nothing.
    ///
    /// # Errors
    /// As [`ProviderError`] says; [`ProviderError::NotPermitted`] also where the forge would show a part.
    pub async fn members(
        &self,
        login: &str,
        role: OrganizationRole,
    ) -> Result<Whole<Account>, ProviderError> {
        let role = role.as_str();
        let path = format!("orgs/{}/members?role={role}&per_page={PER_PAGE}", segment(login));
        self.whole::<Vec<_>>(path, Some(MEMBERS)).await
    }

    /// One page of them, from the beginning or from where an earlier page ended.
    ///
    /// # Errors
    /// As [`Self::members`].
    pub async fn members_page(
        &self,
        login: &str,
        role: OrganizationRole,
        from: Option<&Next>,
    ) -> Result<Page<Account>, ProviderError> {
        let role = role.as_str();
        let first = || format!("orgs/{}/members?role={role}&per_page={PER_PAGE}", segment(login));
        self.page::<Vec<_>>(from.map_or_else(first, |next| next.path().to_owned()), Some(MEMBERS)).await
    }

    /// One person's membership. [`ProviderError::Gone`]: not a member, or not shown.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn membership(&self, login: &str, person: &str) -> Result<Membership, ProviderError> {
        let path = format!("orgs/{}/memberships/{}", segment(login), segment(person));
        self.read_as(path, MEMBERS).await
    }

    /// People who work on some of its repositories without being members.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn outside_collaborators(&self, login: &str) -> Result<Whole<Account>, ProviderError> {
        let path = format!("orgs/{}/outside_collaborators?per_page={PER_PAGE}", segment(login));
        self.whole::<Vec<_>>(path, Some(MEMBERS)).await
    }

    /// One page of them.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn outside_collaborators_page(
        &self,
        login: &str,
        from: Option<&Next>,
    ) -> Result<Page<Account>, ProviderError> {
        let first = || format!("orgs/{}/outside_collaborators?per_page={PER_PAGE}", segment(login));
        self.page::<Vec<_>>(from.map_or_else(first, |next| next.path().to_owned()), Some(MEMBERS)).await
    }

    /// One page of the invitations that nobody has accepted yet.
    ///
    /// # Errors
    /// As [`Self::invitations`].
    pub async fn invitations_page(
        &self,
        login: &str,
        from: Option<&Next>,
    ) -> Result<Page<Invitation>, ProviderError> {
        let first = || format!("orgs/{}/invitations?per_page={PER_PAGE}", segment(login));
        self.page::<Vec<_>>(from.map_or_else(first, |next| next.path().to_owned()), Some(MEMBERS)).await
    }

    /// Invitations that nobody has accepted yet.
    ///
    /// # Errors
    /// As [`ProviderError`] says; [`ProviderError::Gone`] on servers that have no such list.
    pub async fn invitations(&self, login: &str) -> Result<Whole<Invitation>, ProviderError> {
        let path = format!("orgs/{}/invitations?per_page={PER_PAGE}", segment(login));
        self.whole::<Vec<_>>(path, Some(MEMBERS)).await
    }

    /// One page of what an installation may see, from the beginning or from where an earlier page ended.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn installation_repositories(
        &self,
        from: Option<&Next>,
    ) -> Result<Page<Repository>, ProviderError> {
        let first = || format!("installation/repositories?per_page={PER_PAGE}");
        self.page::<Repositories>(from.map_or_else(first, |next| next.path().to_owned()), None).await
    }

    /// All that an installation may see.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn all_installation_repositories(&self) -> Result<Whole<Repository>, ProviderError> {
        self.whole::<Repositories>(format!("installation/repositories?per_page={PER_PAGE}"), None).await
    }

    /// One page of an organization's repositories that a token's owner may see.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn organization_repositories(
        &self,
        login: &str,
        from: Option<&Next>,
    ) -> Result<Page<Repository>, ProviderError> {
        let first = || format!("orgs/{}/repos?type=all&per_page={PER_PAGE}", segment(login));
        self.page::<Vec<_>>(from.map_or_else(first, |next| next.path().to_owned()), None).await
    }

    /// One repository, by its name; a redirect from an old name is followed.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn repository(&self, owner: &str, name: &str) -> Result<Repository, ProviderError> {
        self.read(format!("repos/{}/{}", segment(owner), segment(name))).await
    }
}
