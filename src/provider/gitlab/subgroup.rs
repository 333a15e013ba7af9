//! People of a group's subgroups. GitLab has no list of them: the groups are gone through, one after the other.

use serde::{Deserialize, Serialize};

use super::directory::{Group, people};
use crate::domain::organization::Role;
use crate::domain::roster::{Listed, MemberRules, PageRead, Rows, Standing};
use crate::provider::{Next, ProviderError};

/// Subgroups that are asked about one person. In more of them nobody is looked for.
const GROUPS_MAX: usize = 1_000;

/// Where a walk through the subgroups stands. Kept in the place of a forge's link, it goes on where it stopped.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Walk {
    /// Subgroups that were listed and are still to be read; the first is being read.
    #[serde(rename = "g")]
    groups: Vec<u64>,
    /// Where in the list of the first one's people.
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    /// Where more subgroups are listed.
    #[serde(rename = "m", skip_serializing_if = "Option::is_none")]
    more: Option<String>,
    /// How many rows GitLab counts in the subgroups that were begun.
    #[serde(rename = "c", default)]
    counted: u64,
}

impl Walk {
    fn kept(text: &str) -> Result<Self, ProviderError> {
        serde_json::from_str(text).map_err(|_| ProviderError::Endless)
    }

    /// `None`: it has come to its end.
    fn into_text(self) -> Result<Option<String>, ProviderError> {
        let is_over = self.groups.is_empty() && self.more.is_none();
        (!is_over).then(|| serde_json::to_string(&self).map_err(|_| ProviderError::Endless)).transpose()
    }
}

impl Group {
    /// One step: more subgroups, or a page of the people in one of them.
    pub(super) async fn below(&self, from: Option<&str>) -> Result<PageRead, ProviderError> {
        let mut walk = from.map(Walk::kept).transpose()?.unwrap_or_default();
        let Some(group) = walk.groups.first().copied() else { return self.more_groups(walk).await };
        let within = walk.within.take().map(|text| Next::kept(&text));
        let mut page = self.session.direct_members_page(group, within.as_ref()).await?;
        walk.within = page.next.take().map(Next::into_text);
        if walk.within.is_none() {
            walk.groups.remove(0);
        }
        // Each subgroup is counted by itself; where one is not, what it gave is taken for all.
        let here = match page.total {
            Some(total) if within.is_none() => total,
            Some(_) => 0,
            None => page.items.len() as u64,
        };
        walk.counted = walk.counted.saturating_add(here);
        let (total, next) = (Some(walk.counted), walk.into_text()?);
        Ok(PageRead { next, total, ..people(page, |row| self.listed(row, Standing::Below)) })
    }

    async fn more_groups(&self, walk: Walk) -> Result<PageRead, ProviderError> {
        let from = walk.more.as_deref().map(Next::kept);
        let page = self.session.descendants_page(self.id, from.as_ref()).await?;
        let groups = page.items.iter().map(|group| group.id.get()).collect();
        let walk = Walk { groups, more: page.next.map(Next::into_text), ..walk };
        let (rows, next) = (Rows::People(Vec::new()), walk.into_text()?);
        Ok(PageRead { rows, given: 0, next, total: None })
    }

    /// The places of one person in the subgroups, up to one than which none gives more.
    pub(super) async fn places_below(
        &self,
        person: u64,
        rules: &MemberRules,
    ) -> Result<Vec<Listed>, ProviderError> {
        let (mut places, mut asked, mut more) = (Vec::new(), 0_usize, None);
        loop {
            let page = self.session.descendants_page(self.id, more.as_ref()).await?;
            for group in page.items {
                asked = asked.saturating_add(1);
                if asked > GROUPS_MAX {
                    return Err(ProviderError::Endless);
                }
                match self.session.direct_member(group.id.get(), person).await {
                    Ok(row) => places.extend(self.listed(row, Standing::Below)),
                    Err(ProviderError::Gone) => {}
                    Err(error) => return Err(error),
                }
                if places.last().is_some_and(|place| gives_most(rules, place)) {
                    return Ok(places);
                }
            }
            more = page.next;
            if more.is_none() {
                return Ok(places);
            }
        }
    }
}

/// Whether no place in a subgroup gives more than this place.
pub(super) fn gives_most(rules: &MemberRules, place: &Listed) -> bool {
    rules.roles.role(place.standing).is_some_and(|role| role <= Role::Member)
}
