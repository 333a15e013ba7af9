//! A group at GitLab, as a whole.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::client::{self, Session};
use super::subgroup::gives_most;
use super::wire::parse_visibility;
use crate::domain::Clock;
use crate::domain::event::Repository;
use crate::domain::organization::Account;
use crate::domain::roster::{Entry, List, Listed, MemberRules, PageRead, Rows, Standing, Subject};
use crate::provider::{Directory, Next, Page, ProviderError};

/// One group, seen through one credential. Everything is asked by number, so that its name makes no difference.
pub struct Group {
    pub(super) session: Session,
    pub(super) id: u64,
    /// The credential's role shows every project of the group.
    sees_all: bool,
    clock: Clock,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Group {
    /// The group with this number. `sees_all`: every project in it is shown, as whoever is a Reporter there sees it.
    #[must_use]
    pub fn new(session: Session, id: u64, sees_all: bool, clock: Clock) -> Self {
        Self { session, id, sees_all, clock }
    }

    fn today(&self) -> NaiveDate {
        DateTime::<Utc>::from_timestamp_millis((self.clock)().ms()).unwrap_or_default().date_naive()
    }

    /// The person of a row, if it counts: whose account is in order and whose membership is not over.
    pub(super) fn listed(
        &self,
        row: client::Member,
        standing: impl FnOnce(u16) -> Standing,
    ) -> Option<Listed> {
        let over = row.expires_at.is_some_and(|last| last < self.today());
        let counts = row.state == "active" && !over && !is_program(&row.username);
        let waits = row.membership_state == "awaiting";
        let standing = if waits { Standing::Invited } else { standing(row.access_level.0) };
        counts.then_some(Listed { id: row.id.get(), login: row.username, standing })
    }

    /// One person's place in the group itself.
    async fn place(&self, id: u64, rules: &MemberRules) -> Result<Option<Listed>, ProviderError> {
        let found = if rules.direct_only {
            self.session.direct_member(self.id, id).await
        } else {
            self.session.member(self.id, id).await
        };
        match found {
            Ok(row) => Ok(self.listed(row, Standing::Level)),
            Err(ProviderError::Gone) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A page of people, of whom those count that `listed` gives.
pub(super) fn people(
    page: Page<client::Member>,
    listed: impl Fn(client::Member) -> Option<Listed>,
) -> PageRead {
    let given = page.items.len() as u64;
    let rows = page.items.into_iter().filter_map(listed).collect();
    PageRead { rows: Rows::People(rows), given, next: page.next.map(Next::into_text), total: page.total }
}

/// The names that GitLab gives the bots behind tokens and service accounts: a member list does not say what they are.
fn is_program(username: &str) -> bool {
    let of_token = |prefix: &str| {
        let rest = username.strip_prefix(prefix).and_then(|rest| rest.split_once('_'));
        rest.is_some_and(|(number, rest)| {
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with("bot")
        })
    };
    of_token("group_") || of_token("project_") || username.starts_with("service_account_")
}

impl From<client::Project> for Repository {
    fn from(row: client::Project) -> Self {
        Self {
            id: row.id.get(),
            full_path: row.path_with_namespace,
            default_branch: row.default_branch.filter(|branch| !branch.is_empty()),
            visibility: parse_visibility(&row.visibility),
            archived: Some(row.archived),
        }
    }
}

#[async_trait]
impl Directory for Group {
    fn lists(&self, subject: Subject, rules: &MemberRules) -> Vec<List> {
        if subject == Subject::Repositories {
            return vec![List::Repositories];
        }
        let own = if rules.direct_only { List::DirectMembers } else { List::GroupMembers };
        let below = rules.subgroups.then_some(List::SubgroupMembers);
        [own].into_iter().chain(below).collect()
    }

    async fn account(&self) -> Result<Account, ProviderError> {
        let found = self.session.group(self.id).await?;
        Ok(Account { login: found.full_path, external_id: Some(self.id) })
    }

    async fn page(&self, list: List, from: Option<&str>) -> Result<PageRead, ProviderError> {
        if list == List::SubgroupMembers {
            return self.below(from).await;
        }
        let from = from.map(Next::kept);
        let from = from.as_ref();
        match list {
            List::GroupMembers => {
                let page = self.session.members_page(self.id, from).await?;
                Ok(people(page, |row| self.listed(row, Standing::Level)))
            }
            List::DirectMembers => {
                let page = self.session.direct_members_page(self.id, from).await?;
                Ok(people(page, |row| self.listed(row, Standing::Level)))
            }
            List::Repositories => {
                let page = self.session.projects(self.id, from).await?;
                let given = page.items.len() as u64;
                // What is marked for deletion is still listed, and is gone for everybody who works there.
                let kept = page.items.into_iter().filter(|row| row.marked_for_deletion_on.is_none());
                let rows = Rows::Repositories(kept.map(Repository::from).collect());
                Ok(PageRead { rows, given, next: page.next.map(Next::into_text), total: page.total })
            }
            List::Owners
            | List::Members
            | List::OutsideCollaborators
            | List::Invitations
            | List::SubgroupMembers => Err(ProviderError::Gone),
        }
    }

    fn shows_all(&self) -> bool {
        self.sees_all
    }

    async fn person(
        &self,
        id: u64,
        _login: &str,
        rules: &MemberRules,
    ) -> Result<Option<Entry>, ProviderError> {
        let mut places: Vec<Listed> = self.place(id, rules).await?.into_iter().collect();
        if rules.subgroups && !places.iter().any(|place| gives_most(rules, place)) {
            places.extend(self.places_below(id, rules).await?);
        }
        let Some(first) = places.first() else {
            // Not there, or nothing is shown any more: whoever sees the group sees who is in it.
            self.account().await?;
            return Ok(None);
        };
        let login = first.login.clone();
        Ok(Some(Entry { login, standings: places.into_iter().map(|place| place.standing).collect() }))
    }
}

#[cfg(test)]
mod tests {
    use super::is_program;

    #[test]
    fn the_bots_behind_tokens_and_service_accounts_are_no_people() {
        for name in ["group_72_bot", "group_72_bot_1f3a", "project_9_bot2", "service_account_group_72_ab"] {
            assert!(is_program(name), "{name}");
        }
        for name in ["ada", "group_bot", "group_x_bot", "group__bot", "project_9_robot", "bot_group_72"] {
            assert!(!is_program(name), "{name}");
        }
    }
}
