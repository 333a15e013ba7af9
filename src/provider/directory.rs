//! What a forge says of one account as a whole: who belongs to it, what lies in it.
//!
//! Each forge's own folder has one. A list comes page by page, so that whoever reads it can keep what was read; one
//! person can be read singly, and then "not there" is an answer that was made sure of.

use async_trait::async_trait;

use super::ProviderError;
use crate::domain::organization::Account;
use crate::domain::roster::{Entry, List, MemberRules, PageRead, Subject};

/// One account, seen through one credential.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The lists that a reading is made of, in the order in which they are read.
    fn lists(&self, subject: Subject, rules: &MemberRules) -> Vec<List>;
    /// The account as it is called today. It is the one with the recorded number: another one that has taken over its
    /// name is [`ProviderError::Gone`].
    async fn account(&self) -> Result<Account, ProviderError>;
    /// The first page of a list, or the one where an earlier page's own link leads.
    async fn page(&self, list: List, from: Option<&str>) -> Result<PageRead, ProviderError>;
    /// Whether a repository that is in the account is also in its list. A person's token is shown what the person may
    /// see; an installation is shown what it was granted, and what it was not is none of its business.
    fn shows_all(&self) -> bool;
    /// One person's places, read by themselves. `None`: the person is not there, and would have been shown.
    async fn person(&self, id: u64, login: &str, rules: &MemberRules)
    -> Result<Option<Entry>, ProviderError>;
}
