//! Which account is meant: exactly the one that was typed, and for a near miss the spelling that the forge uses (e-5).

use super::{Ready, Refusal};
use crate::domain::organization::Account;
use crate::provider::ProviderError;

/// Edits between two names that may be one.
const NEAR: usize = 2;

/// Whether the forge's answer is about the very name that was typed.
pub(super) fn same(typed: &str, found: &Account) -> Result<(), Refusal> {
    if typed == found.login {
        return Ok(());
    }
    Err(spelled(&found.login))
}

fn spelled(name: &str) -> Refusal {
    Refusal::new("account-spelling", format!("the name must match exactly: the forge spells it \"{name}\""))
        .help("enter it as the forge spells it")
}

/// There is no such account: perhaps one that is called nearly so.
pub(super) async fn unknown(ready: &Ready, typed: &str, error: ProviderError) -> Refusal {
    if !matches!(error, ProviderError::Gone) {
        return error.into();
    }
    let names = names(ready).await;
    // Of the very name that was typed, the spelling was not what was wrong.
    let near = names.iter().filter(|name| *name != typed && is_near(typed, name));
    let best = near.min_by_key(|name| distance(&typed.to_lowercase(), &name.to_lowercase()));
    best.map_or_else(|| ProviderError::Gone.into(), |name| spelled(name))
}

/// Accounts that the credential sees. That it sees none is no trouble here.
async fn names(ready: &Ready) -> Vec<String> {
    match ready {
        Ready::Github(session) => {
            let own = session.own_memberships().await;
            own.map(|all| all.into_items().into_iter().map(|it| it.organization.login).collect())
                .unwrap_or_default()
        }
        Ready::Gitlab(session) => {
            let own = session.groups().await;
            own.map(|all| all.into_items().into_iter().map(|it| it.full_path).collect()).unwrap_or_default()
        }
        Ready::Installation(it) => {
            let all = it.app.installations().await;
            let accounts = all.map(|all| all.into_items()).unwrap_or_default();
            accounts.into_iter().filter_map(|it| it.account.map(|account| account.login)).collect()
        }
    }
}

fn is_near(typed: &str, name: &str) -> bool {
    let (typed, name) = (typed.to_lowercase(), name.to_lowercase());
    let most = if typed.chars().count() < 5 { 1 } else { NEAR };
    distance(&typed, &name) <= most
}

/// How many letters must be put in, left out or replaced (V. Levenshtein, 1966).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut before = at;
        let mut next = vec![at.saturating_add(1)];
        for (above, here) in row.iter().skip(1).zip(&other) {
            let replaced = before.saturating_add(usize::from(*here != letter));
            let left = next.last().copied().unwrap_or(usize::MAX).saturating_add(1);
            next.push(replaced.min(left).min(above.saturating_add(1)));
            before = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_told_from_another_name() {
        for (typed, name) in [("Acme", "acme"), ("amce-corp", "acme-corp"), ("acmecorp", "acme-corp")] {
            assert!(is_near(typed, name), "{typed} {name}");
        }
        for (typed, name) in [("acme", "apex"), ("ab", "xy"), ("octo", "octocat")] {
            assert!(!is_near(typed, name), "{typed} {name}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
