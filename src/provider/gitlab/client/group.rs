//! Groups, their people and their projects.

use super::Session;
use super::wire::{Event, Group, Member, Person, Project};
use crate::provider::ProviderError;
use crate::provider::page::{Next, PER_PAGE, Page, Whole, segment};

impl Session {
    /// A group by its path: for what people typed. Everything later goes by its number.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn group_at(&self, path: &str) -> Result<Group, ProviderError> {
        self.read(&format!("groups/{}?with_projects=false", segment(path))).await
    }

    /// A group.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn group(&self, id: u64) -> Result<Group, ProviderError> {
        self.read(&format!("groups/{id}?with_projects=false")).await
    }

    /// The groups that the token's owner is in.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn groups(&self) -> Result<Whole<Group>, ProviderError> {
        self.whole(&format!("groups?all_available=false&per_page={PER_PAGE}")).await
    }

    /// Everybody in a group: direct, inherited from its ancestors, and through invited groups; one row a person, with the
    /// highest level. Who is only in a subgroup is not in it.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn members(&self, group: u64) -> Result<Whole<Member>, ProviderError> {
        self.whole(&format!("groups/{group}/members/all?per_page={PER_PAGE}")).await
    }

    /// One page of them, from the beginning or from where an earlier page ended.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn members_page(&self, group: u64, from: Option<&Next>) -> Result<Page<Member>, ProviderError> {
        let first = || format!("groups/{group}/members/all?per_page={PER_PAGE}");
        self.page(&from.map_or_else(first, |next| next.path().to_owned())).await
    }

    /// One page of those who are in a group directly.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn direct_members_page(
        &self,
        group: u64,
        from: Option<&Next>,
    ) -> Result<Page<Member>, ProviderError> {
        let first = || format!("groups/{group}/members?per_page={PER_PAGE}");
        self.page(&from.map_or_else(first, |next| next.path().to_owned())).await
    }

    /// One page of the groups below a group, at any depth.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn descendants_page(
        &self,
        group: u64,
        from: Option<&Next>,
    ) -> Result<Page<Group>, ProviderError> {
        let first = || {
            format!(
                "groups/{group}/descendant_groups?all_available=true&order_by=id&sort=asc&per_page={PER_PAGE}"
            )
        };
        self.page(&from.map_or_else(first, |next| next.path().to_owned())).await
    }

    /// Who is in a group directly.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn direct_members(&self, group: u64) -> Result<Whole<Member>, ProviderError> {
        self.whole(&format!("groups/{group}/members?per_page={PER_PAGE}")).await
    }

    /// One person in a group. [`ProviderError::Gone`]: not in it, or not shown.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn member(&self, group: u64, person: u64) -> Result<Member, ProviderError> {
        self.read(&format!("groups/{group}/members/all/{person}")).await
    }

    /// One person who is in a group directly.
    ///
    /// # Errors
    /// As [`Self::member`].
    pub async fn direct_member(&self, group: u64, person: u64) -> Result<Member, ProviderError> {
        self.read(&format!("groups/{group}/members/{person}")).await
    }

    /// One person in a project.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn project_member(&self, project: u64, person: u64) -> Result<Member, ProviderError> {
        self.read(&format!("projects/{project}/members/all/{person}")).await
    }

    /// One page of a group's projects with those of its subgroups; never those that others share with it.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn projects(&self, group: u64, from: Option<&Next>) -> Result<Page<Project>, ProviderError> {
        let first = || {
            format!(
                "groups/{group}/projects?include_subgroups=true&with_shared=false&order_by=id&sort=asc&per_page={PER_PAGE}"
            )
        };
        match from {
            Some(next) => self.page(next.path()).await,
            None => self.page(&first()).await,
        }
    }

    /// A group's projects in which something happened last, the latest first: one page, as [`Self::projects`].
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn lively_projects(&self, group: u64) -> Result<Page<Project>, ProviderError> {
        self.page(&format!(
            "groups/{group}/projects?include_subgroups=true&with_shared=false&order_by=last_activity_at&sort=desc&per_page={PER_PAGE}"
        ))
        .await
    }

    /// The newest push to a project after a day, such as `2026-01-31`.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn newest_push(&self, project: u64, after: &str) -> Result<Option<Event>, ProviderError> {
        let path = format!("projects/{project}/events?action=pushed&after={after}&sort=desc&per_page=1");
        Ok(self.page(&path).await?.items.into_iter().next())
    }

    /// All of them.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn all_projects(&self, group: u64) -> Result<Whole<Project>, ProviderError> {
        self.whole(&format!(
            "groups/{group}/projects?include_subgroups=true&with_shared=false&order_by=id&sort=asc&per_page={PER_PAGE}"
        ))
        .await
    }

    /// A project.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn project(&self, id: u64) -> Result<Project, ProviderError> {
        self.read(&format!("projects/{id}")).await
    }

    /// Anybody, by number: a member list does not say who is a bot.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn person(&self, id: u64) -> Result<Person, ProviderError> {
        self.read(&format!("users/{id}")).await
    }
}
