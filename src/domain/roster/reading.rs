//! A reading of lists that come in pages: how far it has come, and what is kept of it until it is whole.

use serde::{Deserialize, Serialize};

use super::Listed;
use crate::domain::Timestamp;
use crate::domain::event::Repository;

/// Pages of one list. The largest documented one has a thousand.
const PAGES_MAX: u32 = 5_000;

/// A list that a forge gives of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// GitHub: the organization's owners.
    Owners,
    /// GitHub: its members who are no owners.
    Members,
    /// GitHub: people who work there without being members.
    OutsideCollaborators,
    /// GitHub: people who are invited.
    Invitations,
    /// GitLab: everybody in the group, inherited and through invited groups.
    GroupMembers,
    /// GitLab: who is in the group itself.
    DirectMembers,
    /// GitLab: who is in the groups below it.
    SubgroupMembers,
    /// The account's repositories, as far as they are shown to us.
    Repositories,
}

/// What the lists of a reading are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Who belongs.
    People,
    /// Who belongs, read only to be shown: no sync goes on from it.
    PeopleShown,
    /// What there is to look at.
    Repositories,
}

impl Subject {
    /// The word by which a store keeps it; never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::PeopleShown => "people-shown",
            Self::Repositories => "repositories",
        }
    }
}

/// Where the next page of a list is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Nothing was read yet.
    Begin,
    /// Where the forge's own link leads.
    At(String),
    /// The last page was seen.
    End,
}

/// A list that never ends, or that begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the forge's list has no end that could be reached")]
pub struct Endless;

/// How far one list was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    list: List,
    next: Next,
    pages: u32,
    rows: u64,
    total: Option<u64>,
    /// A place that was passed, compared with each later one: a walk in a circle comes by again. It moves on at every
    /// power of two, so that no circle is too long for it.
    passed: Option<String>,
}

/// A reading of some lists of one account, page after page. It is kept with the pages, so that a process that ends
/// half-way reads none of them twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Tells one reading's pages from another's.
    pub generation: u64,
    /// When it began. What is told of a person or repository later than that is newer than what it says.
    pub began_at: Timestamp,
    lists: Vec<Progress>,
}

/// What a page is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// People.
    People(Vec<Listed>),
    /// Repositories.
    Repositories(Vec<Repository>),
}

impl Rows {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::People(rows) => rows.len(),
            Self::Repositories(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A page as a forge gave it: of its rows those that count here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRead {
    /// Those that count: no bot, nobody who is blocked.
    pub rows: Rows,
    /// How many rows the forge gave.
    pub given: u64,
    /// Where its own link leads; `None`: this was the last page.
    pub next: Option<String>,
    /// How many rows the whole list has, where the forge says so.
    pub total: Option<u64>,
}

/// A page that is kept until its reading is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPage {
    /// Its number in the reading, from 1.
    pub number: u32,
    /// Of which list.
    pub list: List,
    /// What counts of it.
    pub rows: Rows,
}

impl Reading {
    /// Nothing is read yet.
    #[must_use]
    pub fn begin(generation: u64, lists: &[List], now: Timestamp) -> Self {
        let one = |list: &List| Progress {
            list: *list,
            next: Next::Begin,
            pages: 0,
            rows: 0,
            total: None,
            passed: None,
        };
        Self { generation, began_at: now, lists: lists.iter().map(one).collect() }
    }

    /// The page to be read next, by its list and the forge's link; `None`: every list was read to its end.
    #[must_use]
    pub fn next(&self) -> Option<(List, Option<&str>)> {
        self.lists.iter().find_map(|progress| match &progress.next {
            Next::Begin => Some((progress.list, None)),
            Next::At(link) => Some((progress.list, Some(link.as_str()))),
            Next::End => None,
        })
    }

    /// Whether every list was read to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.next().is_none()
    }

    /// Pages of all lists together.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.lists.iter().fold(0, |sum, progress| sum.saturating_add(progress.pages))
    }

    /// Rows of all lists together, as the forge gave them.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.lists.iter().fold(0, |sum, progress| sum.saturating_add(progress.rows))
    }

    /// Whether the forge counts as many rows as it gave, in each list where it counts at all.
    #[must_use]
    pub fn counts_agree(&self) -> bool {
        self.lists.iter().all(|progress| progress.total.is_none_or(|total| total == progress.rows))
    }

    /// Which lists it is about.
    pub fn lists(&self) -> impl Iterator<Item = List> {
        self.lists.iter().map(|progress| progress.list)
    }

    /// Takes the page that was to be read next; gives it back with its number, to be kept.
    ///
    /// # Errors
    /// When the list goes in a circle or is longer than any real one. The reading is worth nothing then.
    pub fn take(&mut self, page: PageRead) -> Result<Option<KeptPage>, Endless> {
        let before = self.pages();
        let Some(progress) = self.lists.iter_mut().find(|progress| progress.next != Next::End) else {
            return Ok(None);
        };
        progress.pages = progress.pages.saturating_add(1);
        progress.rows = progress.rows.saturating_add(page.given);
        progress.total = page.total.or(progress.total);
        progress.next = match page.next {
            None => Next::End,
            Some(link) => progress.pass(link)?,
        };
        Ok(Some(KeptPage { number: before.saturating_add(1), list: progress.list, rows: page.rows }))
    }
}

impl Progress {
    /// Goes on to the next place, unless it was passed before.
    fn pass(&mut self, link: String) -> Result<Next, Endless> {
        let here = matches!(&self.next, Next::At(here) if *here == link);
        if here || self.passed.as_ref() == Some(&link) || self.pages >= PAGES_MAX {
            return Err(Endless);
        }
        if self.pages.is_power_of_two() {
            self.passed = Some(link.clone());
        }
        Ok(Next::At(link))
    }
}
